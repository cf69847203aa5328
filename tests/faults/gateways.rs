//! Several gateways on one store.

use tower_responses_testing::servers::{Cluster, Postgres};

use crate::{
    client::{Seen, Turn, get},
    gateway,
    upstream::Upstream,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_postgres() {
    let Some(server) = Postgres::start() else { return };
    shared(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_a_cluster() {
    let Some(cluster) = Cluster::start() else { return };
    shared(&cluster.url()).await;
}

/// Turn by turn on the one and on the other. One is killed, in the middle of a stream, and comes
/// back later.
async fn shared(store: &str) {
    const CONVERSATIONS: usize = 8;
    let upstream = Upstream::start().await;
    let mut gateways = [gateway(&upstream, store), gateway(&upstream, store)];
    let mut tips: Vec<Option<Seen>> = vec![None; CONVERSATIONS];
    for turn in 0..16 {
        match turn {
            6 => {
                let answer = Turn::after(tips[0].as_ref()).held(&gateways[0].url, 3).await;
                gateways[0].kill();
                assert_eq!(get(&gateways[1].url, &answer.id().unwrap()).await.0, 404);
            }
            12 => gateways[0] = gateway(&upstream, store),
            _ => {}
        }
        // While one is gone the other has all turns.
        let at = if (6..12).contains(&turn) { 1 } else { turn % 2 };
        for (n, tip) in tips.iter_mut().enumerate() {
            let next = Turn::after(tip.as_ref());
            let next = if n % 2 == 0 { next } else { next.object() };
            let seen = next.ask(&gateways[at].url).await.answered();
            assert!(seen.stored, "turn {turn}");
            *tip = Some(seen);
        }
    }
    // What the one deletes is gone for the other.
    let id = &tips[0].as_ref().unwrap().id;
    let request = http::Request::delete(format!("{}/v1/responses/{id}", gateways[0].url));
    let deleted = crate::support::send(request.body(Default::default()).unwrap()).await;
    assert_eq!(deleted.status(), 200);
    assert!(Turn::after(tips[0].as_ref()).ask(&gateways[1].url).await.is_unknown());
}
