use std::{
    collections::BTreeMap,
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tower_responses_core::BoxError;

use super::Held;

/// A body that is asked for more sees to its time itself, and gets so much longer for it.
const GRACE: Duration = Duration::from_secs(1);

/// The bodies that have to be at their end by some time. One that nobody asks for more, because
/// its client does not take what it has, is dropped then, with the place and the connection to the
/// upstream that it holds. One task sees to all of them.
#[derive(Default)]
pub(super) struct Deadlines {
    waiting: Mutex<Waiting>,
    sooner: Notify,
}

#[derive(Default)]
struct Waiting {
    bodies: BTreeMap<Key, Arc<Slot>>,
    count: u64,
    /// Whether the task is there.
    is_watched: bool,
}

type Key = (Instant, u64);

/// What can be taken away from a [`BoundedBody`].
struct Slot(Mutex<Option<Held>>);

impl Slot {
    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deadlines {
    pub(super) fn bound(self: &Arc<Self>, body: Held, end: Instant) -> BoundedBody {
        let slot = Arc::new(Slot(Mutex::new(Some(body))));
        let mut waiting = self.waiting();
        waiting.count += 1;
        let key = (end + GRACE, waiting.count);
        waiting.bodies.insert(key, slot.clone());
        let is_first = waiting.bodies.first_key_value().is_some_and(|(first, _)| *first == key);
        if !mem::replace(&mut waiting.is_watched, true) {
            tokio::spawn(watch(self.clone()));
        } else if is_first {
            self.sooner.notify_one();
        }
        drop(waiting);
        BoundedBody { slot, key, deadlines: self.clone() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the bodies whose time is over. When to look again, if there are others.
    fn drop_late(&self) -> Option<Instant> {
        let mut waiting = self.waiting();
        let later = waiting.bodies.split_off(&(Instant::now(), u64::MAX));
        let late = mem::replace(&mut waiting.bodies, later);
        let next = waiting.bodies.first_key_value().map(|((end, _), _)| *end);
        waiting.is_watched = next.is_some();
        drop(waiting);
        for slot in late.into_values() {
            let held = slot.held().take();
            if held.is_some() {
                tracing::debug!("a client has not taken its answer in time");
            }
        }
        next
    }
}

async fn watch(deadlines: Arc<Deadlines>) {
    while let Some(next) = deadlines.drop_late() {
        tokio::select! {
            () = sleep_until(next) => {}
            () = deadlines.sooner.notified() => {}
        }
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").finish_non_exhaustive()
    }
}

/// A body that can be taken away from whoever has it.
pub(super) struct BoundedBody {
    slot: Arc<Slot>,
    key: Key,
    deadlines: Arc<Deadlines>,
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self.slot.held() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(Some(Err("the answer was not taken in time".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.slot.held().as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.slot.held().as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for BoundedBody {
    fn drop(&mut self) {
        self.deadlines.waiting().bodies.remove(&self.key);
    }
}
