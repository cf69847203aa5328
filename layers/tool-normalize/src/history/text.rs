//! Writing items that are new as a whole.

use tower_responses_core::json::{Value, escape};

/// The text of an object, written member by member.
pub(super) struct ObjectText(Vec<u8>);

impl ObjectText {
    /// Begins with the type. About `size` bytes will follow.
    pub(super) fn new(kind: &'static str, size: usize) -> Self {
        let mut text = Vec::with_capacity(size + 128);
        text.extend_from_slice(b"{\"type\":\"");
        text.extend_from_slice(kind.as_bytes());
        text.push(b'"');
        Self(text)
    }

    fn key(&mut self, name: &'static str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// Adds a member that is JSON already.
    pub(super) fn json(mut self, name: &'static str, value: &[u8]) -> Self {
        self.key(name);
        self.0.extend_from_slice(value);
        self
    }

    /// Adds a member of which `write` writes the JSON.
    pub(super) fn with(mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.key(name);
        write(&mut self.0);
        self
    }

    /// Adds a member that is JSON already, if it is there.
    pub(super) fn maybe(self, name: &'static str, value: Option<&Value>) -> Self {
        match value {
            Some(value) => self.json(name, &value.text()),
            None => self,
        }
    }

    /// Adds a string.
    pub(super) fn string(self, name: &'static str, value: &str) -> Self {
        self.pieces(name, &[value.as_bytes()])
    }

    /// Adds a string that is made of these pieces, which are UTF-8.
    pub(super) fn pieces(mut self, name: &'static str, pieces: &[&[u8]]) -> Self {
        self.key(name);
        self.0.push(b'"');
        pieces.iter().for_each(|piece| escape(piece, &mut self.0));
        self.0.push(b'"');
        self
    }

    pub(super) fn finish(mut self) -> Value {
        self.0.push(b'}');
        // Many of them stand beside each other.
        Value::from_unique(self.0.into_boxed_slice())
    }
}
