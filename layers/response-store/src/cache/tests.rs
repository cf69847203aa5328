use super::*;
use crate::turn::testing::TestTurn;

const MINUTE: Duration = Duration::from_secs(60);

fn insert(cache: &Cache, owner: &Owner, previous: Option<ResponseId>) -> ResponseId {
    let turn = TestTurn { owner, previous, input: &["in"], output: &["out"], tools: Some("[1]"), item: None };
    let record = turn.record();
    cache.insert(Kept { owner, id: record.id, previous, body: record.body, shared: Some(&record.shared) });
    record.id
}

fn length(cache: &Cache, owner: &Owner, id: ResponseId) -> Option<usize> {
    match cache.chain(owner, id) {
        Lookup::Fresh(chain) => Some(chain.turns.len()),
        Lookup::Stale(_) | Lookup::Missing => None,
    }
}

#[test]
fn chains_and_branches_are_found_for_their_owner() {
    let (cache, owner) = (Cache::new(1 << 20, MINUTE), Owner::anonymous());
    let root = insert(&cache, &owner, None);
    let left = insert(&cache, &owner, Some(root));
    let right = insert(&cache, &owner, Some(root));
    let deep = insert(&cache, &owner, Some(left));
    for (id, turns) in [(root, 1), (left, 2), (right, 2), (deep, 3)] {
        assert_eq!(length(&cache, &owner, id), Some(turns));
        assert_eq!(length(&cache, &Owner::named("other"), id), None);
    }
}

#[test]
fn a_chain_without_its_beginning_is_no_chain() {
    let (cache, owner) = (Cache::new(1 << 20, MINUTE), Owner::anonymous());
    let orphan = insert(&cache, &owner, Some(ResponseId::root()));
    assert_eq!(length(&cache, &owner, orphan), None);
}

#[test]
fn it_is_bounded_by_bytes_and_lets_whole_conversations_go() {
    let (cache, owner) = (Cache::new(6000, MINUTE), Owner::anonymous());
    let first = insert(&cache, &owner, None);
    let other = insert(&cache, &owner, None);
    let mut last = first;
    for _ in 0..4 {
        last = insert(&cache, &owner, Some(last));
    }
    assert_eq!(length(&cache, &owner, last), Some(5));
    for _ in 0..4 {
        insert(&cache, &owner, None);
        // Looked at again and again, it stays.
        assert_eq!(length(&cache, &owner, last), Some(5));
    }
    assert_eq!(length(&cache, &owner, other), None);
    let inner = cache.inner.lock().unwrap();
    assert!(inner.conversations.bytes() + inner.texts.bytes() <= 6000);
}

#[test]
fn trust_ends_and_is_renewed() {
    let (cache, owner) = (Cache::new(1 << 20, Duration::ZERO), Owner::anonymous());
    let id = insert(&cache, &owner, None);
    std::thread::sleep(Duration::from_millis(2));
    assert!(matches!(cache.chain(&owner, id), Lookup::Stale(_)));
    cache.remove(id);
    assert!(matches!(cache.chain(&owner, id), Lookup::Missing));
    assert!(matches!(Cache::new(0, MINUTE).chain(&owner, id), Lookup::Missing));
}

/// Quadratic work takes many times as long, on whatever machine.
#[test]
fn a_long_chain_is_taken_in_linear_time() {
    let (cache, owner, start) = (Cache::new(1 << 30, MINUTE), Owner::anonymous(), std::time::Instant::now());
    let root = insert(&cache, &owner, None);
    let body =
        TestTurn { owner: &owner, previous: None, input: &[], output: &[], tools: None, item: None }.record().body;
    let (mut previous, mut ids) = (root, vec![root]);
    for _ in 0..100_000 {
        let id = ResponseId::continuing(&root);
        let kept = Kept { owner: &owner, id, previous: Some(previous), body: body.clone(), shared: None };
        cache.insert(kept);
        (previous, _) = (id, ids.push(id));
    }
    for id in [ids[15], ids[16], ids[17], ids[50_000], previous] {
        cache.insert(Kept { owner: &owner, id, previous: Some(root), body: body.clone(), shared: Some(&[]) });
        let turns = ids.iter().position(|known| *known == id).unwrap_or_default() + 1;
        assert_eq!(length(&cache, &owner, id), Some(turns));
    }
    assert!(start.elapsed() < MINUTE, "{:?}", start.elapsed());
}
