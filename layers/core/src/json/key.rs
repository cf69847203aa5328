//! The keys of an object.

use std::ops::Range;

use bytes::Bytes;

/// The text of a key, with its quotes. Of those that came only the place is known: a reference
/// for each would cost more than all that is done with most of them.
#[derive(Debug, Clone)]
pub(super) enum Key {
    Came(Range<usize>),
    Short(ShortKey),
    Ours(Bytes),
}

/// The text of a key of ours that needs no memory of its own, as nearly all do.
#[derive(Debug, Clone)]
pub(super) struct ShortKey {
    length: u8,
    text: [u8; Self::LONGEST],
}

impl ShortKey {
    const LONGEST: usize = 38;

    /// `None` if the name is too long, or not as plain as a name should be.
    pub(super) fn of(name: &str) -> Option<Self> {
        let end = name.len() + 1;
        if end >= Self::LONGEST || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let mut text = [b'"'; Self::LONGEST];
        text[1..end].copy_from_slice(name.as_bytes());
        Some(Self { length: u8::try_from(end + 1).ok()?, text })
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

impl Key {
    #[inline]
    pub(super) fn text<'a>(&'a self, source: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Came(place) => source.get(place.clone()).unwrap_or_default(),
            Self::Short(key) => key.text(),
            Self::Ours(text) => text,
        }
    }
}
