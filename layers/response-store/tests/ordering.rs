//! A response is stored before its client sees the end of it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use common::Gateway;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::Semaphore;
use tower_responses_response_store::{
    History, ItemKey, MemoryStore, Owner, Page, Place, Record, Removed, ResponseId, ResponseStore, Stats, StoreFuture,
    Stored,
};
use tower_responses_testing::create;

/// Writes only when it is let.
#[derive(Debug)]
struct Gated {
    inner: MemoryStore,
    gate: Arc<Semaphore>,
}

impl ResponseStore for Gated {
    fn put(&self, record: Arc<Record>) -> StoreFuture<()> {
        let (inner, gate) = (self.inner.clone(), self.gate.clone());
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            inner.put(record).await
        })
    }
    fn history(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<History>> {
        self.inner.history(owner, id)
    }
    fn get(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<Stored>> {
        self.inner.get(owner, id)
    }
    fn exists(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        self.inner.exists(owner, id)
    }
    fn delete(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        self.inner.delete(owner, id)
    }
    fn find_items(&self, owner: &Owner, items: Vec<ItemKey>) -> StoreFuture<Vec<Option<ResponseId>>> {
        self.inner.find_items(owner, items)
    }
    fn stats(&self) -> StoreFuture<Stats> {
        self.inner.stats()
    }
    fn prune(&self, older_than: Duration) -> StoreFuture<Removed> {
        self.inner.prune(older_than)
    }
    fn delete_owner(&self, owner: &Owner) -> StoreFuture<Removed> {
        self.inner.delete_owner(owner)
    }
    fn export(&self, owner: Option<&Owner>, after: Option<Place>) -> StoreFuture<Page> {
        self.inner.export(owner, after)
    }
}

#[tokio::test]
async fn the_last_event_waits_for_the_write_and_the_others_do_not() {
    let gate = Arc::new(Semaphore::new(0));
    let gateway = Gateway::new(Arc::new(Gated { inner: MemoryStore::default(), gate: gate.clone() }));
    let mut body = gateway.send(create(&json!({"input": "a", "stream": true}))).await.into_body();
    let mut text = String::new();
    let short = Duration::from_millis(50);
    while let Ok(frame) = tokio::time::timeout(short, body.frame()).await {
        text.push_str(std::str::from_utf8(&frame.unwrap().unwrap().into_data().unwrap()).unwrap());
    }
    assert!(text.contains("response.output_item.done") && !text.contains("response.completed"), "{text}");
    gate.add_permits(1);
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(std::str::from_utf8(&rest).unwrap().starts_with("event: response.completed"));
}

#[tokio::test]
async fn an_object_waits_for_the_write() {
    let gate = Arc::new(Semaphore::new(0));
    let gateway = Gateway::new(Arc::new(Gated { inner: MemoryStore::default(), gate: gate.clone() }));
    let request = gateway.send(create(&json!({"input": "a"})));
    let mut request = std::pin::pin!(request);
    assert!(tokio::time::timeout(Duration::from_millis(50), request.as_mut()).await.is_err());
    gate.add_permits(1);
    assert_eq!(request.await.status(), 200);
}
