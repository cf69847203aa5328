//! Changing objects and arrays that are still text, in one pass.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;

use super::{
    Edit, Value,
    scan::{self, Follows, MemberRange},
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
    let mut out = Pieces::new(text, b'{', text.len() + new.sum::<usize>());
    let end = members(&mut |member| {
        let Some(at) = changes.iter().position(|(name, _)| member.key.is(text, name)) else {
            out.keep(member.whole);
            return ControlFlow::Continue(());
        };
        if std::mem::replace(&mut done[at], true) {
            return ControlFlow::Break(());
        }
        if let Some(value) = &values[at] {
            out.put(&[&text[member.key.place], b":", value]);
        } else {
            out.end_run();
        }
        ControlFlow::Continue(())
    });
    end?;
    for (at, (name, _)) in changes.iter().enumerate().filter(|(at, _)| !done[*at]) {
        if let Some(value) = &values[at] {
            out.put(&[b"\""]);
            scan::string::escape(name.as_bytes(), &mut out.out);
            out.add(&[b"\":", value]);
        }
    }
    Some(out.finish(b'}'))
}

/// The object that is `text` with what `edit` makes of its members, given their keys. `None` if
/// nothing has changed.
pub(super) fn edit_members(text: &Bytes, mut edit: impl FnMut(&Value, &Value) -> Edit) -> Option<Vec<u8>> {
    let mut out = Pieces::new(text, b'{', text.len());
    let mut changed = false;
    scan::members::<false>(text, |member| {
        let key = text.slice(member.key.place);
        let edit = edit(&Value::from_text(key.clone()), &Value::from_text(text.slice(member.value)));
        let values = match edit {
            Edit::Keep => {
                out.keep(member.whole);
                return ControlFlow::Continue(());
            }
            Edit::With(value) => vec![value],
            Edit::Replace(values) => values,
        };
        changed = true;
        match values.last() {
            Some(value) => out.put(&[&key, b":", &value.spelled()]),
            None => out.end_run(),
        }
        ControlFlow::Continue(())
    })?;
    changed.then(|| out.finish(b'}'))
}

/// The array that is `text` with what `edit` makes of its elements. `None` if nothing has changed.
pub(super) fn edit_elements(text: &Bytes, mut edit: impl FnMut(&Value) -> Edit) -> Option<Vec<u8>> {
    let mut out = Pieces::new(text, b'[', text.len());
    let mut changed = false;
    let ControlFlow::Continue(mut at) = scan::start(text, b'[', b']')? else { return None };
    loop {
        let (value, end, follows) = scan::element_after(text, at)?;
        let values = match edit(&Value::from_text(text.slice(value))) {
            Edit::Keep => {
                out.keep(at + 1..end);
                Vec::new()
            }
            Edit::With(value) => {
                changed = true;
                vec![value]
            }
            Edit::Replace(values) => {
                changed = true;
                out.end_run();
                values
            }
        };
        values.iter().for_each(|value| out.put(&[&value.spelled()]));
        if follows == Follows::Nothing {
            return changed.then(|| out.finish(b']'));
        }
        at = end;
    }
}

/// An object or an array that is written anew, neighbours that are kept as one piece.
struct Pieces<'t> {
    text: &'t [u8],
    out: Vec<u8>,
    /// What comes before the next piece.
    separator: u8,
    kept: Range<usize>,
}

impl<'t> Pieces<'t> {
    fn new(text: &'t [u8], open: u8, capacity: usize) -> Self {
        Self { text, out: Vec::with_capacity(capacity), separator: open, kept: 0..0 }
    }

    /// What stands there in the text, from separator to separator, stays.
    #[inline]
    fn keep(&mut self, whole: Range<usize>) {
        if self.kept.is_empty() {
            self.kept = whole;
        } else {
            // There is a comma between them: a change ends the run.
            self.kept.end = whole.end;
        }
    }

    fn end_run(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        if !kept.is_empty() {
            self.out.push(std::mem::replace(&mut self.separator, b','));
            self.out.extend_from_slice(&self.text[kept]);
        }
    }

    /// Something new comes next.
    fn put(&mut self, texts: &[&[u8]]) {
        self.end_run();
        self.out.push(std::mem::replace(&mut self.separator, b','));
        self.add(texts);
    }

    fn add(&mut self, texts: &[&[u8]]) {
        texts.iter().for_each(|text| self.out.extend_from_slice(text));
    }

    fn finish(mut self, close: u8) -> Vec<u8> {
        self.end_run();
        if self.separator != b',' {
            self.out.push(self.separator);
        }
        self.out.push(close);
        self.out
    }
}
