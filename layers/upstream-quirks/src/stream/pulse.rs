use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// The timers of one stream: for its silence, and for what comes after its end.
#[derive(Debug)]
pub(super) struct Pulse {
    every: Duration,
    linger: Duration,
    /// When the last event was seen to have come.
    last: Instant,
    /// An event has come since.
    felt: bool,
    at_once: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the timer wakes.
    waker: Option<Waker>,
    lingering: bool,
}

impl Pulse {
    pub(super) fn new(every: Duration, linger: Duration) -> Self {
        Self {
            every,
            linger,
            last: Instant::now(),
            felt: false,
            at_once: false,
            timer: None,
            waker: None,
            lingering: false,
        }
    }

    /// Notes an event. The clock is read only when the stream comes to a halt.
    pub(super) fn feel(&mut self) {
        self.felt = true;
    }

    /// Lets the stream be found silent at once.
    pub(super) fn beat_at_once(&mut self) {
        self.at_once = true;
    }

    /// Ready when the stream has been silent for too long; then it begins anew.
    pub(super) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.at_once) {
            self.felt = true;
            return Poll::Ready(());
        }
        if self.every.is_zero() {
            return Poll::Pending;
        }
        if std::mem::take(&mut self.felt) {
            self.last = Instant::now();
        }
        if let (Some(timer), Some(waker)) = (&self.timer, &self.waker)
            && !timer.is_elapsed()
            && waker.will_wake(cx.waker())
        {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        let due = self.last + self.every;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            ready!(timer.as_mut().poll(cx));
            // Set once for each silence, not once for each event.
            if timer.deadline() < due {
                timer.as_mut().reset(due);
                continue;
            }
            self.last = Instant::now();
            timer.as_mut().reset(self.last + self.every);
            return Poll::Ready(());
        }
    }

    /// Ready when the upstream was given enough time to end its body.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = match &mut self.timer {
            Some(timer) if self.lingering => timer,
            timer => {
                self.lingering = true;
                timer.insert(Box::pin(sleep_until(Instant::now() + self.linger)))
            }
        };
        timer.as_mut().poll(cx)
    }
}
