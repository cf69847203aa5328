//! The tasks of requests that come over HTTP/2.
//!
//! A client says for each answer how much of it may be sent. hyper waits for that without asking
//! the body for more, so neither the body nor the connection sees that nothing moves.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;

use super::{activity::Activity, patience::Patience};

tokio::task_local! {
    static HANDED: Arc<AtomicUsize>;
}

/// Counts what the body of an answer hands over: 0 while it has nothing for the client.
pub(super) struct Handed {
    shared: Arc<AtomicUsize>,
    count: usize,
}

impl Handed {
    /// For a body that is sent by the task of this.
    pub(super) fn here() -> Option<Self> {
        HANDED.try_with(|shared| Self { shared: shared.clone(), count: 0 }).ok()
    }

    /// Whether the client has to take something before the body is asked for more.
    pub(super) fn set(&mut self, handed: bool) {
        self.count += usize::from(handed);
        self.shared.store(if handed { self.count } else { 0 }, Ordering::Relaxed);
    }
}

/// Runs each request of a connection in a task of its own, which ends when the client does not
/// take the answer. That resets the request's stream, and no other.
#[derive(Clone)]
pub(super) struct StreamTasks {
    activity: Arc<Activity>,
}

impl StreamTasks {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self { activity }
    }
}

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let handed = Arc::<AtomicUsize>::default();
        let future = HANDED.scope(handed.clone(), future);
        let activity = self.activity.clone();
        tokio::spawn(StreamTask { future, activity, handed, waiting_for: 0, patience: None });
    }
}

pin_project! {
    struct StreamTask<F> {
        #[pin]
        future: TaskLocalFuture<Arc<AtomicUsize>, F>,
        activity: Arc<Activity>,
        handed: Arc<AtomicUsize>,
        // What the client was to take when it was looked last.
        waiting_for: usize,
        patience: Option<Patience>,
    }
}

impl<F: Future<Output = ()>> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let handed = this.handed.load(Ordering::Relaxed);
        if handed == 0 {
            *this.patience = None;
            return Poll::Pending;
        }
        if std::mem::replace(this.waiting_for, handed) != handed {
            *this.patience = None;
        }
        ready!(this.patience.get_or_insert_default().poll(cx, this.activity.limits.write_timeout, this.activity));
        tracing::debug!("a client does not take its answer");
        Poll::Ready(())
    }
}
