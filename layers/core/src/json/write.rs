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

/// Below this a piece is copied beside its neighbours: a frame of its own costs more than that.
const COPY_BELOW: usize = 4096;

/// Only counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measure {
    /// All bytes.
    pub(crate) length: usize,
    /// Those that a [`Rope`] shares with where they came from.
    shared: usize,
}

impl Sink for Measure {
    fn byte(&mut self, _: u8) {
        self.length += 1;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
    }

    fn part(&mut self, _: &Bytes, part: Range<usize>) {
        self.length += part.len();
        if part.len() >= COPY_BELOW {
            self.shared += part.len();
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
    /// With room for what is copied of so much: to grow would copy it once more.
    pub(crate) fn with_room(measure: Measure) -> Self {
        Self { done: VecDeque::new(), open: BytesMut::with_capacity(measure.length - measure.shared) }
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

/// Writes the parts of an object or an array, neighbours that are kept as one slice.
pub(super) struct Pieces<'a> {
    source: &'a Bytes,
    run: Option<Range<usize>>,
    first: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(source: &'a Bytes) -> Self {
        Self { source, run: None, first: true }
    }

    pub(super) fn kept(&mut self, place: Range<usize>, sink: &mut impl Sink) {
        match &mut self.run {
            // What lies between two neighbours is their comma.
            Some(run) if run.end + 1 == place.start => run.end = place.end,
            _ => {
                self.separate(sink);
                self.run = Some(place);
            }
        }
    }

    /// Ends the run and puts the comma before what comes next.
    pub(super) fn separate(&mut self, sink: &mut impl Sink) {
        self.flush(sink);
        if !std::mem::take(&mut self.first) {
            sink.byte(b',');
        }
    }

    pub(super) fn flush(&mut self, sink: &mut impl Sink) {
        if let Some(run) = self.run.take() {
            sink.part(self.source, run);
        }
    }
}
