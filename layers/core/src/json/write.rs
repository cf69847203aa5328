//! Writing JSON that is mostly slices of what came in.

use std::{collections::VecDeque, ops::Range};

use bytes::{BufMut, Bytes, BytesMut};

/// Where JSON is written to.
pub(crate) trait Sink {
    fn byte(&mut self, byte: u8);

    /// A few bytes, to be copied.
    fn bytes(&mut self, bytes: &[u8]);

    /// A part of `source`, which may be kept instead of copied.
    fn part(&mut self, source: &Bytes, part: Range<usize>);

    fn text(&mut self, text: &Bytes) {
        self.part(text, 0..text.len());
    }
}

/// Only counts.
#[derive(Debug, Default)]
pub(crate) struct Length(pub(crate) usize);

impl Sink for Length {
    fn byte(&mut self, _: u8) {
        self.0 += 1;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn part(&mut self, _: &Bytes, part: Range<usize>) {
        self.0 += part.len();
    }
}

/// Below this a piece is copied beside its neighbours: a frame of its own costs more than that.
const COPY_BELOW: usize = 4096;

/// Only counts what a [`Rope`] copies.
#[derive(Debug, Default)]
pub(crate) struct Copied(usize);

impl Sink for Copied {
    fn byte(&mut self, _: u8) {
        self.0 += 1;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn part(&mut self, _: &Bytes, part: Range<usize>) {
        if part.len() < COPY_BELOW {
            self.0 += part.len();
        }
    }
}

/// Pieces of text, small ones joined, large ones shared with where they came from.
#[derive(Debug)]
pub(crate) struct Rope {
    done: VecDeque<Bytes>,
    open: BytesMut,
}

impl Rope {
    /// With room for what was counted: to grow would copy it once more.
    pub(crate) fn with_room(copied: &Copied) -> Self {
        Self { done: VecDeque::new(), open: BytesMut::with_capacity(copied.0) }
    }

    pub(crate) fn into_frames(mut self) -> VecDeque<Bytes> {
        self.flush();
        self.done
    }

    fn flush(&mut self) {
        if !self.open.is_empty() {
            self.done.push_back(self.open.split().freeze());
        }
    }
}

impl Sink for Rope {
    fn byte(&mut self, byte: u8) {
        self.open.put_u8(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
    }

    fn part(&mut self, source: &Bytes, part: Range<usize>) {
        if part.len() < COPY_BELOW {
            self.open.extend_from_slice(&source[part]);
        } else {
            self.flush();
            self.done.push_back(source.slice(part));
        }
    }
}

/// One buffer.
impl Sink for BytesMut {
    fn byte(&mut self, byte: u8) {
        self.put_u8(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn part(&mut self, source: &Bytes, part: Range<usize>) {
        self.extend_from_slice(&source[part]);
    }
}
