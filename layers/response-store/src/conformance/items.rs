//! Items that are found by their ids.

use std::time::Duration;

use super::{Store, get, owner, put, said, turn, with_item};
use crate::{
    ItemKey, MAX_ITEMS,
    turn::testing::{TestTurn, texts_of},
};

/// An item's id may be used again: the newest counts.
pub async fn finds_the_newest_item(store: Store) {
    let owner = owner();
    let with_message = |previous, text: &str| {
        TestTurn { owner: &owner, previous, input: &[], output: &[text], tools: None, item: Some("msg_1") }.record()
    };
    let item = ItemKey::new(&owner, "msg_1");
    let first = put(&store, with_message(None, "old")).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let second = put(&store, with_message(Some(first), "new")).await;
    assert_eq!(with_item(&store, &owner, item).await, Some(second));
    let found = get(&store, &owner, second).await.expect("it is there");
    assert_eq!(texts_of(&found.body), vec!["new".to_owned()]);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let third = put(&store, with_message(None, "other conversation")).await;
    assert_eq!(with_item(&store, &owner, item).await, Some(third));
    assert!(store.delete(&owner, third).await.expect("the store answers"));
    assert_ne!(with_item(&store, &owner, item).await, Some(third));
}

/// Many items are found at once: the answers stand in the order of what was asked for, and the same
/// may be asked for twice.
pub async fn finds_items_together(store: Store) {
    let owner = owner();
    let key = |number: usize| ItemKey::new(&owner, &format!("msg_{number}"));
    let mut ids = Vec::new();
    for response in 0..4 {
        let mut record = turn(&owner, ids.last().copied(), "text");
        record.items = (0..MAX_ITEMS).filter(|number| number % 4 == response).map(key).collect();
        ids.push(put(&store, record).await);
    }
    let found = store.find_items(&owner, (0..MAX_ITEMS).rev().map(key).collect()).await.expect("the store can be read");
    assert_eq!(found, (0..MAX_ITEMS).rev().map(|number| Some(ids[number % 4])).collect::<Vec<_>>());
    let asked = [1, 1_000, 1, 0].map(key).to_vec();
    let found = store.find_items(&owner, asked).await.expect("the store can be read");
    assert_eq!(found, [Some(ids[1]), None, Some(ids[1]), Some(ids[0])]);
    assert_eq!(store.find_items(&owner, Vec::new()).await.expect("the store can be read"), []);
}

/// Clients replay items with their ids.
pub async fn takes_the_same_items_again(store: Store) {
    let owner = owner();
    let mut previous = None;
    for _ in 0..3 {
        let mut record = turn(&owner, previous, "same");
        record.items = vec![ItemKey::new(&owner, "msg_1"), ItemKey::new(&owner, "msg_2")];
        previous = Some(put(&store, record).await);
    }
    assert_eq!(said(&store, &owner, previous.expect("it was put")).await.len(), 6);
}
