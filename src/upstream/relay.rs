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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Driven {
        relay: Arc<Relay>,
        relayed: Waker,
        woken: Arc<Woken>,
        turns: usize,
    }

    impl Driven {
        fn new() -> Self {
            let relay = Relay::new();
            Self { relayed: relay.clone().into(), relay, woken: Arc::default(), turns: 0 }
        }

        /// Is woken in the first so many turns, and then has nothing to do.
        fn poll(&mut self, wakes: usize) -> Poll<()> {
            let (waker, mut turns) = (self.woken.clone().into(), 0);
            let polled = self.relay.poll(&self.relayed, &mut Context::from_waker(&waker), |cx| {
                turns += 1;
                if turns <= wakes {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            });
            self.turns = turns;
            polled
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn what_happens_while_it_is_driven_is_seen_to_at_once() {
        let mut driven = Driven::new();
        assert!(driven.poll(2).is_pending());
        assert_eq!((driven.turns, driven.woken()), (3, 0));
    }

    #[test]
    fn what_happens_at_rest_wakes_the_task() {
        let mut driven = Driven::new();
        assert!(driven.poll(0).is_pending());
        driven.relayed.wake_by_ref();
        assert_eq!((driven.turns, driven.woken()), (1, 1));
        driven.relay.rest();
        driven.relayed.wake_by_ref();
        assert_eq!(driven.woken(), 1, "nobody is interested any more");
    }

    #[test]
    fn the_task_gives_way_to_others() {
        let mut driven = Driven::new();
        assert!(driven.poll(usize::MAX).is_pending());
        assert_eq!((driven.turns, driven.woken()), (TURNS, 1));
    }

    #[test]
    fn what_was_waited_for_comes_at_once() {
        let driven = Driven::new();
        let waker = driven.woken.clone().into();
        let polled = driven.relay.poll(&driven.relayed, &mut Context::from_waker(&waker), |cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(1)
        });
        assert_eq!(polled, Poll::Ready(1));
        driven.relayed.wake_by_ref();
        assert_eq!(driven.woken(), 1, "it is at rest");
    }
}
