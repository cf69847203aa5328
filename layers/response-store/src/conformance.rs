//! What every store is held to, as tests that anybody can run on a store of their own.
//!
//! ```no_run
//! # mod doc {
//! use std::{sync::Arc, time::Duration};
//! use tower_responses_response_store::{ResponseStore, MemoryStore, store_conformance};
//!
//! // A store whose conversations live this long after their last turn. Each test makes its own.
//! async fn store(ttl: Duration) -> Arc<dyn ResponseStore> {
//!     Arc::new(MemoryStore::new(1 << 20, ttl))
//! }
//!
//! store_conformance!(store);
//! # }
//! ```
//!
//! The stores may share what they keep: no test looks at what it has not written, but for
//! [`Stats`](crate::Stats) that grow.

mod age;
mod items;

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    History, ItemKey, Owner, Record, ResponseId, ResponseStore, Shared, StoreErrorKind, Stored,
    turn::testing::{TestTurn, texts_of},
};

pub use self::{
    age::{counts_the_time_from_the_last_turn, forgets_after_the_time_to_live, keeps_for_ever, prunes_what_is_old},
    items::{finds_items_together, finds_the_newest_item, takes_the_same_items_again},
};

/// Long enough for no test to see the end of it.
pub const LONG: Duration = Duration::from_secs(3600);

/// Short enough to wait for.
pub const SHORT: Duration = Duration::from_secs(2);

/// No end at all.
pub const FOR_EVER: Duration = Duration::MAX;

#[doc(hidden)]
pub fn as_option(store: impl Into<Option<Store>>) -> Option<Store> {
    store.into()
}

/// Makes a `#[tokio::test]` of each requirement. Takes the name of an `async fn(Duration)` that
/// gives an `Arc<dyn ResponseStore>`, or an `Option` of one: a test without a store passes. Needs `tokio` with the features `macros`, `rt` and `time`.
#[macro_export]
macro_rules! store_conformance {
    ($store:path) => {
        $crate::store_conformance!(@tests $store, LONG:
            keeps_a_chain_in_order,
            keeps_every_byte,
            keeps_what_was_prepared,
            keeps_branches_apart,
            takes_branches_at_the_same_time,
            keeps_owners_apart,
            knows_nothing_of_unknown_ids,
            keeps_deleted_turns_for_their_continuations,
            deletes_what_has_no_continuation,
            refuses_to_continue_what_has_gone,
            finds_the_newest_item,
            finds_items_together,
            takes_the_same_items_again,
            keeps_shared_texts_once,
            goes_linear_over_a_thousand_turns,
            removes_an_owner,
            exports_everything_once,
            counts,
        );
        $crate::store_conformance!(@tests $store, SHORT:
            forgets_after_the_time_to_live,
            counts_the_time_from_the_last_turn,
        );
        $crate::store_conformance!(@tests $store, LONG: prunes_what_is_old,);
        $crate::store_conformance!(@tests $store, FOR_EVER: keeps_for_ever,);
    };
    (@tests $store:path, $ttl:ident: $($name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let store = $store($crate::conformance::$ttl).await;
                let Some(store) = $crate::conformance::as_option(store) else { return };
                $crate::conformance::$name(store).await;
            }
        )*
    };
}

/// The store under test.
pub type Store = Arc<dyn ResponseStore>;

/// An owner whom no other test has.
fn owner() -> Owner {
    Owner::named(&ResponseId::root().to_string())
}

fn turn(owner: &Owner, previous: Option<ResponseId>, text: &str) -> Record {
    TestTurn { owner, previous, input: &[text], output: &[&format!("re {text}")], tools: None, item: None }.record()
}

async fn put(store: &Store, record: Record) -> ResponseId {
    let id = record.id;
    store.put(Arc::new(record)).await.expect("the response is stored");
    id
}

async fn chain(store: &Store, owner: &Owner, texts: &[&str]) -> Vec<ResponseId> {
    let mut ids = Vec::new();
    for text in texts {
        ids.push(put(store, turn(owner, ids.last().copied(), text)).await);
    }
    ids
}

async fn history(store: &Store, owner: &Owner, id: ResponseId) -> Option<History> {
    store.history(owner, id).await.expect("the history is read")
}

async fn said(store: &Store, owner: &Owner, id: ResponseId) -> Vec<String> {
    let history = history(store, owner, id).await.expect("the response is there");
    history.links.iter().flat_map(|(_, body)| texts_of(body)).collect()
}

/// The newest response with this item.
async fn with_item(store: &Store, owner: &Owner, item: ItemKey) -> Option<ResponseId> {
    store.find_items(owner, vec![item]).await.expect("the store can be read")[0]
}

async fn get(store: &Store, owner: &Owner, id: ResponseId) -> Option<Stored> {
    store.get(owner, id).await.expect("the store can be read")
}

/// A chain comes back whole, in order and with its ids.
pub async fn keeps_a_chain_in_order(store: Store) {
    let owner = owner();
    let ids = chain(&store, &owner, &["a", "b", "c"]).await;
    assert_eq!(said(&store, &owner, ids[2]).await, ["a", "re a", "b", "re b", "c", "re c"]);
    assert_eq!(said(&store, &owner, ids[1]).await, ["a", "re a", "b", "re b"]);
    let links = history(&store, &owner, ids[2]).await.expect("it is there").links;
    assert_eq!(links.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    let last = get(&store, &owner, ids[2]).await.expect("it is there");
    assert_eq!((last.id, last.previous), (ids[2], Some(ids[1])));
    assert!(store.exists(&owner, ids[0]).await.expect("the store can be read"));
}

/// Bodies and shared texts come back as they were: zeros, long ones, every byte.
pub async fn keeps_every_byte(store: Store) {
    let owner = owner();
    let mut record = turn(&owner, None, &"é\u{0}\u{1F600}\"\\".repeat(50_000));
    let every: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    record.shared = vec![Shared::new(Bytes::new()), Shared::new(every.clone().into())];
    let (body, id) = (record.body.clone(), put(&store, record).await);
    let stored = get(&store, &owner, id).await.expect("it is there");
    assert_eq!(stored.body, body);
    assert_eq!(stored.shared.len(), 2);
    assert_eq!(stored.shared[0].text().len(), 0);
    assert_eq!(stored.shared[1].text(), &every[..]);
    assert_eq!(stored.owner, owner);
    let history = history(&store, &owner, id).await.expect("it is there");
    assert_eq!(history.shared, stored.shared);
    assert_eq!(history.links, [(id, body)]);
}

/// What was told ahead is part of the body, and nothing before that; a response that never comes
/// leaves nothing behind, and one that was abandoned can still come.
pub async fn keeps_what_was_prepared(store: Store) {
    let owner = owner();
    let first = put(&store, turn(&owner, None, "first")).await;
    let mut links = vec![first];
    for abandoned in [false, true] {
        let record = turn(&owner, links.last().copied(), &"a long text ".repeat(20_000));
        let (id, body) = (record.id, record.body.clone());
        store.prepare(id, 5, body.slice(5..200_000));
        store.flush().await.expect("the store can be written");
        assert!(get(&store, &owner, id).await.is_none());
        assert!(!store.exists(&owner, id).await.expect("the store can be read"));
        if abandoned {
            store.abandon(id);
        }
        links.push(put(&store, record).await);
        assert_eq!(get(&store, &owner, id).await.expect("it is there").body, body);
        let history = history(&store, &owner, id).await.expect("it is there");
        assert_eq!(history.links.last(), Some(&(id, body)));
        assert_eq!(history.links.iter().map(|(id, _)| *id).collect::<Vec<_>>(), links);
    }
    let never = ResponseId::continuing(&first);
    store.prepare(never, 0, Bytes::from_static(b"never"));
    store.abandon(never);
    store.flush().await.expect("the store can be written");
    assert!(get(&store, &owner, never).await.is_none());
    for id in links.into_iter().rev() {
        assert!(store.delete(&owner, id).await.expect("the store can be written"));
    }
}

/// Several turns may continue one.
pub async fn keeps_branches_apart(store: Store) {
    let owner = owner();
    let ids = chain(&store, &owner, &["a", "b"]).await;
    let left = put(&store, turn(&owner, Some(ids[0]), "left")).await;
    let right = put(&store, turn(&owner, Some(ids[0]), "right")).await;
    let deep = put(&store, turn(&owner, Some(left), "deep")).await;
    assert_eq!(said(&store, &owner, deep).await, ["a", "re a", "left", "re left", "deep", "re deep"]);
    assert_eq!(said(&store, &owner, right).await, ["a", "re a", "right", "re right"]);
    assert_eq!(said(&store, &owner, ids[1]).await, ["a", "re a", "b", "re b"]);
}

/// Also at the same time.
pub async fn takes_branches_at_the_same_time(store: Store) {
    let owner = owner();
    let root = put(&store, turn(&owner, None, "a")).await;
    let records: Vec<_> = (0..32).map(|n| Arc::new(turn(&owner, Some(root), &n.to_string()))).collect();
    let writes: Vec<_> = records.iter().map(|record| tokio::spawn(store.put(record.clone()))).collect();
    for write in writes {
        write.await.expect("no panic").expect("the response is stored");
    }
    for (n, record) in records.iter().enumerate() {
        let expected = ["a".to_owned(), "re a".to_owned(), n.to_string(), format!("re {n}")];
        assert_eq!(said(&store, &owner, record.id).await, expected);
    }
}

/// What belongs to another is answered as what does not exist, and cannot be continued.
pub async fn keeps_owners_apart(store: Store) {
    let (mine, theirs) = (owner(), owner());
    let mut record = turn(&mine, None, "secret");
    let item = ItemKey::new(&mine, "item");
    record.items = vec![item];
    let id = put(&store, record).await;
    assert!(history(&store, &theirs, id).await.is_none());
    assert!(get(&store, &theirs, id).await.is_none());
    assert!(!store.exists(&theirs, id).await.expect("the store can be read"));
    assert_eq!(with_item(&store, &theirs, item).await, None);
    assert!(!store.delete(&theirs, id).await.expect("the store answers"));
    let error = store.put(Arc::new(turn(&theirs, Some(id), "x"))).await.expect_err("it is not theirs");
    assert_eq!(error.kind(), StoreErrorKind::PreviousGone);
    assert!(get(&store, &mine, id).await.is_some());
}

/// Ids that were never stored.
pub async fn knows_nothing_of_unknown_ids(store: Store) {
    let owner = owner();
    let known = put(&store, turn(&owner, None, "a")).await;
    for id in [ResponseId::root(), ResponseId::continuing(&known)] {
        assert!(history(&store, &owner, id).await.is_none());
        assert!(get(&store, &owner, id).await.is_none());
        assert!(!store.exists(&owner, id).await.expect("the store can be read"));
        assert!(!store.delete(&owner, id).await.expect("the store answers"));
    }
    let item = ItemKey::new(&owner, "unknown");
    assert_eq!(with_item(&store, &owner, item).await, None);
}

/// A deleted turn is part of what continues it until the last of those is deleted.
pub async fn keeps_deleted_turns_for_their_continuations(store: Store) {
    let owner = owner();
    let ids = chain(&store, &owner, &["a", "b", "c"]).await;
    assert!(store.delete(&owner, ids[1]).await.expect("the store answers"));
    assert!(get(&store, &owner, ids[1]).await.is_none());
    assert!(history(&store, &owner, ids[1]).await.is_none());
    assert!(!store.delete(&owner, ids[1]).await.expect("the store answers"), "only once");
    assert_eq!(said(&store, &owner, ids[2]).await, ["a", "re a", "b", "re b", "c", "re c"]);
    let next = put(&store, turn(&owner, Some(ids[2]), "d")).await;
    assert_eq!(said(&store, &owner, next).await.len(), 8);
    for id in [ids[2], next, ids[0]] {
        assert!(store.delete(&owner, id).await.expect("the store answers"));
    }
    for id in ids {
        assert!(history(&store, &owner, id).await.is_none());
    }
}

/// After the last of a conversation has gone, nothing of it is left.
pub async fn deletes_what_has_no_continuation(store: Store) {
    let owner = owner();
    let mut record = turn(&owner, None, "a");
    let item = ItemKey::new(&owner, "msg_1");
    record.items = vec![item];
    let id = put(&store, record).await;
    assert!(store.delete(&owner, id).await.expect("the store answers"));
    assert!(get(&store, &owner, id).await.is_none());
    assert_eq!(with_item(&store, &owner, item).await, None);
    let mut exported = 0;
    let mut page = store.export(Some(&owner), None).await.expect("the store can be read");
    loop {
        exported += page.records.len();
        let Some(place) = page.next else { break };
        page = store.export(Some(&owner), Some(place)).await.expect("the store can be read");
    }
    assert_eq!(exported, 0);
}

/// A turn whose previous one has gone meanwhile is not stored: its history would be shorter.
pub async fn refuses_to_continue_what_has_gone(store: Store) {
    let owner = owner();
    let id = put(&store, turn(&owner, None, "a")).await;
    let late = turn(&owner, Some(id), "late");
    assert!(store.delete(&owner, id).await.expect("the store answers"));
    let late_id = late.id;
    let error = store.put(Arc::new(late)).await.expect_err("what it continues has gone");
    assert_eq!(error.kind(), StoreErrorKind::PreviousGone);
    assert!(get(&store, &owner, late_id).await.is_none(), "nothing of it is visible");
}

/// Sixty turns with the same 60 KB take less than three times that.
pub async fn keeps_shared_texts_once(store: Store) {
    let owner = owner();
    let tools = format!("[\"{}{}\"]", ResponseId::root(), "x".repeat(60_000));
    let before = store.stats().await.expect("the store can be read");
    let mut previous = None;
    for text in 0..60 {
        let text = text.to_string();
        let record =
            TestTurn { owner: &owner, previous, input: &[&text], output: &[], tools: Some(&tools), item: None };
        previous = Some(put(&store, record.record()).await);
    }
    let after = store.stats().await.expect("the store can be read");
    let grown = after.bytes + after.shared_bytes - before.bytes - before.shared_bytes;
    assert!(grown < 180_000, "{grown} bytes");
    let history = history(&store, &owner, previous.expect("it was put")).await.expect("it is there");
    assert!(history.shared.iter().any(|shared| shared.text() == tools.as_bytes()));
}

/// A long chain is read in time that is linear in its length.
pub async fn goes_linear_over_a_thousand_turns(store: Store) {
    let owner = owner();
    let mut ids = Vec::new();
    for n in 0..1000 {
        ids.push(put(&store, turn(&owner, ids.last().copied(), &n.to_string())).await);
    }
    let links = history(&store, &owner, ids[999]).await.expect("it is there").links;
    assert_eq!(links.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    let mut best = [Duration::MAX; 2];
    for _ in 0..5 {
        for (at, id) in [ids[199], ids[999]].into_iter().enumerate() {
            let start = std::time::Instant::now();
            history(&store, &owner, id).await;
            best[at] = best[at].min(start.elapsed());
        }
    }
    assert!(best[1] < best[0] * 15 + Duration::from_millis(5), "200 turns {:?}, 1000 turns {:?}", best[0], best[1]);
}

/// All of one owner goes, and nothing of another.
pub async fn removes_an_owner(store: Store) {
    let (mine, theirs) = (owner(), owner());
    let ids = chain(&store, &mine, &["a", "b"]).await;
    let other = chain(&store, &mine, &["c"]).await;
    let kept = chain(&store, &theirs, &["d"]).await;
    let removed = store.delete_owner(&mine).await.expect("the store answers");
    assert_eq!((removed.conversations, removed.responses), (2, 3));
    for id in [ids[0], ids[1], other[0]] {
        assert!(get(&store, &mine, id).await.is_none());
    }
    assert!(get(&store, &theirs, kept[0]).await.is_some());
}

/// An export has every response once, and deleted ones not at all.
pub async fn exports_everything_once(store: Store) {
    let (mine, theirs) = (owner(), owner());
    let mut ids = chain(&store, &mine, &["a", "b", "c"]).await;
    ids.extend(chain(&store, &mine, &["d"]).await);
    chain(&store, &theirs, &["e"]).await;
    assert!(store.delete(&mine, ids[1]).await.expect("the store answers"));
    ids.remove(1);
    let (mut seen, mut place) = (Vec::new(), None);
    loop {
        let page = store.export(Some(&mine), place).await.expect("the store can be read");
        for record in page.records {
            assert_eq!(record.owner, mine);
            assert!(!texts_of(&record.body).is_empty());
            seen.push(record.id);
        }
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), ids.len());
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), ids.into_iter().collect());
}

/// Stats grow with what is put.
pub async fn counts(store: Store) {
    let owner = owner();
    let before = store.stats().await.expect("the store can be read");
    chain(&store, &owner, &["a", "b"]).await;
    let after = store.stats().await.expect("the store can be read");
    assert!(after.conversations > before.conversations);
    assert!(after.responses >= before.responses + 2);
    assert!(after.bytes > before.bytes);
}
