use super::*;

#[tokio::test]
async fn places_are_limited_and_given_back() {
    let connections = Connections::new();
    let first = connections.enter(2).unwrap();
    let second = connections.enter(2).unwrap();
    assert!(connections.enter(2).is_none());
    drop(first);
    assert_eq!(connections.open(), 1);
    drop(connections.enter(2).unwrap());
    drop(second);
    assert_eq!(connections.open(), 0);
    connections.closed().await;
}

#[tokio::test]
async fn closing_reaches_those_that_are_open_and_waits_for_them() {
    let connections = Connections::new();
    let mut place = connections.enter(1).unwrap();
    let served = tokio::spawn(async move { place.ending().await });
    assert!(!connections.is_closing());
    connections.shutdown().await;
    assert!(connections.is_closing());
    served.await.unwrap();
}
