use http::Request;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .fold(Request::builder(), |b, (name, value)| b.header(*name, *value))
        .body(())
        .unwrap()
        .headers()
        .clone()
}

fn known() -> Arc<Known> {
    Arc::new(Known::new(Catalog::default(), Bytes::new()))
}

#[test]
fn keys_tell_credentials_and_addresses_apart() {
    let cache = Cache::new(4);
    let list = Uri::from_static("/v1/models");
    let a = cache.key(&headers(&[("authorization", "Bearer a")]), &list);
    assert_eq!(a, cache.key(&headers(&[("authorization", "Bearer a"), ("accept", "x")]), &list));
    for other in [
        headers(&[]),
        headers(&[("authorization", "Bearer b")]),
        headers(&[("x-api-key", "Bearer a")]),
        headers(&[("authorization", "Bearer a"), ("openai-project", "p")]),
    ] {
        assert_ne!(a, cache.key(&other, &list), "{other:?}");
    }
    assert_ne!(a, cache.key(&headers(&[("authorization", "Bearer a")]), &Uri::from_static("/v2/models")));
    assert_ne!(a, Cache::new(4).key(&headers(&[("authorization", "Bearer a")]), &list), "keyed by chance");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_makes_room() {
    let cache = Cache::new(2);
    for n in 0..5 {
        cache.keep(Key(n, n), known(), Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let kept: Vec<_> = (0..5).filter(|n| cache.find(Key(*n, *n)).is_some()).collect();
    assert_eq!(kept, [3, 4]);
    cache.keep(Key(3, 3), known(), Duration::from_secs(60));
    assert!(cache.find(Key(4, 4)).is_some(), "one that is there already needs no room");
}
