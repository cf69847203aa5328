use std::{collections::VecDeque, ops::Range};

use bytes::{Bytes, BytesMut};

use super::Event;

/// Below this, bytes are copied beside the changed events around them.
const COPY_BELOW: usize = 1024;

/// Joins events to frames: neighbours that nobody changed leave as one slice of their chunk.
#[derive(Debug, Default)]
pub(super) struct Output {
    chunk: Bytes,
    run: Range<usize>,
    changed: BytesMut,
    frames: VecDeque<Bytes>,
}

impl Output {
    /// The chunk that the next events are slices of.
    pub(super) fn set_chunk(&mut self, chunk: Bytes) {
        self.flush();
        self.chunk = chunk;
    }

    pub(super) fn push(&mut self, event: Event) {
        if event.is_changed() {
            self.end_run();
            self.changed.reserve(event.data().len() + 128);
            event.write(&mut self.changed);
            return;
        }
        let text = event.into_text();
        match place_in(&self.chunk, &text) {
            Some(place) if place.start == self.run.end && !self.run.is_empty() => self.run.end = place.end,
            Some(place) => {
                self.end_run();
                self.run = place;
            }
            None => self.push_bytes(text),
        }
    }

    pub(super) fn push_bytes(&mut self, bytes: Bytes) {
        self.end_run();
        self.append(bytes);
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if !run.is_empty() {
            self.append(self.chunk.slice(run));
        }
    }

    fn append(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW {
            self.changed.extend_from_slice(&bytes);
        } else {
            self.end_changed();
            self.frames.push_back(bytes);
        }
    }

    fn end_changed(&mut self) {
        if !self.changed.is_empty() {
            self.frames.push_back(std::mem::take(&mut self.changed).freeze());
        }
    }

    fn flush(&mut self) {
        let run = std::mem::take(&mut self.run);
        if !run.is_empty() && self.changed.is_empty() {
            self.frames.push_back(self.chunk.slice(run));
        } else if !run.is_empty() {
            self.append(self.chunk.slice(run));
        }
        self.end_changed();
    }

    /// The next frame; asked for only when no more events can be had without waiting.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if self.frames.is_empty() {
            self.flush();
            self.chunk = Bytes::new();
        }
        self.frames.pop_front()
    }
}

/// Where `part` lies in the memory of `whole`, if it does.
fn place_in(whole: &Bytes, part: &Bytes) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start + part.len();
    (!part.is_empty() && end <= whole.len()).then_some(start..end)
}
