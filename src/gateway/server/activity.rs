use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::ConnectionLimits;

/// The requests of all connections that carry more than one at once.
#[derive(Debug)]
pub(super) struct Requests {
    open: AtomicUsize,
    limit: usize,
}

impl Requests {
    pub(super) fn new(limit: usize) -> Self {
        Self { open: AtomicUsize::new(0), limit }
    }
}

/// What happens on one connection and what may, for whoever decides whether it ends.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) limits: ConnectionLimits,
    /// What its requests count among.
    requests: Option<Arc<Requests>>,
    answering: AtomicUsize,
    begun: AtomicUsize,
    is_blocked: AtomicBool,
    is_ending: AtomicBool,
}

/// A request that is being answered, until this is dropped.
pub(super) struct Answering(Arc<Activity>);

impl Activity {
    /// The requests count among those of all connections, if there are any.
    pub(super) fn new(limits: ConnectionLimits, requests: Option<Arc<Requests>>) -> Arc<Self> {
        let (answering, begun) = Default::default();
        let (is_blocked, is_ending) = Default::default();
        Arc::new(Self { limits, requests, answering, begun, is_blocked, is_ending })
    }

    /// Begins to answer a request. The flag says whether there are more than there may be.
    pub(super) fn begin(self: &Arc<Self>) -> (Answering, bool) {
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        let requests = self.requests.as_ref();
        let too_many = requests.is_some_and(|all| all.open.fetch_add(1, Ordering::Relaxed) >= all.limit);
        (Answering(self.clone()), too_many)
    }

    /// How many requests there were so far.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed) > 0
    }

    /// Whether the client has not yet taken what was written to it.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }

    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Whether the server ends.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Ordering::Relaxed);
        if let Some(requests) = &self.0.requests {
            requests.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
