//! Responses in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    Conversation, History, ItemKey, Owner, Page, Place, Record, Removed, ResponseId, ResponseStore, Shared, Stats,
    StoreError, StoreFuture, Stored, aged::Aged, texts::Texts,
};

/// Keeps responses in memory, up to a number of bytes. What is over it goes by whole
/// conversations, the one with the oldest last turn first. Nothing outlives the process.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    shared: Arc<Mutex<Inner>>,
    ttl: Duration,
}

#[derive(Debug)]
struct Inner {
    conversations: Aged<Tree>,
    texts: Texts,
    /// By the number of the response among all, which says which is the newest.
    items: BTreeMap<(ItemKey, u64), ResponseId>,
    next_number: u64,
    removed: Removed,
}

#[derive(Debug)]
struct Tree {
    owner: Owner,
    last: Instant,
    /// In the order in which they came.
    nodes: Vec<Node>,
    places: HashMap<[u8; 16], usize>,
}

#[derive(Debug)]
struct Node {
    id: ResponseId,
    number: u64,
    previous: Option<usize>,
    /// How many of those that continue it are not gone.
    continued: usize,
    body: bytes::Bytes,
    shared: Vec<Shared>,
    items: Vec<ItemKey>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    /// Deleted, and still part of others.
    Deleted,
    /// Nothing of it is left.
    Gone,
}

/// What a response takes beside its text.
const OVERHEAD: usize = 256;

impl MemoryStore {
    /// A store for this many bytes, in which a conversation lives this long after its last turn.
    pub fn new(max_bytes: usize, ttl: Duration) -> Self {
        let inner = Inner {
            conversations: Aged::new(max_bytes),
            texts: Texts::default(),
            items: BTreeMap::new(),
            next_number: 0,
            removed: Removed::default(),
        };
        Self { shared: Arc::new(Mutex::new(inner)), ttl }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> Result<T, StoreError>) -> StoreFuture<T>
    where
        T: Send + 'static,
    {
        let mut inner = self.lock();
        inner.expire(self.ttl);
        let result = work(&mut inner);
        drop(inner);
        Box::pin(std::future::ready(result))
    }
}

impl Default for MemoryStore {
    /// 1 GiB, 30 days.
    fn default() -> Self {
        Self::new(1 << 30, crate::DEFAULT_TTL)
    }
}

impl Node {
    fn bytes(&self) -> usize {
        OVERHEAD + self.body.len() + self.items.len() * 64
    }

    fn to_stored(&self, tree: &Tree) -> Stored {
        Stored {
            id: self.id,
            previous: self.previous.map(|at| tree.nodes[at].id),
            owner: tree.owner.clone(),
            body: self.body.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl Tree {
    fn live(&self, id: ResponseId) -> Option<&Node> {
        let node = &self.nodes[*self.places.get(&id.own())?];
        (node.state == State::Live).then_some(node)
    }
}

impl Inner {
    fn tree(&self, owner: &Owner, conversation: Conversation) -> Option<&Tree> {
        self.conversations.get(conversation).filter(|tree| tree.owner == *owner)
    }

    fn put(&mut self, record: &Record) -> Result<(), StoreError> {
        let conversation = record.id.conversation();
        let previous = match record.previous {
            None => None,
            Some(previous) => {
                let tree = self.tree(&record.owner, conversation).ok_or_else(StoreError::previous_gone)?;
                let at = *tree.places.get(&previous.own()).ok_or_else(StoreError::previous_gone)?;
                Some(at)
            }
        };
        let shared: Vec<_> = record.shared.iter().map(|shared| self.texts.keep(shared)).collect();
        let number = self.next_number;
        self.next_number += 1;
        let node = Node {
            id: record.id,
            number,
            previous,
            continued: 0,
            body: record.body.clone(),
            shared,
            items: record.items.clone(),
            state: State::Live,
        };
        for item in &node.items {
            self.items.insert((*item, number), record.id);
        }
        let bytes = node.bytes();
        let tree = self.conversations.grow(conversation, bytes, || Tree {
            owner: record.owner.clone(),
            last: Instant::now(),
            nodes: Vec::new(),
            places: HashMap::new(),
        });
        tree.last = Instant::now();
        tree.places.insert(record.id.own(), tree.nodes.len());
        if let Some(at) = previous {
            tree.nodes[at].continued += 1;
        }
        tree.nodes.push(node);
        while let Some(tree) = self.conversations.pop_over(self.texts.bytes()) {
            metrics::counter!("tower_responses_store_evicted_conversations_total").increment(1);
            self.forget(tree);
        }
        Ok(())
    }

    fn expire(&mut self, age: Duration) {
        while let Some(oldest) = self.conversations.oldest() {
            match self.conversations.get(oldest) {
                Some(tree) if tree.last.elapsed() >= age => {}
                _ => return,
            }
            if let Some(tree) = self.conversations.remove(oldest) {
                self.forget(tree);
            }
        }
    }

    /// Lets go of what a conversation that was taken out shares and is found by.
    fn forget(&mut self, tree: Tree) {
        self.removed.conversations += 1;
        for node in tree.nodes.into_iter().filter(|node| node.state != State::Gone) {
            self.removed.responses += 1;
            self.release(&node.shared, &node.items, node.number);
        }
    }

    fn release(&mut self, shared: &[Shared], items: &[ItemKey], number: u64) {
        shared.iter().for_each(|shared| self.texts.release(shared.digest()));
        for item in items {
            self.items.remove(&(*item, number));
        }
    }

    fn history(&self, owner: &Owner, id: ResponseId) -> Result<Option<History>, StoreError> {
        let Some(tree) = self.tree(owner, id.conversation()) else { return Ok(None) };
        let Some(tip) = tree.live(id) else { return Ok(None) };
        let mut links = vec![(tip.id, tip.body.clone())];
        let mut at = tip.previous;
        while let Some(node) = at.map(|at| &tree.nodes[at]) {
            if node.state == State::Gone {
                return Err(StoreError::corrupt("a link of the conversation is missing"));
            }
            links.push((node.id, node.body.clone()));
            at = node.previous;
        }
        links.reverse();
        Ok(Some(History { links, shared: tip.shared.clone() }))
    }

    fn delete(&mut self, owner: &Owner, id: ResponseId) -> bool {
        let conversation = id.conversation();
        if self.tree(owner, conversation).and_then(|tree| tree.live(id)).is_none() {
            return false;
        }
        let Some(tree) = self.conversations.get_mut(conversation) else { return false };
        let mut at = tree.places.get(&id.own()).copied();
        if let Some(at) = at {
            tree.nodes[at].state = State::Deleted;
        }
        // What is deleted and has no continuation goes, and so does what is left without by that.
        let mut gone = Vec::new();
        while let Some(place) = at {
            let node = &mut tree.nodes[place];
            if node.state != State::Deleted || node.continued > 0 {
                break;
            }
            node.state = State::Gone;
            gone.push((node.bytes(), std::mem::take(&mut node.shared), std::mem::take(&mut node.items), node.number));
            node.body = bytes::Bytes::new();
            at = node.previous;
            tree.places.remove(&node.id.own());
            if let Some(at) = at {
                tree.nodes[at].continued -= 1;
            }
        }
        let is_empty = tree.places.is_empty();
        for (bytes, shared, items, number) in gone {
            self.conversations.shrink(conversation, bytes);
            self.release(&shared, &items, number);
        }
        if is_empty {
            self.conversations.remove(conversation);
        }
        true
    }

    fn find_item(&self, owner: &Owner, item: ItemKey) -> Option<ResponseId> {
        let mut found = self.items.range((item, 0)..=(item, u64::MAX)).rev().map(|(_, id)| *id);
        found.find(|id| self.tree(owner, id.conversation()).is_some_and(|tree| tree.live(*id).is_some()))
    }

    fn stats(&self) -> Stats {
        let nodes = self.conversations.iter().flat_map(|(_, tree)| &tree.nodes);
        let mut stats = Stats {
            conversations: self.conversations.len() as u64,
            shared_bytes: self.texts.bytes() as u64,
            total_bytes: Some((self.conversations.bytes() + self.texts.bytes()) as u64),
            ..Stats::default()
        };
        for node in nodes.filter(|node| node.state != State::Gone) {
            stats.responses += 1;
            stats.bytes += node.body.len() as u64;
        }
        stats
    }

    fn removing(&mut self, work: impl FnOnce(&mut Self)) -> Removed {
        self.removed = Removed::default();
        work(self);
        std::mem::take(&mut self.removed)
    }

    fn delete_owner(&mut self, owner: &Owner) {
        let theirs: Vec<_> = self
            .conversations
            .iter()
            .filter(|(_, tree)| tree.owner == *owner)
            .map(|(conversation, _)| conversation)
            .collect();
        for conversation in theirs {
            if let Some(tree) = self.conversations.remove(conversation) {
                self.forget(tree);
            }
        }
    }

    /// One conversation per page, in the order of their bits.
    fn export(&self, owner: Option<&Owner>, after: Option<i64>) -> Page {
        let wanted = self.conversations.iter().filter(|(_, tree)| owner.is_none_or(|owner| tree.owner == *owner));
        let next = wanted
            .map(|(conversation, tree)| (conversation.to_i64(), tree))
            .filter(|(number, _)| after.is_none_or(|after| *number > after))
            .min_by_key(|(number, _)| *number);
        let Some((number, tree)) = next else { return Page::default() };
        let live = tree.nodes.iter().filter(|node| node.state == State::Live);
        Page {
            records: live.map(|node| node.to_stored(tree)).collect(),
            next: Some(Place(bytes::Bytes::copy_from_slice(&number.to_be_bytes()))),
        }
    }
}

impl ResponseStore for MemoryStore {
    fn put(&self, record: Arc<Record>) -> StoreFuture<()> {
        self.with(|inner| inner.put(&record))
    }

    fn history(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<History>> {
        self.with(|inner| inner.history(owner, id))
    }

    fn get(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<Stored>> {
        self.with(|inner| {
            let tree = inner.tree(owner, id.conversation());
            Ok(tree.and_then(|tree| Some(tree.live(id)?.to_stored(tree))))
        })
    }

    fn exists(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        self.with(|inner| Ok(inner.tree(owner, id.conversation()).and_then(|tree| tree.live(id)).is_some()))
    }

    fn delete(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        self.with(|inner| Ok(inner.delete(owner, id)))
    }

    fn find_items(&self, owner: &Owner, items: Vec<ItemKey>) -> StoreFuture<Vec<Option<ResponseId>>> {
        self.with(|inner| Ok(items.iter().map(|item| inner.find_item(owner, *item)).collect()))
    }

    fn stats(&self) -> StoreFuture<Stats> {
        self.with(|inner| Ok(inner.stats()))
    }

    fn prune(&self, older_than: Duration) -> StoreFuture<Removed> {
        self.with(|inner| Ok(inner.removing(|inner| inner.expire(older_than))))
    }

    fn delete_owner(&self, owner: &Owner) -> StoreFuture<Removed> {
        self.with(|inner| Ok(inner.removing(|inner| inner.delete_owner(owner))))
    }

    fn export(&self, owner: Option<&Owner>, after: Option<Place>) -> StoreFuture<Page> {
        let after = after.and_then(|place| Some(i64::from_be_bytes(place.0.as_ref().try_into().ok()?)));
        self.with(|inner| Ok(inner.export(owner, after)))
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
