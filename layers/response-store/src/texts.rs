//! Shared texts in memory, each once.

use std::collections::HashMap;

use bytes::Bytes;

use crate::{Shared, store::Digest};

/// Texts and how many use them.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    texts: HashMap<Digest, (Shared, usize)>,
    bytes: usize,
}

impl Texts {
    /// The text as it is kept: in memory of its own, and not in the body that it came with.
    pub(crate) fn keep(&mut self, shared: &Shared) -> Shared {
        let bytes = &mut self.bytes;
        let (kept, users) = self.texts.entry(shared.digest()).or_insert_with(|| {
            *bytes += shared.text().len();
            (shared.with_text(Bytes::copy_from_slice(shared.text())), 0)
        });
        *users += 1;
        kept.clone()
    }

    /// One that used the text is gone.
    pub(crate) fn release(&mut self, digest: Digest) {
        if let Some((shared, users)) = self.texts.get_mut(&digest) {
            *users -= 1;
            if *users == 0 {
                self.bytes -= shared.text().len();
                self.texts.remove(&digest);
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
