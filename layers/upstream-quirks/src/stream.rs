//! What is made of the events of one stream.

mod close;
mod content;
mod items;
mod kind;
mod last_done;
mod pulse;
mod terminal;
mod whitespace;

#[cfg(test)]
mod tests;

use std::task::{Context, Poll};

use tower_responses_core::{
    json::{Object, Value},
    sse::{CutCalls, Event, EventFilter, Events, StreamEnd},
};

use self::{items::Items, kind::Kind, last_done::LastDone, pulse::Pulse, whitespace::Blank};
use crate::{
    Profile, Quirks,
    failure::Failure,
    fix::{Fix, Tally},
    shape::{self, Echo},
};

/// The filter of one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    tally: Tally,
    profile: Profile,
    /// What a response object of our own repeats.
    echo: Echo,
    opened: Opened,
    numbers: Numbers,
    items: Items,
    cut: CutCalls,
    blank: Option<Blank>,
    last_done: Option<Box<LastDone>>,
    /// How many items of the upstream's the client does not see.
    shift: i64,
    /// The terminal event has gone by.
    ended: bool,
    pulse: Pulse,
}

/// Who sent `response.created`.
#[derive(Debug)]
enum Opened {
    Not,
    Upstream,
    /// We did, under this id.
    Us(String),
}

/// Who numbers the events.
#[derive(Debug, PartialEq)]
enum Numbers {
    Unknown,
    Upstream,
    /// We do; this is the next.
    Us(i64),
}

impl Stream {
    pub(crate) fn new(quirks: &Quirks, tally: Tally, echo: Echo) -> Self {
        let beats = if tally.on(Fix::Heartbeat) { quirks.heartbeat } else { std::time::Duration::ZERO };
        Self {
            tally,
            profile: quirks.profile,
            echo,
            opened: Opened::Not,
            numbers: Numbers::Unknown,
            items: Items::default(),
            cut: CutCalls::default(),
            blank: None,
            last_done: None,
            shift: 0,
            ended: false,
            pulse: Pulse::new(beats, quirks.linger),
        }
    }

    /// Sends a `response.created` of our own.
    fn open(&mut self, next: &mut Events) {
        let response = self.echo.response("in_progress");
        let id = response.get_str("id").unwrap_or_default().into_owned();
        self.echo = self.echo.with_id(&id);
        next.push(lifecycle("response.created", response));
        self.opened = Opened::Us(id);
    }

    /// Lets an event go on, unless something before it is held.
    fn pass(&mut self, event: Event, next: &mut Events) {
        if let Some(blank) = &mut self.blank {
            blank.hold(event);
        } else if self.cut.is_holding() {
            self.cut.event(event, next);
        } else {
            next.push(event);
        }
    }

    /// The same for an event that begins or ends an item.
    fn pass_item(&mut self, event: Event, next: &mut Events) {
        match &mut self.blank {
            Some(blank) => blank.hold(event),
            None if self.tally.on(Fix::CutCall) => self.cut.event(event, next),
            None => next.push(event),
        }
    }

    /// Lets an event of the upstream's go no further.
    fn discard(event: &Event, next: &mut Events) {
        if event.sequence_number().is_some() {
            next.drop_event(event);
        }
    }

    /// Sees to it that the event has a number.
    fn number(&mut self, mut event: Event, kind: Kind) -> Event {
        if !self.tally.on(Fix::SequenceNumbers) {
            return event;
        }
        match &mut self.numbers {
            Numbers::Upstream if matches!(kind, Kind::Delta(_)) => event,
            Numbers::Upstream if event.sequence_number() >= Some(0) => event,
            Numbers::Upstream => {
                // One alone: it takes the number after the last.
                self.tally.count(Fix::SequenceNumbers);
                let name = event.kind().to_owned();
                let Some(object) = event.object_mut() else { return event };
                object.remove("sequence_number");
                if !object.has("type") {
                    object.set("type", name.as_str());
                }
                Event::new(std::mem::take(object))
            }
            Numbers::Unknown => {
                let theirs = event.sequence_number() >= Some(0);
                self.numbers = if theirs { Numbers::Upstream } else { Numbers::Us(0) };
                self.number(event, kind)
            }
            Numbers::Us(number) => {
                if let Some(object) = event.object_mut() {
                    self.tally.count(Fix::SequenceNumbers);
                    object.set("sequence_number", shape::number(*number));
                    *number += 1;
                }
                event
            }
        }
    }

    /// A `response.created`, `response.in_progress` or `response.queued`.
    fn progress(&mut self, kind: Kind, mut event: Event, next: &mut Events) {
        let Some(response) = event.object_mut().and_then(|event| event.object_mut("response")) else {
            return self.pass(event, next);
        };
        if let Opened::Us(id) = &self.opened {
            response.set("id", id.as_str());
        }
        shape::complete(response, "in_progress", &self.echo, &mut self.tally);
        if kind == Kind::Created || matches!(self.opened, Opened::Not) {
            self.echo = Echo::of_response(response);
        }
        match self.opened {
            Opened::Us(_) if kind == Kind::Created => return Self::discard(&event, next),
            Opened::Not if kind != Kind::Created && self.tally.on(Fix::MissingCreated) => {
                self.tally.count(Fix::MissingCreated);
                next.push(lifecycle("response.created", self.echo.response("in_progress")));
                self.opened = Opened::Upstream;
            }
            Opened::Not => self.opened = Opened::Upstream,
            Opened::Us(_) | Opened::Upstream => {}
        }
        self.pass(event, next);
    }

    fn error(&mut self, mut event: Event, next: &mut Events) {
        let data = event.data().clone();
        let failure = Failure::of_event(event.object_mut(), &data, self.profile, &mut self.tally);
        if !self.tally.on(Fix::ErrorEvent) {
            return self.pass(event, next);
        }
        self.tally.count(Fix::ErrorEvent);
        let param = event.member("param").filter(Value::is_string);
        Self::discard(&event, next);
        let mut error = Object::new();
        error.set("type", "error");
        error.set("code", &*failure.code);
        error.set("message", failure.message.as_str());
        error.set("param", param.unwrap_or(Value::null()));
        self.drop_blank(next);
        self.pass(Event::new(error), next);
        self.fail(&failure, next);
    }

    /// What has no type: an error in another dialect, a marker, garbage.
    fn untyped(&mut self, mut event: Event, next: &mut Events) {
        if event.member("error").is_some_and(|error| !error.is_null()) && self.tally.on(Fix::ErrorEvent) {
            return self.error(event, next);
        }
        if event.object_mut().is_none() && self.tally.on(Fix::DoneMarker) {
            return self.tally.count(Fix::DoneMarker);
        }
        self.pass(event, next);
    }

    fn take(&mut self, kind: Kind, event: Event, next: &mut Events) {
        match kind {
            Kind::Delta(text) => self.delta(text, event, next),
            Kind::Created | Kind::Progress => self.progress(kind, event, next),
            Kind::ItemAdded => self.item_added(event, next),
            Kind::ItemDone => self.item_done(event, next),
            Kind::PartAdded(events) => self.part_added(events, event, next),
            Kind::PartDone(events) => self.part_done(events, event, next),
            Kind::TextDone(text) => self.text_done(text, event, next),
            Kind::Terminal => self.terminal(event, next),
            Kind::Error => self.error(event, next),
            Kind::Other if event.kind().is_empty() => self.untyped(event, next),
            Kind::Other => self.other(event, next),
        }
    }

    /// What has no meaning here. It may be about an item all the same.
    fn other(&mut self, mut event: Event, next: &mut Events) {
        if self.shift != 0
            && let Some(index) = self.index_of(&event)
            && let Some(object) = event.object_mut()
        {
            object.set("output_index", shape::number(index));
        }
        self.pass(event, next);
    }

    /// Has the stream opened without waiting for the upstream.
    pub(crate) fn open_at_once(&mut self) {
        self.pulse.beat_at_once();
    }
}

impl EventFilter for Stream {
    fn passes_by(&mut self, event: &Event) -> bool {
        let passes = self.note_delta(event);
        if passes {
            self.pulse.feel();
        }
        passes
    }

    fn event(&mut self, mut event: Event, next: &mut Events) {
        if event.is_comment() {
            return next.push(event);
        }
        if self.ended {
            // Only where the client's body goes on.
            return if self.tally.on(Fix::Linger) { Self::discard(&event, next) } else { next.push(event) };
        }
        self.pulse.feel();
        let kind = Kind::of(event.kind());
        if self.last_done.is_some() && kind != Kind::Terminal {
            self.release_done(next);
        }
        if matches!(kind, Kind::Created | Kind::Progress | Kind::Terminal) {
            // These are opened in any case, and to look for something behind their response takes
            // as long as to open them.
            event.object_mut();
        }
        let event = self.number(event, kind);
        if matches!(self.opened, Opened::Not)
            && !matches!(kind, Kind::Created | Kind::Progress | Kind::Other)
            && self.tally.on(Fix::MissingCreated)
        {
            self.tally.count(Fix::MissingCreated);
            self.open(next);
        }
        self.take(kind, event, next);
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        if self.poll_done(cx, next).is_ready() {
            return Poll::Ready(());
        }
        if self.ended || self.pulse.poll_silence(cx).is_pending() {
            return Poll::Pending;
        }
        self.release_done(next);
        if matches!(self.opened, Opened::Not) {
            self.open(next);
            return Poll::Ready(());
        }
        self.tally.count(Fix::Heartbeat);
        metrics::counter!("tower_responses_heartbeats_total").increment(1);
        let beat = lifecycle("response.in_progress", self.echo.response("in_progress"));
        if self.cut.is_holding() {
            self.cut.event(beat, next);
        } else {
            next.push(beat);
        }
        Poll::Ready(())
    }

    fn end(&mut self, end: StreamEnd, next: &mut Events) -> StreamEnd {
        if self.ended || !self.tally.on(Fix::MissingTerminal) {
            self.release_done(next);
            return if self.ended { StreamEnd::Clean } else { end };
        }
        self.tally.count(Fix::MissingTerminal);
        let failure = match &end {
            StreamEnd::Clean => Failure::server("the upstream's stream ended before the response was complete"),
            StreamEnd::Broken(error) => match error.downcast_ref::<Failure>() {
                Some(failure) => failure.clone(),
                None => Failure::server(format!("the upstream's stream broke off: {error}")),
            },
        };
        tracing::warn!(code = &*failure.code, "a stream of the upstream's ended without a terminal event");
        self.release_done(next);
        self.drop_blank(next);
        self.fail(&failure, next);
        StreamEnd::Clean
    }

    fn is_done(&self) -> bool {
        self.ended && self.tally.on(Fix::Linger)
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.pulse.poll_linger(cx)
    }
}

/// An event about the response as a whole.
fn lifecycle(kind: &str, response: Object) -> Event {
    let mut event = Object::new();
    event.set("type", kind);
    event.set("response", response);
    Event::new(event)
}
