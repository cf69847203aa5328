//! Texts that were hashed lately. Tools, instructions and the frames of responses are the same
//! from one request to the next, and to compare a text takes a tenth of hashing it.

use std::cell::RefCell;

use bytes::Bytes;

use crate::Shared;

/// How many texts each thread has at hand.
const KEPT: usize = 8;

/// Longer ones are hashed each time: a thread keeps 1 MiB at most.
const LONGEST: usize = 128 << 10;

#[derive(Default)]
struct Recent {
    texts: Vec<Shared>,
    /// Which one makes room for the next.
    oldest: usize,
}

thread_local! {
    static RECENT: RefCell<Recent> = RefCell::default();
}

/// The text with its digest, in memory of its own if it is short enough to be kept.
pub(crate) fn shared(text: Bytes, hash: impl FnOnce(Bytes) -> Shared) -> Shared {
    if text.len() > LONGEST {
        return hash(text);
    }
    RECENT.with_borrow_mut(|recent| {
        if let Some(known) = recent.texts.iter().find(|known| known.text() == &text) {
            return known.clone();
        }
        // The text may be part of a body that is not to be kept for it.
        let shared = hash(Bytes::copy_from_slice(&text));
        if recent.texts.len() < KEPT {
            recent.texts.push(shared.clone());
        } else {
            recent.texts[recent.oldest] = shared.clone();
            recent.oldest = (recent.oldest + 1) % KEPT;
        }
        shared
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_own_digest_whatever_came_before_it() {
        for round in 0..3 {
            for at in 0..2 * KEPT {
                // All of one length, and different only at the end.
                let text = Bytes::from(format!("{}{at:03}", "x".repeat(500)));
                let expected = crate::store::digest(&[&text]);
                assert_eq!(Shared::new(text.clone()).digest(), expected, "{round} {at}");
                assert_eq!(Shared::new(text.clone()).text(), &text);
            }
        }
    }

    #[test]
    fn what_is_known_is_not_hashed_again() {
        let text = Bytes::from_static(b"known");
        let first = Shared::new(text.clone());
        let again = shared(Bytes::copy_from_slice(&text), |_| unreachable!("it is known"));
        assert_eq!(again.text().as_ptr(), first.text().as_ptr());
        let long = Bytes::from(vec![b'x'; LONGEST + 1]);
        assert_eq!(Shared::new(long.clone()).text().as_ptr(), long.as_ptr(), "not copied, and not kept");
    }
}
