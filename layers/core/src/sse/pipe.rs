use std::{
    fmt,
    task::{Context, Waker},
};

use bytes::{Bytes, BytesMut};

use super::{
    Event, EventFilter, EventTooLarge, Events, Splitter, StreamEnd, numbering::Numbering, output::Output,
    stream::last_event,
};

#[cfg(test)]
mod tests;

/// A filter over a stream that somebody else reads: chunks in, chunks out.
///
/// It is what [`EventStream`](super::EventStream) does, for those who have no body but a callback:
/// a `response_body_filter` of pingora, a loop over WebSocket frames. Nothing waits here, so
/// filters that hold the stream or have timers are not for it.
///
/// ```
/// use tower_responses_core::sse::{Event, EventFilter, Events, Pipe};
///
/// struct Hide;
///
/// impl EventFilter for Hide {
///     fn event(&mut self, event: Event, next: &mut Events) {
///         if event.kind() == "secret" { next.drop_event(&event) } else { next.push(event) }
///     }
/// }
///
/// let mut pipe = Pipe::new(Hide, 1 << 20);
/// assert_eq!(pipe.push("data: {\"type\":\"secret\"}\n\ndata: {\"ty".into()).unwrap(), "");
/// assert_eq!(pipe.push("pe\":\"x\"}\n\n".into()).unwrap(), "data: {\"type\":\"x\"}\n\n");
/// assert_eq!(pipe.end(), "");
/// ```
pub struct Pipe<F> {
    filter: F,
    splitter: Splitter,
    next: Events,
    numbering: Numbering,
}

impl<F: EventFilter> Pipe<F> {
    /// Sends events through `filter`, none of them larger than `max_event` bytes.
    pub fn new(filter: F, max_event: usize) -> Self {
        Self { filter, splitter: Splitter::new(max_event), next: Events::default(), numbering: Numbering::default() }
    }

    /// Takes a chunk of the stream and gives what can go on.
    ///
    /// # Errors
    /// [`EventTooLarge`] where an event is over the limit; the stream cannot go on.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, EventTooLarge> {
        let mut output = Output::default();
        output.set_chunk(chunk.clone());
        self.splitter.push(chunk);
        while let Some(text) = self.splitter.next() {
            self.pass(Event::from_text(text?));
            self.leave(&mut output);
        }
        Ok(join(output))
    }

    /// Takes the end of the stream and gives what is left.
    pub fn end(&mut self) -> Bytes {
        let mut output = Output::default();
        let mut tail = None;
        match self.splitter.finish().map(last_event) {
            Some(Ok(event)) => self.pass(event),
            Some(Err(rest)) => tail = Some(rest),
            None => {}
        }
        let standing = self.next.queue.len();
        self.filter.end(StreamEnd::Clean, &mut self.next);
        if self.next.queue.len() > standing {
            // Half an event cannot stand before a whole one.
            tail = None;
        }
        self.leave(&mut output);
        if let Some(tail) = tail {
            output.push_bytes(tail);
        }
        join(output)
    }

    /// Takes the JSON of one event, as a WebSocket frame carries it, and gives that of those that
    /// go on.
    pub fn frame(&mut self, data: &[u8]) -> Vec<Bytes> {
        // JSON has no need of the line ends that would end the field.
        let mut text = BytesMut::with_capacity(data.len() + 8);
        text.extend_from_slice(b"data: ");
        text.extend(data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        text.extend_from_slice(b"\n\n");
        self.pass(Event::from_text(text.freeze()));
        let (numbering, queue) = (&mut self.numbering, &mut self.next.queue);
        queue.drain(..).filter_map(|step| numbering.apply(step)).map(Event::into_data).collect()
    }

    fn pass(&mut self, event: Event) {
        self.filter.event(event, &mut self.next);
        let _ = self.filter.poll_flush(&mut Context::from_waker(Waker::noop()), &mut self.next);
    }

    fn leave(&mut self, output: &mut Output) {
        while let Some(step) = self.next.queue.pop_front() {
            if let Some(event) = self.numbering.apply(step) {
                output.push(event);
            }
        }
    }
}

fn join(mut output: Output) -> Bytes {
    let Some(first) = output.pop() else { return Bytes::new() };
    let Some(second) = output.pop() else { return first };
    let mut joined = BytesMut::from(first);
    joined.extend_from_slice(&second);
    while let Some(frame) = output.pop() {
        joined.extend_from_slice(&frame);
    }
    joined.freeze()
}

impl<F> fmt::Debug for Pipe<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}
