use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tower_responses_core::BoxError;

use super::pool::PooledBody;

/// The times that a body has to keep. None of them is no bound.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    /// Between two pieces.
    pub(super) idle: Option<Duration>,
    /// For all of it: how long that is, and when it is over.
    pub(super) total: Option<(Duration, Instant)>,
}

impl Limits {
    pub(super) fn is_empty(&self) -> bool {
        self.idle.is_none() && self.total.is_none()
    }
}

/// A body that breaks off when nothing comes for too long, or when it goes on for too long.
///
/// There is one timer for the whole of it, set anew only when it goes off: the common frame costs
/// a look at the clock, and only if nothing more was there.
pub(super) struct TimedBody {
    body: PooledBody,
    limits: Limits,
    last: Instant,
    felt: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the timer wakes.
    waker: Option<Waker>,
}

impl TimedBody {
    pub(super) fn new(body: PooledBody, limits: Limits) -> Self {
        Self { body, limits, last: Instant::now(), felt: false, timer: None, waker: None }
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<TooLate> {
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
        let silent = self.limits.idle.map(|limit| (self.last + limit, TooLate::Silent(limit)));
        let over = self.limits.total.map(|(limit, end)| (end, TooLate::Over(limit)));
        let Some((due, late)) = silent.into_iter().chain(over).min_by_key(|(due, _)| *due) else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= due {
                return Poll::Ready(late);
            }
            timer.as_mut().reset(due);
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.felt = true;
            if let Some((limit, end)) = this.limits.total
                && Instant::now() >= end
            {
                return Poll::Ready(Some(Err(TooLate::Over(limit).into())));
            }
            return Poll::Ready(frame);
        }
        let late = ready!(this.poll_late(cx));
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why the body broke off.
#[derive(Debug)]
enum TooLate {
    Silent(Duration),
    Over(Duration),
}

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(f, "the upstream was silent for {} seconds", limit.as_secs_f32()),
            Self::Over(limit) => write!(f, "the upstream was not done within {} seconds", limit.as_secs_f32()),
        }
    }
}

impl std::error::Error for TooLate {}
