use std::{
    fmt,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::{Event, EventFilter, Events, Splitter, StreamEnd, filter::Step, numbering::Numbering, output::Output};
use crate::{BoxBody, BoxError, json::Value};

/// A body of server-sent events with the filters that look at them.
///
/// Events are cut from the inner body, go through the filters one by one, innermost filter
/// first, and leave. The inner body is polled only when all that it gave has left.
pub struct EventStream {
    inner: Option<BoxBody>,
    splitter: Splitter,
    stages: Vec<Stage>,
    /// Something stands before a filter, or is held by one.
    standing: bool,
    /// What a filter has just let go; empty between two calls.
    let_go: Events,
    passed: Events,
    /// A filter has said that the client has everything.
    client_has_all: bool,
    numbering: Numbering,
    output: Output,
    /// What has just left is to be on its way before more is done.
    pausing: bool,
    /// Whether anything has left.
    begun: bool,
    ending: Option<Ending>,
    /// What came after the last whole event.
    tail: Option<Bytes>,
    trailers: Option<HeaderMap>,
    done: bool,
}

struct Stage {
    filter: Box<dyn EventFilter>,
    inbox: Events,
    held: bool,
    /// The filter has said that the client has everything.
    done: bool,
}

/// What became of the event that was next.
enum Entered {
    /// There was none.
    Nothing,
    /// It stands before a filter.
    Standing,
    /// No filter wanted to see it: it leaves.
    Passed(Event),
}

/// The last that a body gives: its trailers, an error, or nothing.
type Last = Option<Result<Frame<Bytes>, BoxError>>;

/// The end of the inner body on its way through the filters.
struct Ending {
    next_stage: usize,
    end: Option<StreamEnd>,
}

impl EventStream {
    /// The events of `inner`, of which none may be larger than `max_event` bytes.
    pub fn new(inner: BoxBody, max_event: usize) -> Self {
        Self {
            inner: Some(inner),
            splitter: Splitter::new(max_event),
            stages: Vec::new(),
            standing: false,
            let_go: Events::default(),
            passed: Events::default(),
            client_has_all: false,
            numbering: Numbering::default(),
            output: Output::default(),
            pausing: false,
            begun: false,
            ending: None,
            tail: None,
            trailers: None,
            done: false,
        }
    }

    /// Adds a filter outside of those already there. To be called before the first poll.
    #[must_use]
    pub fn with_filter(mut self, filter: Box<dyn EventFilter>) -> Self {
        self.stages.push(Stage { filter, inbox: Events::default(), held: false, done: false });
        self
    }

    /// Sends an event to the first filter that wants to see it. One that no filter wants to see
    /// leaves at once.
    fn enter(&mut self, event: Event) -> Option<Event> {
        match route(&mut self.stages, Step::Event(event)) {
            Ok(()) => {
                self.standing = true;
                None
            }
            Err(step) => self.numbering.apply(step),
        }
    }

    /// Takes what stands before the filters through them; pending while one holds something back.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.standing {
            return Poll::Ready(());
        }
        let mut held = false;
        for at in 0..self.stages.len() {
            if !self.stages[at].is_idle() {
                held |= self.stages[at].advance(cx, &mut self.let_go).is_pending();
                self.go_on(at);
            }
        }
        self.standing = held;
        if held {
            return Poll::Pending;
        }
        // What came all at once is rare, and its room is not kept for the rest of a stream.
        self.stages.iter_mut().for_each(|stage| stage.inbox.release());
        Poll::Ready(())
    }

    /// Sends on what the filter at `at` has let go.
    fn go_on(&mut self, at: usize) {
        self.client_has_all |= self.stages[at].done;
        while let Some(step) = self.let_go.queue.pop_front() {
            self.send_on(at + 1, step);
        }
    }

    /// Sends a step to the first filter from this one on that wants to see it.
    fn send_on(&mut self, from: usize, step: Step) {
        match route(&mut self.stages[from..], step) {
            Ok(()) => self.standing = true,
            Err(step) => self.passed.push_step(step),
        }
    }

    /// The next event that has come through all filters, as it leaves.
    fn next_passed(&mut self) -> Option<Event> {
        loop {
            let step = self.passed.queue.pop_front()?;
            if let Some(event) = self.numbering.apply(step) {
                return Some(event);
            }
        }
    }

    /// Cuts the next event from the chunk at hand, if there is one and if it is wanted. To be
    /// called when nothing stands before the filters, and all that has passed them has left.
    fn enter_next(&mut self) -> Entered {
        if self.client_has_all || self.ending.is_some() {
            return Entered::Nothing;
        }
        match self.splitter.next_event() {
            Some(Ok(event)) => self.enter(event).map_or(Entered::Standing, Entered::Passed),
            Some(Err(error)) => {
                self.begin_end(StreamEnd::Broken(error.into()));
                Entered::Standing
            }
            None => Entered::Nothing,
        }
    }

    /// Goes on once the chunk at hand is used up: with the end, if it has come, else with the
    /// next chunk. Breaks with the last item of the body.
    fn poll_on(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<Last>> {
        if self.client_has_all {
            return self.poll_finished(cx).map(ControlFlow::Break);
        }
        if self.ending.is_some() {
            match self.end_next_stage() {
                None if self.ending.as_ref().is_some_and(|ending| ending.end.is_some()) => {}
                Some(StreamEnd::Broken(error)) => {
                    self.done = true;
                    return Poll::Ready(ControlFlow::Break(Some(Err(error))));
                }
                Some(StreamEnd::Clean) | None => match self.tail.take() {
                    Some(tail) => self.output.push_bytes(tail),
                    None => return self.poll_finished(cx).map(ControlFlow::Break),
                },
            }
            return Poll::Ready(ControlFlow::Continue(()));
        }
        self.poll_inner(cx).map(ControlFlow::Continue)
    }

    /// The next event, for what sends events in another way than as a body. What is no whole
    /// event (half of one at a broken end, trailers) is left out. Not to be mixed with
    /// [`Body::poll_frame`].
    ///
    /// Gives `None` at the end, and an error where the stream broke off.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, BoxError>>> {
        while !self.done {
            let held = self.advance(cx).is_pending();
            if let Some(event) = self.next_passed() {
                return Poll::Ready(Some(Ok(event)));
            }
            if held {
                return Poll::Pending;
            }
            match self.enter_next() {
                Entered::Passed(event) => return Poll::Ready(Some(Ok(event))),
                Entered::Standing => {}
                Entered::Nothing => {
                    if let ControlFlow::Break(last) = ready!(self.poll_on(cx)) {
                        return Poll::Ready(last.and_then(Result::err).map(Err));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    /// Tells the next filter that the inner body has ended. `Some` once all know.
    fn end_next_stage(&mut self) -> Option<StreamEnd> {
        let ending = self.ending.as_mut()?;
        let at = ending.next_stage;
        if at == self.stages.len() {
            return ending.end.take();
        }
        ending.next_stage += 1;
        let end = ending.end.take().unwrap_or(StreamEnd::Clean);
        let stage = &mut self.stages[at];
        ending.end = Some(stage.filter.end(end, &mut self.let_go));
        stage.held = true;
        stage.done |= stage.filter.is_done();
        self.standing = true;
        if !self.let_go.queue.is_empty() {
            // Half an event cannot stand before a whole one.
            self.tail = None;
        }
        self.go_on(at);
        None
    }

    fn begin_end(&mut self, end: StreamEnd) {
        self.inner = None;
        match self.splitter.finish().map(last_event) {
            Some(Ok(event)) => self.send_on(0, Step::Event(event)),
            Some(Err(rest)) => self.tail = Some(rest),
            None => {}
        }
        self.ending = Some(Ending { next_stage: 0, end: Some(end) });
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut result = Poll::Pending;
        for at in 0..self.stages.len() {
            let stage = &mut self.stages[at];
            if stage.filter.poll_silence(cx, &mut self.let_go).is_ready() {
                stage.done |= stage.filter.is_done();
                result = Poll::Ready(());
                self.go_on(at);
            }
        }
        result
    }

    /// Reads what the upstream still sends after the client has everything.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut frames = 0;
        while let Some(inner) = &mut self.inner {
            match Pin::new(inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(_))) if frames < MAX_DRAINED => frames += 1,
                Poll::Ready(_) => self.inner = None,
                Poll::Pending => {
                    for stage in &mut self.stages {
                        ready!(stage.filter.poll_linger(cx));
                    }
                    self.inner = None;
                }
            }
        }
        Poll::Ready(())
    }

    /// Asks the inner body for more. `None` once there is something to pass on.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(()) };
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(chunk) => {
                    self.output.set_chunk(chunk.clone());
                    self.splitter.push(chunk);
                }
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            },
            Poll::Ready(None) => self.begin_end(StreamEnd::Clean),
            Poll::Ready(Some(Err(error))) => self.begin_end(StreamEnd::Broken(error)),
            Poll::Pending => return self.poll_silence(cx),
        }
        Poll::Ready(())
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        ready!(self.poll_drain(cx));
        self.done = true;
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

/// What writes frames waits for more while there is more. A client should not wait with the first
/// of them for what comes after it, nor with one of so many bytes.
const LARGE: usize = 16 << 10;

/// How many frames are read after the end without a pause: an upstream that goes on and on is
/// given up.
const MAX_DRAINED: usize = 64;

/// The event that the rest of a stream spells, if it is whole but for the blank line, which what
/// may follow needs.
pub(super) fn last_event(rest: Bytes) -> Result<Event, Bytes> {
    if Value::parse(Event::from_text(rest.clone()).data().clone()).is_err() {
        return Err(rest);
    }
    Ok(Event::from_text([&rest[..], b"\n\n"].concat().into()))
}

/// Puts a step before the first of these filters that does not let it by; gives it back if it
/// comes by them all.
fn route(stages: &mut [Stage], step: Step) -> Result<(), Step> {
    match stages.iter_mut().find_map(|stage| (!stage.lets_by(&step)).then_some(stage)) {
        Some(stage) => {
            stage.inbox.push_step(step);
            Ok(())
        }
        None => Err(step),
    }
}

impl Stage {
    /// Whether nothing stands before the filter, and nothing is held by it.
    fn is_idle(&self) -> bool {
        !self.held && self.inbox.queue.is_empty()
    }

    /// Whether something that came by all filters further in may overtake this one: nothing
    /// stands before it, and the filter has no interest.
    fn lets_by(&mut self, step: &Step) -> bool {
        self.is_idle()
            && match step {
                Step::Event(event) => self.filter.passes_by(event),
                Step::Gap => true,
            }
    }

    fn advance(&mut self, cx: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        loop {
            if self.held {
                ready!(self.filter.poll_flush(cx, next));
                self.done |= self.filter.is_done();
                self.held = false;
            }
            match self.inbox.queue.pop_front() {
                Some(Step::Event(event)) if self.filter.passes_by(&event) => next.push(event),
                Some(Step::Event(event)) => {
                    self.filter.event(event, next);
                    self.done |= self.filter.is_done();
                    self.held = true;
                }
                Some(Step::Gap) => next.push_step(Step::Gap),
                None => return Poll::Ready(()),
            }
        }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut this.pausing) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let held = this.advance(cx).is_pending();
            while let Some(event) = this.next_passed() {
                this.output.push(event);
            }
            if !held {
                match this.enter_next() {
                    Entered::Passed(event) => {
                        this.output.push(event);
                        continue;
                    }
                    Entered::Standing => continue,
                    Entered::Nothing => {}
                }
            }
            if let Some(frame) = this.output.pop() {
                this.pausing = !std::mem::replace(&mut this.begun, true) || frame.len() >= LARGE;
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            if held {
                return Poll::Pending;
            }
            if let ControlFlow::Break(last) = ready!(this.poll_on(cx)) {
                return Poll::Ready(last);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.done { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("filters", &self.stages.len())
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
