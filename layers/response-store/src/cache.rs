//! Conversations that were used lately, so that their next turn asks no store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{Owner, ResponseId, Shared, Turn, aged::Aged, texts::Texts};

/// Turns in memory, up to a number of bytes; what was not used for longest goes first, by whole
/// conversations.
#[derive(Debug)]
pub(crate) struct Cache {
    inner: Mutex<Inner>,
    limit: usize,
    trusted: Duration,
}

#[derive(Debug)]
struct Inner {
    conversations: Aged<Branches>,
    texts: Texts,
}

#[derive(Debug)]
struct Branches {
    owner: Owner,
    turns: HashMap<[u8; 16], Cached>,
}

#[derive(Debug)]
struct Cached {
    previous: Option<ResponseId>,
    turn: Arc<Turn>,
    /// `None` where only later turns were asked for.
    shared: Option<Vec<Shared>>,
    confirmed: Instant,
}

/// A chain of turns, oldest first, that a new turn continues.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    pub(crate) turns: Vec<Arc<Turn>>,
    /// Of the last turn.
    pub(crate) shared: Vec<Shared>,
}

/// What the cache knows of a chain.
#[derive(Debug)]
pub(crate) enum Lookup {
    Missing,
    /// It was there so long ago that the store has to be asked whether it still is.
    Stale(Chain),
    Fresh(Chain),
}

/// What a turn takes beside its text.
const OVERHEAD: usize = 512;

impl Cache {
    /// A cache of this many bytes. A chain that was stored or read this long ago is not trusted
    /// any more: another process may have deleted it.
    pub(crate) fn new(limit: usize, trusted: Duration) -> Self {
        let inner = Inner { conversations: Aged::new(limit), texts: Texts::default() };
        Self { inner: Mutex::new(inner), limit, trusted }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn chain(&self, owner: &Owner, id: ResponseId) -> Lookup {
        if self.limit == 0 {
            return Lookup::Missing;
        }
        let found = self.with(|inner| {
            let found = inner.chain(owner, id);
            inner.conversations.touch(id.conversation());
            found
        });
        match found {
            None => Lookup::Missing,
            Some((chain, confirmed)) if confirmed.elapsed() > self.trusted => Lookup::Stale(chain),
            Some((chain, _)) => Lookup::Fresh(chain),
        }
    }

    /// Notes that the store still has the response.
    pub(crate) fn confirm(&self, id: ResponseId) {
        self.with(|inner| {
            let branches = inner.conversations.get_mut(id.conversation());
            if let Some(cached) = branches.and_then(|branches| branches.turns.get_mut(&id.own())) {
                cached.confirmed = Instant::now();
            }
        });
    }

    /// Takes a turn that the store has.
    pub(crate) fn insert(
        &self,
        owner: &Owner,
        id: ResponseId,
        previous: Option<ResponseId>,
        turn: Arc<Turn>,
        shared: Option<&[Shared]>,
    ) {
        if self.limit == 0 {
            return;
        }
        self.with(|inner| inner.insert(owner, id, previous, turn, shared));
    }

    pub(crate) fn remove(&self, id: ResponseId) {
        self.with(|inner| {
            if let Some(branches) = inner.conversations.remove(id.conversation()) {
                inner.forget(branches);
            }
        });
    }
}

impl Inner {
    fn chain(&self, owner: &Owner, id: ResponseId) -> Option<(Chain, Instant)> {
        let branches = self.conversations.get(id.conversation()).filter(|branches| branches.owner == *owner)?;
        let tip = branches.turns.get(&id.own())?;
        let shared = tip.shared.clone()?;
        let mut turns = vec![tip.turn.clone()];
        let mut previous = tip.previous;
        while let Some(id) = previous {
            let cached = branches.turns.get(&id.own())?;
            turns.push(cached.turn.clone());
            previous = cached.previous;
        }
        turns.reverse();
        Some((Chain { turns, shared }, tip.confirmed))
    }

    fn insert(
        &mut self,
        owner: &Owner,
        id: ResponseId,
        previous: Option<ResponseId>,
        turn: Arc<Turn>,
        shared: Option<&[Shared]>,
    ) {
        let conversation = id.conversation();
        let known = self.conversations.get(conversation).is_some_and(|branches| branches.turns.contains_key(&id.own()));
        if known && shared.is_none() {
            return;
        }
        let shared = shared.map(|shared| shared.iter().map(|shared| self.texts.keep(shared)).collect::<Vec<_>>());
        let bytes = turn.size() + OVERHEAD;
        let branches =
            self.conversations.entry(conversation, || Branches { owner: owner.clone(), turns: HashMap::new() });
        let cached = Cached { previous, turn, shared, confirmed: Instant::now() };
        let replaced = branches.turns.insert(id.own(), cached);
        match &replaced {
            Some(replaced) => self.release(replaced.shared.as_deref()),
            None => self.conversations.grow(conversation, bytes),
        }
        while let Some(branches) = self.conversations.pop_over(self.texts.bytes()) {
            self.forget(branches);
        }
    }

    fn forget(&mut self, branches: Branches) {
        for cached in branches.turns.into_values() {
            self.release(cached.shared.as_deref());
        }
    }

    fn release(&mut self, shared: Option<&[Shared]>) {
        for shared in shared.unwrap_or_default() {
            self.texts.release(shared.digest());
        }
    }
}

#[cfg(test)]
mod tests;
