//! The lists that are known, for each credential.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Uri};
use tokio::time::Instant;

use crate::Catalog;

/// Headers on which the list of an upstream may depend.
const CREDENTIALS: [&str; 6] =
    ["authorization", "x-api-key", "api-key", "openai-organization", "openai-project", "chatgpt-account-id"];

/// For whom a list was asked: a hash, keyed by chance, of the credentials and of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64, u64);

/// A catalog and what was made of it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) catalog: Catalog,
    /// The whole document.
    pub(crate) document: Bytes,
    /// The text of the upstream that it was made from.
    pub(crate) source: Bytes,
}

impl Known {
    pub(crate) fn new(catalog: Catalog, source: Bytes) -> Self {
        Self { document: catalog.document().text(), catalog, source }
    }
}

#[derive(Debug, Clone)]
struct Slot {
    known: Arc<Known>,
    asked: Instant,
    /// Until when nobody asks again.
    until: Instant,
    stale: bool,
}

/// What the cache has for a key.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) known: Arc<Known>,
    /// The age of the list.
    pub(crate) age: Duration,
    /// It is not yet time to ask again.
    pub(crate) fresh: bool,
    /// The last time that the upstream was asked, it gave no list.
    pub(crate) stale: bool,
}

/// The last known list of each of the credentials that asked last.
#[derive(Debug)]
pub(crate) struct Cache {
    slots: Mutex<HashMap<Key, Slot>>,
    hashers: [RandomState; 2],
    capacity: usize,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slots: Mutex::default(), hashers: [RandomState::new(), RandomState::new()], capacity: capacity.max(1) }
    }

    /// One of the same capacity with nothing in it.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.capacity)
    }

    pub(crate) fn key(&self, headers: &HeaderMap, list: &Uri) -> Key {
        let credentials = CREDENTIALS.map(|name| headers.get(name).map(http::HeaderValue::as_bytes));
        let asked = (credentials, list.path(), list.query());
        let [a, b] = &self.hashers;
        Key(a.hash_one(asked), b.hash_one(asked))
    }

    /// Whoever panicked while holding the lock cannot have left half a change.
    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, key: Key) -> Option<Found> {
        let now = Instant::now();
        self.slots().get(&key).map(|slot| Found {
            known: slot.known.clone(),
            age: now - slot.asked,
            fresh: now < slot.until,
            stale: slot.stale,
        })
    }

    /// Another credential's list that was made from the same text, to be shared.
    pub(crate) fn same(&self, source: &Bytes) -> Option<Arc<Known>> {
        self.slots().values().find(|slot| slot.known.source == *source).map(|slot| slot.known.clone())
    }

    pub(crate) fn keep(&self, key: Key, known: Arc<Known>, ttl: Duration) {
        let now = Instant::now();
        let mut slots = self.slots();
        if !slots.contains_key(&key)
            && slots.len() >= self.capacity
            && let Some(oldest) = slots.iter().min_by_key(|(_, slot)| slot.asked).map(|(key, _)| *key)
        {
            slots.remove(&oldest);
        }
        slots.insert(key, Slot { known, asked: now, until: now + ttl, stale: false });
    }

    /// The list stays, is marked, and nobody asks again for `pause`.
    pub(crate) fn mark_stale(&self, key: Key, pause: Duration) {
        if let Some(slot) = self.slots().get_mut(&key) {
            slot.stale = true;
            slot.until = Instant::now() + pause;
        }
    }

    pub(crate) fn forget(&self, key: Key) {
        self.slots().remove(&key);
    }
}

#[cfg(test)]
mod tests;
