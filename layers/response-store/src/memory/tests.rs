use std::time::Instant;

use bytes::Bytes;

use super::*;

const MANY: usize = 100_000;

/// Quadratic work takes many times as long, on whatever machine.
const LONG: Duration = Duration::from_secs(60);

/// A conversation of very many turns that all bring the same item.
fn conversation(inner: &mut Inner, owner: &Owner, item: ItemKey) -> Vec<ResponseId> {
    let mut ids: Vec<ResponseId> = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let previous = ids.last().copied();
        let id = previous.map_or_else(ResponseId::root, |previous| ResponseId::continuing(&previous));
        let (owner, items) = (owner.clone(), vec![item]);
        inner.put(&Record { id, previous, owner, body: Bytes::new(), shared: Vec::new(), items }).expect("it is taken");
        ids.push(id);
    }
    ids
}

#[test]
fn a_long_conversation_is_removed_in_linear_time() {
    let (store, owner, start) = (MemoryStore::default(), Owner::anonymous(), Instant::now());
    let mut inner = store.lock();
    let item = ItemKey::new(&owner, "msg_1");
    let ids = conversation(&mut inner, &owner, item);
    assert_eq!(inner.find_item(&owner, item), ids.last().copied());
    // All of it goes with the last, which is the only one that nothing continues.
    for id in &ids {
        assert_eq!(inner.conversations.len(), 1);
        assert!(inner.delete(&owner, *id));
    }
    assert_eq!((inner.conversations.len(), inner.conversations.bytes(), inner.items.len()), (0, 0, 0));
    conversation(&mut inner, &owner, item);
    inner.delete_owner(&owner);
    assert_eq!((inner.conversations.len(), inner.conversations.bytes(), inner.items.len()), (0, 0, 0));
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}
