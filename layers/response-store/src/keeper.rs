//! A store and the cache before it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::{
    ItemKey, MAX_ITEMS, Owner, Record, ResponseId, ResponseStore, StoreError, Stored, Turn,
    cache::{Cache, Chain, Kept, Lookup},
    pace::{Pace, let_others_go_on},
    references::References,
};

#[derive(Debug)]
pub(crate) struct Keeper {
    store: Arc<dyn ResponseStore>,
    cache: Cache,
}

impl Keeper {
    pub(crate) fn new(store: Arc<dyn ResponseStore>, cache_bytes: usize, trusted: Duration) -> Self {
        let cache_bytes = if store.is_in_memory() { 0 } else { cache_bytes };
        Self { store, cache: Cache::new(cache_bytes, trusted) }
    }

    pub(crate) fn store(&self) -> &dyn ResponseStore {
        &*self.store
    }

    /// The chain that ends with `id`, if it can be had without the store.
    pub(crate) fn cached(&self, owner: &Owner, id: ResponseId) -> Option<Chain> {
        match self.cache.chain(owner, id) {
            Lookup::Fresh(chain) => {
                metrics::counter!("tower_responses_store_hydrations_total", "from" => "cache").increment(1);
                Some(chain)
            }
            Lookup::Stale(_) | Lookup::Missing => None,
        }
    }

    /// The chain that ends with `id`.
    pub(crate) async fn chain(&self, owner: &Owner, id: ResponseId) -> Result<Option<Chain>, StoreError> {
        match self.cache.chain(owner, id) {
            Lookup::Fresh(chain) => return Ok(Some(chain)),
            Lookup::Stale(chain) => {
                if self.store.exists(owner, id).await? {
                    self.cache.confirm(id);
                    return Ok(Some(chain));
                }
                self.cache.remove(id);
                return Ok(None);
            }
            Lookup::Missing => {}
        }
        let Some(history) = self.store.history(owner, id).await? else { return Ok(None) };
        metrics::counter!("tower_responses_store_hydrations_total", "from" => "store").increment(1);
        let mut chain = Chain { turns: Vec::with_capacity(history.links.len()), shared: history.shared };
        let mut previous = None;
        let last = history.links.len().saturating_sub(1);
        let mut pace = Pace::default();
        for (at, (link, body)) in history.links.iter().enumerate() {
            pace.after(body.len()).await;
            let turn = Arc::new(Turn::decode(body)?);
            if turn.depth() != at {
                return Err(StoreError::corrupt("a turn of a conversation is missing"));
            }
            let shared = (at == last).then_some(&chain.shared[..]);
            if let Some(shared) = shared {
                turn.check(shared)?;
            }
            self.cache.insert(Kept { owner, id: *link, previous, body: body.clone(), shared });
            chain.turns.push(turn);
            previous = Some(*link);
        }
        match history.links.last() {
            Some((link, _)) if *link == id => Ok(Some(chain)),
            _ => Err(StoreError::corrupt("a conversation does not end with the response that was asked for")),
        }
    }

    /// Keeps in the cache what was stored.
    pub(crate) fn keep(&self, record: &Record) {
        self.cache.insert(Kept {
            owner: &record.owner,
            id: record.id,
            previous: record.previous,
            body: record.body.clone(),
            shared: Some(&record.shared),
        });
    }

    /// Finds the items that are still missing, each response that has some of them read once.
    /// Gives the id of one that no response of the owner has.
    pub(crate) async fn find(&self, owner: &Owner, references: &mut References) -> Result<Option<String>, StoreError> {
        // In the order in which they are referred to, each with an item for the one that has gone.
        let mut responses: Vec<(ResponseId, String)> = Vec::new();
        let mut known = HashSet::new();
        for ids in references.missing().chunks(MAX_ITEMS) {
            let keys = ids.iter().map(|id| ItemKey::new(owner, id)).collect();
            let found = self.store.find_items(owner, keys).await?;
            for (at, id) in ids.iter().enumerate() {
                let Some(Some(response)) = found.get(at).copied() else { return Ok(Some(id.clone())) };
                references.locate(id, response);
                if known.insert(response) {
                    responses.push((response, id.clone()));
                }
            }
        }
        for (response, id) in responses {
            let Some(stored) = self.store.get(owner, response).await? else { return Ok(Some(id)) };
            references.take_located(&Turn::decode(&stored.body)?, response);
            let_others_go_on().await;
        }
        Ok(references.missing().into_iter().next())
    }

    pub(crate) async fn get(&self, owner: &Owner, id: ResponseId) -> Result<Option<Stored>, StoreError> {
        self.store.get(owner, id).await
    }

    pub(crate) async fn delete(&self, owner: &Owner, id: ResponseId) -> Result<bool, StoreError> {
        self.cache.remove(id);
        let deleted = self.store.delete(owner, id).await;
        // A turn that went on meanwhile may have brought it back.
        self.cache.remove(id);
        deleted
    }
}
