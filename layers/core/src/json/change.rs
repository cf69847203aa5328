//! Changing members of an object that is still text, in one pass.

use std::ops::{ControlFlow, Range};

use super::{
    Value,
    scan::{self, MemberRange},
};

/// How many members are changed at once.
const MOST_CHANGES: usize = 8;

/// The object that is `text`, whose members `members` shows, with others. `None` if it has a member
/// of such a name twice, or if there are too many changes.
pub(super) fn with_members(
    text: &[u8],
    members: impl FnOnce(&mut dyn FnMut(MemberRange) -> ControlFlow<()>) -> Option<usize>,
    changes: &[(&str, Option<&Value>)],
) -> Option<Vec<u8>> {
    let mut done = [false; MOST_CHANGES];
    let done = done.get_mut(..changes.len())?;
    let mut values = [const { None }; MOST_CHANGES];
    values.iter_mut().zip(changes).for_each(|(text, (_, value))| *text = value.map(Value::spelled));
    let new = changes
        .iter()
        .zip(&values)
        .map(|((name, _), value)| value.as_ref().map_or(0, |value| name.len() + value.len() + 4));
    let mut out = Vec::with_capacity(text.len() + new.sum::<usize>());
    let mut separator = b'{';
    let mut kept: Range<usize> = 0..0;
    let end = members(&mut |member| {
        let change = changes.iter().position(|(name, _)| member.key.is(text, name));
        if change.is_none() && !kept.is_empty() {
            // Neighbours, with a comma between them: a change ends the run.
            kept.end = member.whole.end;
            return ControlFlow::Continue(());
        }
        put(&mut out, &mut separator, &text[std::mem::take(&mut kept)]);
        let Some(at) = change else {
            kept = member.whole;
            return ControlFlow::Continue(());
        };
        if std::mem::replace(&mut done[at], true) {
            return ControlFlow::Break(());
        }
        if let Some(value) = &values[at] {
            put(&mut out, &mut separator, &text[member.key.place]);
            out.push(b':');
            out.extend_from_slice(value);
        }
        ControlFlow::Continue(())
    });
    end?;
    put(&mut out, &mut separator, &text[kept]);
    for (at, (name, _)) in changes.iter().enumerate().filter(|(at, _)| !done[*at]) {
        if let Some(value) = &values[at] {
            put(&mut out, &mut separator, b"\"");
            scan::string::escape(name.as_bytes(), &mut out);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        }
    }
    if separator == b'{' {
        out.push(separator);
    }
    out.push(b'}');
    Some(out)
}

/// Appends something behind what has to stand before it, if it is not nothing.
fn put(out: &mut Vec<u8>, separator: &mut u8, text: &[u8]) {
    if !text.is_empty() {
        out.push(std::mem::replace(separator, b','));
        out.extend_from_slice(text);
    }
}
