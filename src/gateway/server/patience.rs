use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::Activity;

/// When a server ends, it waits so long for a client that does nothing.
const ENDING: Duration = Duration::from_secs(2);

/// How often it is looked at whether the server ends. Nobody has to tell those who wait.
const TICK: Duration = Duration::from_secs(1);

/// Waits for a client that has to do something, and not for ever.
#[derive(Debug, Default)]
pub(super) struct Patience {
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// The client has done it. Returns how long that has taken.
    pub(super) fn end(&mut self) -> Duration {
        self.since.take().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Ready when this has waited since its beginning for as long as it may.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, limit: Option<Duration>, activity: &Activity) -> Poll<()> {
        let mut now = Instant::now();
        let since = *self.since.get_or_insert(now);
        loop {
            let ending = activity.is_ending().then_some(ENDING);
            let over = limit.into_iter().chain(ending).min().and_then(|limit| since.checked_add(limit));
            if over.is_some_and(|over| over <= now) {
                return Poll::Ready(());
            }
            let due = over.into_iter().chain([now + TICK]).min().unwrap_or(now);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            // One that was set for an earlier wait goes off too early, which does no harm.
            if timer.is_elapsed() || timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(cx));
            now = Instant::now();
        }
    }
}
