//! Objects in which a name stands more than once.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use super::{Object, part::Oddity, scan};

/// What is odd about the members of the object that is `text`.
pub(super) fn odd(text: &[u8]) -> Option<Oddity> {
    let mut names = HashSet::new();
    let mut oddity = None;
    scan::members::<false>(text, |member| {
        if Object::is_dense(names.len(), member.whole.end) {
            oddity = Some(Oddity::Dense);
            return ControlFlow::Break(());
        }
        if !names.insert(scan::key_name(&text[member.key.place], member.key.escaped)) {
            oddity = Some(Oddity::Repeats);
        }
        ControlFlow::Continue(())
    });
    oddity
}

/// Appends the object that is `text` with the last of the members that bear the same name, each as
/// it is spelled.
pub(super) fn write(text: &[u8], out: &mut Vec<u8>) {
    let mut last: HashMap<Cow<'_, [u8]>, usize> = HashMap::new();
    scan::members::<false>(text, |member| {
        last.insert(scan::key_name(&text[member.key.place], member.key.escaped), member.whole.start);
        ControlFlow::Continue(())
    });
    let mut separator = b'{';
    scan::members::<false>(text, |member| {
        if last.get(&scan::key_name(&text[member.key.place], member.key.escaped)) == Some(&member.whole.start) {
            out.push(std::mem::replace(&mut separator, b','));
            out.extend_from_slice(&text[member.whole]);
        }
        ControlFlow::Continue(())
    });
    out.push(b'}');
}
