//! What goes with time.

use std::time::Duration;

use super::{SHORT, Store, chain, get, history, owner, put, said, turn, with_item};
use crate::ItemKey;

/// What is older than the time to live does not exist.
pub async fn forgets_after_the_time_to_live(store: Store) {
    let owner = owner();
    let mut record = turn(&owner, None, "a");
    let item = ItemKey::new(&owner, "msg_1");
    record.items = vec![item];
    let id = put(&store, record).await;
    assert!(get(&store, &owner, id).await.is_some());
    tokio::time::sleep(SHORT + Duration::from_millis(500)).await;
    assert!(get(&store, &owner, id).await.is_none());
    assert!(history(&store, &owner, id).await.is_none());
    assert!(!store.exists(&owner, id).await.expect("the store can be read"));
    assert_eq!(with_item(&store, &owner, item).await, None);
}

/// The first turn of a conversation that goes on does not expire before the last.
pub async fn counts_the_time_from_the_last_turn(store: Store) {
    let owner = owner();
    let mut ids = chain(&store, &owner, &["0"]).await;
    for n in 1..4 {
        tokio::time::sleep(SHORT / 2).await;
        ids.push(put(&store, turn(&owner, ids.last().copied(), &n.to_string())).await);
    }
    assert_eq!(said(&store, &owner, ids[3]).await.len(), 8);
    assert!(get(&store, &owner, ids[0]).await.is_some());
}

/// An operator can remove what was not used for some time.
pub async fn prunes_what_is_old(store: Store) {
    let owner = owner();
    let old = chain(&store, &owner, &["a", "b"]).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let new = chain(&store, &owner, &["c"]).await;
    let removed = store.prune(Duration::from_millis(1000)).await.expect("the store answers");
    assert!(removed.conversations >= 1 && removed.responses >= 2, "{removed:?}");
    assert!(get(&store, &owner, old[1]).await.is_none());
    assert!(get(&store, &owner, new[0]).await.is_some());
}

/// Unless it is kept for ever, which does not keep an operator from removing it.
pub async fn keeps_for_ever(store: Store) {
    let owner = owner();
    let mut record = turn(&owner, None, "a");
    let item = ItemKey::new(&owner, "msg_1");
    record.items = vec![item];
    let first = put(&store, record).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let second = put(&store, turn(&owner, Some(first), "b")).await;
    assert_eq!(said(&store, &owner, second).await, ["a", "re a", "b", "re b"]);
    assert!(get(&store, &owner, first).await.is_some());
    assert_eq!(with_item(&store, &owner, item).await, Some(first));
    let exported = store.export(Some(&owner), None).await.expect("the store can be read");
    assert!(!exported.records.is_empty() || exported.next.is_some());
    let removed = store.prune(Duration::from_millis(1000)).await.expect("the store answers");
    assert_eq!(removed.conversations, 0, "it was continued since");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let removed = store.prune(Duration::from_millis(1000)).await.expect("the store answers");
    assert!(removed.conversations >= 1 && removed.responses >= 2, "{removed:?}");
    assert!(get(&store, &owner, second).await.is_none());
}
