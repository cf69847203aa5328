use std::{
    collections::VecDeque,
    fmt,
    task::{Context, Poll},
};

use super::Event;
use crate::BoxError;

/// Looks at the events of one stream, in order, and says what goes on towards the client.
///
/// Several filters share one stream: it is split once, each event is opened once, and what the
/// inner filter lets go on is what the next one sees.
pub trait EventFilter: Send {
    /// Whether an event may pass by this filter, which has seen all of it that it wants to see.
    /// Cheap to answer, it makes the common event cheap: a piece of text passes by whoever has no
    /// interest in text, or notes it and does not change it.
    ///
    /// Not asked while the filter holds something back. One that is not let pass comes to
    /// [`event`](Self::event), and may be asked about once more before that: only what passes may
    /// be noted here.
    fn passes_by(&mut self, event: &Event) -> bool {
        let _ = event;
        false
    }

    /// Takes one event. What is pushed into `next` goes on; nothing else does. An event that was
    /// left alone goes on as the bytes that came.
    fn event(&mut self, event: Event, next: &mut Events);

    /// Asked after each event and each end, before anything else happens in the stream: what the
    /// filter holds back until something outside is done (a write to a store) goes on from here.
    /// The stream stands still while this is pending.
    fn poll_flush(&mut self, cx: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        let _ = (cx, next);
        Poll::Ready(())
    }

    /// Asked whenever the upstream is silent. A filter with a timer pushes here what the silence
    /// calls for, answers `Ready` and is asked again. It answers `Pending` if there is nothing
    /// to do, having registered to be woken if there will be.
    fn poll_silence(&mut self, cx: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        let _ = (cx, next);
        Poll::Pending
    }

    /// Takes the end of the upstream's stream, which comes once. A filter that makes up for a
    /// broken end pushes events and answers [`StreamEnd::Clean`].
    fn end(&mut self, end: StreamEnd, next: &mut Events) -> StreamEnd {
        let _ = next;
        end
    }

    /// Whether the client has all that it will get. Then its body ends here, and the upstream's
    /// is read on for what is already there, so that its connection can be used again.
    fn is_done(&self) -> bool {
        false
    }

    /// Once some filter [is done](Self::is_done) and the upstream's body has not ended with what
    /// was there: ready when it has been waited for long enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}

/// How an upstream's stream ended.
#[derive(Debug)]
pub enum StreamEnd {
    /// Without an error; whether all was said is another matter.
    Clean,
    /// With an error of the connection or of the body.
    Broken(BoxError),
}

/// Events on their way from one filter to the next.
#[derive(Default)]
pub struct Events {
    pub(super) queue: VecDeque<Step>,
}

/// What stands in the queue between two filters.
#[derive(Debug)]
pub(super) enum Step {
    Event(Event),
    /// A numbered event that goes no further: those after it move up.
    Gap,
}

impl Events {
    /// Lets an event go on.
    pub fn push(&mut self, event: Event) {
        self.push_step(Step::Event(event));
    }

    /// Mostly one stands here at a time, and there are many queues in a server full of streams.
    pub(super) fn push_step(&mut self, step: Step) {
        let length = self.queue.len();
        if length == self.queue.capacity() {
            self.queue.reserve_exact(length.max(1));
        }
        self.queue.push_back(step);
    }

    /// Gives back the room of a queue that is empty and was long.
    pub(super) fn release(&mut self) {
        if self.queue.capacity() > 1 && self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Lets an event go no further; the numbers of later events close the gap.
    pub fn drop_event(&mut self, event: &Event) {
        if !event.is_comment() {
            self.push_step(Step::Gap);
        }
    }

    /// Hands the events that stand here to `each`, in order, which lets go on to `next` what it
    /// likes: for a filter that is made of others. Gaps go on by themselves.
    pub fn forward(&mut self, next: &mut Events, mut each: impl FnMut(Event, &mut Events)) {
        while let Some(step) = self.queue.pop_front() {
            match step {
                Step::Event(event) => each(event, next),
                Step::Gap => next.push_step(step),
            }
        }
    }

    /// The events that stand here, for tests of a filter alone.
    pub fn drain(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.queue.drain(..).filter_map(|step| match step {
            Step::Event(event) => Some(event),
            Step::Gap => None,
        })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.queue).finish()
    }
}
