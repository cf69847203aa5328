use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Wakes the task that drives a connection, unless that is what it is doing already.
///
/// Much of what wakes a connection is what its own task has just done: it has taken what was read,
/// so there is room for more. A wake-up for each of these would be a turn of the scheduler.
#[derive(Debug)]
pub(super) struct Relay {
    state: AtomicU8,
    task: Mutex<Waker>,
}

/// Nobody drives the connection: its task has to be woken.
const AT_REST: u8 = 0;
/// Its task does.
const DRIVEN: u8 = 1;
/// Its task does, and something has happened since it has begun.
const MISSED: u8 = 2;

/// How often a task goes on without giving way to others.
const TURNS: usize = 8;

impl Relay {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(AT_REST), task: Mutex::new(Waker::noop().clone()) })
    }

    /// Polls `drive` with a context whose wake-ups come here, again if it was woken meanwhile.
    pub(super) fn poll<T>(
        self: &Arc<Self>,
        relayed: &Waker,
        cx: &mut Context<'_>,
        mut drive: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.set_task(cx.waker());
        for _ in 0..TURNS {
            self.state.store(DRIVEN, Ordering::SeqCst);
            let driven = drive(&mut Context::from_waker(relayed));
            let ended = self.state.compare_exchange(DRIVEN, AT_REST, Ordering::SeqCst, Ordering::SeqCst);
            if driven.is_ready() || ended.is_ok() {
                self.state.store(AT_REST, Ordering::SeqCst);
                return driven;
            }
        }
        self.state.store(AT_REST, Ordering::SeqCst);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Forgets the task.
    pub(super) fn rest(&self) {
        self.set_task(Waker::noop());
    }

    fn set_task(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Err(AT_REST) = self.state.compare_exchange(DRIVEN, MISSED, Ordering::SeqCst, Ordering::SeqCst) {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
            task.wake();
        }
    }
}
