//! What `item_reference`s cost: each response that they lead to is read once, and they do not grow
//! a request beyond what one may be.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use common::Gateway;
use serde_json::{Value, json};
use tower_responses_core::rewrite::Limits;
use tower_responses_response_store::{
    History, ItemKey, MAX_ITEMS, MemoryStore, Owner, Page, Place, Record, Removed, ResponseId, ResponseStore,
    ResponseStoreLayer, Stats, StoreFuture, Stored,
};

/// Counts what it is asked for.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryStore,
    found: AtomicUsize,
    read: AtomicUsize,
}

impl Counting {
    /// How often items were looked for, and responses read, since this was asked last.
    fn counted(&self) -> (usize, usize) {
        (self.found.swap(0, Ordering::Relaxed), self.read.swap(0, Ordering::Relaxed))
    }
}

impl ResponseStore for Counting {
    fn put(&self, record: Arc<Record>) -> StoreFuture<()> {
        self.inner.put(record)
    }
    fn history(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<History>> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.inner.history(owner, id)
    }
    fn get(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<Stored>> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.inner.get(owner, id)
    }
    fn exists(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        self.inner.exists(owner, id)
    }
    fn delete(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        self.inner.delete(owner, id)
    }
    fn find_items(&self, owner: &Owner, items: Vec<ItemKey>) -> StoreFuture<Vec<Option<ResponseId>>> {
        assert!(items.len() <= MAX_ITEMS);
        self.found.fetch_add(1, Ordering::Relaxed);
        self.inner.find_items(owner, items)
    }
    fn stats(&self) -> StoreFuture<Stats> {
        self.inner.stats()
    }
    fn prune(&self, older_than: std::time::Duration) -> StoreFuture<Removed> {
        self.inner.prune(older_than)
    }
    fn delete_owner(&self, owner: &Owner) -> StoreFuture<Removed> {
        self.inner.delete_owner(owner)
    }
    fn export(&self, owner: Option<&Owner>, after: Option<Place>) -> StoreFuture<Page> {
        self.inner.export(owner, after)
    }
}

fn gateway() -> (Gateway, Arc<Counting>) {
    let store = Arc::new(Counting::default());
    (Gateway::new(store.clone()), store)
}

/// A message with an id, which says from which response it is.
fn message(id: usize, from: &str) -> Value {
    json!({"id": format!("msg_{id}"), "type": "message", "role": "user", "content": from})
}

fn reference(id: usize) -> Value {
    json!({"type": "item_reference", "id": format!("msg_{id}")})
}

fn messages(ids: impl Iterator<Item = usize>, from: &str) -> Vec<Value> {
    ids.map(|id| message(id, from)).collect()
}

#[tokio::test]
async fn a_response_is_read_once_however_many_of_its_items_are_referred_to() {
    let (gateway, store) = gateway();
    gateway.create(json!({"input": messages(0..60, "first")})).await;
    gateway.create(json!({"input": messages(50..110, "second")})).await;
    store.counted();
    for (ids, found, read) in
        [((0..50).collect::<Vec<_>>(), 1, 1), ((0..110).rev().collect(), 2, 2), (vec![7; 500], 1, 1)]
    {
        let input: Vec<_> = ids.iter().map(|id| reference(*id)).collect();
        gateway.create(json!({"input": input, "store": false})).await;
        let expected = ids.iter().map(|id| message(*id, if *id < 50 { "first" } else { "second" }));
        assert_eq!(gateway.last_seen()["input"], Value::from_iter(expected), "of items with one id the newest");
        assert_eq!(store.counted(), (found, read), "{} references", ids.len());
    }
}

#[tokio::test]
async fn what_the_conversation_has_is_not_looked_for() {
    let (gateway, store) = gateway();
    let first = gateway.create(json!({"input": messages(0..30, "first")})).await;
    let second =
        gateway.create(json!({"input": messages(20..50, "second"), "previous_response_id": first["id"]})).await;
    gateway.create(json!({"input": messages(45..60, "elsewhere")})).await;
    store.counted();
    let input: Vec<_> = (0..55).map(reference).collect();
    gateway.create(json!({"input": input, "previous_response_id": second["id"], "store": false})).await;
    let seen = gateway.last_seen()["input"].as_array().unwrap().clone();
    let from = |id: usize| {
        if id < 20 {
            "first"
        } else if id < 50 {
            "second"
        } else {
            "elsewhere"
        }
    };
    assert_eq!(seen[seen.len() - 55..], (0..55).map(|id| message(id, from(id))).collect::<Vec<_>>());
    assert_eq!(store.counted(), (1, 1), "the response elsewhere: the conversation is cached");
}

#[tokio::test]
async fn references_do_not_grow_a_request_beyond_its_limit() {
    let store = Arc::new(MemoryStore::default());
    let limits = Limits { request: 100_000, ..Limits::default() };
    let gateway = Gateway::with_layer(&ResponseStoreLayer::new(store).limits(limits));
    let item = message(1, &"x".repeat(9_000));
    let first = gateway.create(json!({"input": [item]})).await;
    for (count, status) in [(10, 200), (12, 413), (1_000, 413), (1_100, 413)] {
        for previous in [&Value::Null, &first["id"]] {
            let input: Vec<_> = (0..count).map(|_| reference(1)).collect();
            let body = json!({"input": input, "store": false, "previous_response_id": previous});
            let (got, answer) = gateway.create_as(None, body).await;
            assert_eq!(got, status, "{count}");
            if status == 413 {
                assert_eq!(answer["error"]["code"], "request_too_large");
                assert_eq!(answer["error"]["param"], "input");
            }
        }
    }
    assert_eq!(gateway.times_asked(), 3);
}
