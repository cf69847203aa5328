//! Conversations that were used lately, so that their next turn asks no store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;

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

/// The turns of one conversation, in the order in which they came.
#[derive(Debug)]
struct Branches {
    owner: Owner,
    turns: Vec<Cached>,
    /// Where those stand that came after the first few.
    later: HashMap<[u8; 16], usize>,
}

/// So many turns are looked through one by one: many a conversation has no more.
const FEW: usize = 16;

#[derive(Debug)]
struct Cached {
    own: [u8; 16],
    previous: Option<usize>,
    body: Bytes,
    /// Read when it is wanted for the first time.
    turn: OnceLock<Arc<Turn>>,
    /// `None` where only later turns were asked for.
    shared: Option<Vec<Shared>>,
    confirmed: Instant,
}

impl Branches {
    fn position(&self, id: ResponseId) -> Option<usize> {
        let first = &self.turns[..self.turns.len().min(FEW)];
        let later = self.later.get(&id.own()).copied();
        later.or_else(|| first.iter().rposition(|cached| cached.own == id.own()))
    }

    fn push(&mut self, turn: Cached) {
        if self.turns.len() >= FEW {
            self.later.insert(turn.own, self.turns.len());
        }
        self.turns.push(turn);
    }
}

impl Cached {
    /// What is here was whole when it came.
    fn turn(&self) -> Option<Arc<Turn>> {
        if let Some(turn) = self.turn.get() {
            return Some(turn.clone());
        }
        let turn = Arc::new(Turn::decode(&self.body).ok()?);
        Some(self.turn.get_or_init(|| turn).clone())
    }
}

/// A turn that the store has.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) id: ResponseId,
    pub(crate) previous: Option<ResponseId>,
    pub(crate) body: Bytes,
    pub(crate) shared: Option<&'a [Shared]>,
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
            let Some(branches) = inner.conversations.get_mut(id.conversation()) else { return };
            if let Some(at) = branches.position(id) {
                branches.turns[at].confirmed = Instant::now();
            }
        });
    }

    /// Takes a turn, if what it continues is here as well.
    pub(crate) fn insert(&self, kept: Kept<'_>) {
        if self.limit > 0 {
            self.with(|inner| inner.insert(kept));
        }
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
        let tip = &branches.turns[branches.position(id)?];
        let shared = tip.shared.clone()?;
        let mut turns = vec![tip.turn()?];
        let mut previous = tip.previous;
        while let Some(at) = previous {
            let cached = &branches.turns[at];
            turns.push(cached.turn()?);
            previous = cached.previous;
        }
        turns.reverse();
        Some((Chain { turns, shared }, tip.confirmed))
    }

    fn insert(&mut self, kept: Kept<'_>) {
        let conversation = kept.id.conversation();
        let branches = self.conversations.get(conversation);
        let known = branches.and_then(|branches| branches.position(kept.id));
        let previous = match kept.previous {
            None => None,
            Some(previous) => match branches.and_then(|branches| branches.position(previous)) {
                None => return,
                found => found,
            },
        };
        if known.is_some() && kept.shared.is_none() {
            return;
        }
        let shared = kept.shared.map(|shared| shared.iter().map(|shared| self.texts.keep(shared)).collect::<Vec<_>>());
        let bytes = kept.body.len() + OVERHEAD;
        if let Some(at) = known {
            let Some(branches) = self.conversations.get_mut(conversation) else { return };
            let replaced = std::mem::replace(&mut branches.turns[at].shared, shared);
            branches.turns[at].confirmed = Instant::now();
            self.release(replaced.as_deref());
            return;
        }
        // Many a conversation has one turn.
        let make = || Branches { owner: kept.owner.clone(), turns: Vec::with_capacity(1), later: HashMap::new() };
        let branches = self.conversations.grow(conversation, bytes, make);
        branches.push(Cached {
            own: kept.id.own(),
            previous,
            body: kept.body,
            turn: OnceLock::new(),
            shared,
            confirmed: Instant::now(),
        });
        while let Some(branches) = self.conversations.pop_over(self.texts.bytes()) {
            self.forget(branches);
        }
    }

    fn forget(&mut self, branches: Branches) {
        for cached in branches.turns {
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
