//! What goes with a response that is deleted.

use std::{collections::HashMap, hash::Hash};

/// A response, what it continues, and whether it is deleted.
pub(crate) type Link<K> = (K, Option<K>, bool);

/// The responses of a conversation that go when this one was deleted: itself unless something
/// continues it, and what was deleted before it and is left without a continuation by that.
///
/// Takes all that is left of the conversation.
pub(crate) fn removable<K: Copy + Eq + Hash>(all: &[Link<K>], deleted: K) -> Vec<K> {
    let mut continued: HashMap<K, usize> = HashMap::new();
    for previous in all.iter().filter_map(|(_, previous, _)| *previous) {
        *continued.entry(previous).or_default() += 1;
    }
    let known: HashMap<K, _> = all.iter().map(|(id, previous, deleted)| (*id, (*previous, *deleted))).collect();
    let mut removable = Vec::new();
    let mut next = Some(deleted);
    while let Some(id) = next {
        let is_continued = continued.get(&id).is_some_and(|count| *count > 0);
        let Some((previous, _)) = known.get(&id).filter(|(_, deleted)| *deleted && !is_continued) else { break };
        removable.push(id);
        next = *previous;
        if let Some(count) = previous.and_then(|previous| continued.get_mut(&previous)) {
            *count -= 1;
        }
    }
    removable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_continued_stays_and_so_does_what_was_not_deleted() {
        // 1 ← 2 ← 3 ← 4, and 2 ← 5.
        let all = |deleted: &[u32]| {
            [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(3)), (5, Some(2))]
                .map(|(id, previous)| (id, previous, deleted.contains(&id)))
        };
        for (deleted, last, gone) in [
            (&[4][..], 4, &[4][..]),
            (&[3], 3, &[]),
            (&[3, 4], 4, &[4, 3]),
            (&[2, 3, 4], 4, &[4, 3]),
            (&[1, 4], 4, &[4]),
            (&[], 4, &[]),
        ] {
            assert_eq!(removable(&all(deleted), last), gone, "{deleted:?}");
        }
        assert_eq!(removable(&[(1, None, true), (2, Some(1), true), (3, Some(2), true)], 3), [3, 2, 1]);
    }

    #[test]
    fn a_long_conversation_goes_in_linear_time() {
        let all: Vec<_> = (0..200_000u32).map(|id| (id, id.checked_sub(1), true)).collect();
        assert_eq!(removable(&all, 199_999).len(), all.len());
    }
}
