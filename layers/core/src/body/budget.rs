use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::StatusCode;

use crate::ApiError;

/// How many bytes of request bodies may be held at once. Clones share what is left.
///
/// As an extension of a request it bounds what [`RequestBody::read`](crate::RequestBody::read)
/// holds of it, from the moment on at which a piece of the body comes until nobody holds a part of
/// it any more. A request for which nothing is left gets 503. The first bytes of every request are
/// free: small requests neither pay for large ones nor wait for them.
///
/// ```
/// use tower_responses_core::BodyBudget;
///
/// let budget = BodyBudget::new(100);
/// let mut reserved = budget.reserve(60).unwrap();
/// assert!(budget.reserve(60).is_none());
/// assert!(reserved.grow_to(100));
/// drop(reserved);
/// assert_eq!(budget.left(), 100);
/// ```
#[derive(Debug, Clone)]
pub struct BodyBudget(Arc<AtomicUsize>);

impl BodyBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes so many bytes, if they are left.
    pub fn reserve(&self, bytes: usize) -> Option<ReservedBytes> {
        self.take(bytes).then(|| ReservedBytes { budget: self.clone(), bytes })
    }

    /// The bytes that nobody holds.
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// What a client hears for whose request nothing is left.
    pub fn exhausted() -> ApiError {
        let message = "the gateway holds as many bytes of requests as it may";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).code("overloaded").retry_after(1)
    }

    fn take(&self, bytes: usize) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

/// Bytes of a [`BodyBudget`], given back when this is dropped.
pub struct ReservedBytes {
    budget: BodyBudget,
    bytes: usize,
}

impl ReservedBytes {
    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what is missing to `bytes`. Returns whether that was left; if not, nothing changes.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.bytes);
        let taken = missing == 0 || self.budget.take(missing);
        if taken {
            self.bytes += missing;
        }
        taken
    }
}

impl Drop for ReservedBytes {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for ReservedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReservedBytes({})", self.bytes)
    }
}
