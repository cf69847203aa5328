/// A body that is too large is read on for so many times its limit, and for so many bytes at
/// least, so that a client which writes before it reads can see the answer.
const DISCARD: usize = 4;
const DISCARD_AT_LEAST: usize = 64 << 20;

/// Counts the bytes of a body that has a limit.
pub(super) struct Count {
    seen: usize,
    limit: usize,
    /// Whether what is over the limit is read and thrown away before the error comes.
    discard: bool,
    is_refused: bool,
}

/// What becomes of a piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Taken,
    /// The body is too large, and is read on.
    Discarded,
    /// The body is too large, and nobody reads the rest of it.
    Last,
}

impl Count {
    pub(super) fn new(limit: usize, discard: bool) -> Self {
        Self { seen: 0, limit, discard, is_refused: false }
    }

    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The body is treated from here on as one that is too large.
    pub(super) fn refuse(&mut self) {
        self.is_refused = true;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Whether the body is not taken.
    pub(super) fn is_over(&self) -> bool {
        self.is_refused || self.seen > self.limit
    }

    pub(super) fn add(&mut self, bytes: usize) -> Piece {
        self.seen = self.seen.saturating_add(bytes);
        if !self.is_over() {
            Piece::Taken
        } else if self.discard && self.seen <= self.limit.saturating_mul(DISCARD).max(DISCARD_AT_LEAST) {
            Piece::Discarded
        } else {
            Piece::Last
        }
    }
}
