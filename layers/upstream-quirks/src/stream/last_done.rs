//! The end of a message or of reasoning that may have been cut.
//!
//! A server that hits its token limit says first that the item is done and completed, and then
//! that the response is incomplete (vLLM 0.32). So the former waits for what comes next, which
//! for a terminal event is at once.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};
use tower_responses_core::sse::{Event, Events};

use super::{Stream, items::Class};
use crate::fix::Fix;

/// How long it waits at most: a server that was cut short has nothing left to think about.
const PATIENCE: Duration = Duration::from_millis(100);

/// A `response.output_item.done` that is held.
#[derive(Debug)]
pub(super) struct LastDone {
    event: Event,
    index: i64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl LastDone {
    pub(super) fn new(event: Event, index: i64) -> Box<Self> {
        Box::new(Self { event, index, timer: None })
    }
}

impl Stream {
    /// Holds the end of an item of this class if it can have been cut, else lets it go on.
    pub(super) fn pass_done(&mut self, event: Event, class: Class, index: i64, next: &mut Events) {
        let in_doubt = matches!(class, Class::Message | Class::Reasoning)
            && self.tally.on(Fix::IncompleteStatus)
            && self.blank.is_none()
            && !self.cut.is_holding();
        if in_doubt {
            self.last_done = Some(LastDone::new(event, index));
        } else {
            self.pass_item(event, next);
        }
    }

    /// Lets go on what is held: the response goes on after it.
    pub(super) fn release_done(&mut self, next: &mut Events) {
        if let Some(done) = self.last_done.take() {
            self.pass_item(done.event, next);
        }
    }

    /// The same at the end of a response, which was cut or not; the last item says so.
    pub(super) fn settle_done(&mut self, was_cut: bool, next: &mut Events) {
        let Some(mut done) = self.last_done.take() else { return };
        let is_last = self.items.all_done() && self.items.last().is_some_and(|last| last.index == done.index);
        if was_cut
            && is_last
            && let Some(item) = done.event.object_mut().and_then(|event| event.object_mut("item"))
            && !item.member_is("status", "incomplete")
        {
            item.set("status", "incomplete");
            self.tally.count(Fix::IncompleteStatus);
        }
        self.pass_item(done.event, next);
    }

    /// Ready once what is held has waited for long enough, and has gone on.
    pub(super) fn poll_done(&mut self, cx: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        let Some(done) = &mut self.last_done else { return Poll::Pending };
        let timer = done.timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.release_done(next);
        Poll::Ready(())
    }
}
