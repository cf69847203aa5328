//! Work that takes long is done in steps, between which others go on: whoever gives up on it in
//! between has it end there.

use std::{future::poll_fn, task::Poll};

use bytes::Bytes;

/// How much text is gone through in one step: about a quarter of a millisecond.
const STEP: usize = 256 << 10;

/// What an item takes beside its text.
const ITEM: usize = 256;

/// The items that make up the next step.
pub(crate) fn step(items: &[Bytes]) -> &[Bytes] {
    let mut taken = 0;
    let is_full = |item: &Bytes| {
        taken += item.len() + ITEM;
        taken >= STEP
    };
    let count = items.iter().position(is_full).map_or(items.len(), |last| last + 1);
    &items[..count]
}

/// Items by steps.
pub(crate) fn steps(items: &[Bytes]) -> impl Iterator<Item = &[Bytes]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let next = step(rest);
        rest = &rest[next.len()..];
        (!next.is_empty()).then_some(next)
    })
}

/// Is ready when all others that could go on have had their turn.
pub(crate) async fn let_others_go_on() {
    let mut was_asked = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut was_asked, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Counts what is done, and lets others go on after each step.
#[derive(Debug, Default)]
pub(crate) struct Pace(usize);

impl Pace {
    pub(crate) async fn after(&mut self, bytes: usize) {
        self.0 += bytes;
        if self.0 >= STEP {
            self.0 = 0;
            let_others_go_on().await;
        }
    }

    pub(crate) async fn after_item(&mut self, bytes: usize) {
        self.after(bytes + ITEM).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_all_of_the_items_in_their_order() {
        for (count, size) in [(0, 0), (1, 0), (5, STEP), (3_000, 10), (1_024, STEP / 8 - ITEM)] {
            let items: Vec<_> = (0..count).map(|_| Bytes::from(vec![b'x'; size])).collect();
            let lengths: Vec<_> = steps(&items).map(<[Bytes]>::len).collect();
            assert_eq!(lengths.iter().sum::<usize>(), count, "{lengths:?}");
            let full = lengths.len().saturating_sub(1);
            let expected = STEP.div_ceil(size + ITEM);
            assert!(lengths[..full].iter().all(|length| *length == expected), "{lengths:?}");
        }
    }
}
