use tower_responses_core::sse::{Event, EventFilter, Events};

use super::{Stream, items::Item};
use crate::fix::Fix;

/// A message of which nothing but white space has come: its events are held until more comes, or
/// until it shows whether it stands next to a call.
#[derive(Debug)]
pub(super) struct Blank {
    /// Where the item stands; it is the last one.
    at: usize,
    events: Vec<Event>,
}

/// How many events of a blank message are held. One with more is no blank message.
const MAX_HELD: usize = 64;

impl Blank {
    pub(super) fn new(at: usize) -> Self {
        Self { at, events: Vec::new() }
    }

    pub(super) fn hold(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= MAX_HELD
    }
}

impl Stream {
    /// Lets the events of a message go on that was taken for blank.
    pub(super) fn release_blank(&mut self, next: &mut Events) {
        for event in self.blank.take().into_iter().flat_map(|blank| blank.events) {
            if self.tally.on(Fix::CutCall) {
                self.cut.event(event, next);
            } else {
                next.push(event);
            }
        }
    }

    /// Takes a blank message away.
    pub(super) fn drop_blank(&mut self, next: &mut Events) {
        let Some(blank) = self.blank.take() else { return };
        for event in &blank.events {
            Self::discard(event, next);
        }
        self.items.forget_last();
    }

    /// Says what becomes of a blank message, now that the next item has come (a call, or not) or
    /// the response has ended (`None`).
    pub(super) fn settle_blank(&mut self, next_is_call: Option<bool>, next: &mut Events) {
        let Some(blank) = &self.blank else { return };
        let after_call = blank.at.checked_sub(1).is_some_and(|at| self.items.get(at).is_call());
        // What is still written may yet be more, and what is written beside it has its place.
        let alone = self.items.all_done();
        if alone && (next_is_call == Some(true) || after_call) {
            self.tally.count(Fix::WhitespaceMessage);
            self.drop_blank(next);
            self.shift += 1;
        } else {
            // At the end of a response the end of the message is in doubt.
            let done = match &mut self.blank {
                Some(blank) if next_is_call.is_none() => blank
                    .events
                    .pop_if(|event| event.kind() == "response.output_item.done")
                    .map(|done| (done, blank.at)),
                _ => None,
            };
            self.release_blank(next);
            if let Some((done, at)) = done {
                let Item { class, index, .. } = *self.items.get(at);
                self.pass_done(done, class, index, next);
            }
        }
    }
}
