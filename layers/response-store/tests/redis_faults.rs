//! The Redis store when servers fail and when there are several gateways.
#![cfg(feature = "redis")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::Gateway;
use serde_json::{Value, json};
use tower_responses_response_store::{RedisOptions, RedisStore, ResponseStore, ResponseStoreLayer, open};
use tower_responses_testing::servers::{Cluster, Redis};

fn gateway(store: Arc<dyn ResponseStore>) -> Gateway {
    Gateway::with_layer(&ResponseStoreLayer::with_cache(store, 0, Duration::from_secs(60)))
}

async fn next(gateway: &Gateway, previous: &Value) -> (u16, Value) {
    gateway.create_as(None, json!({"input": "next", "previous_response_id": previous["id"]})).await
}

/// Continues each until it can be, for so long; those that are unknown for good are counted.
async fn lost(gateway: &Gateway, stored: &[Value], patience: Duration) -> usize {
    let (start, mut lost) = (Instant::now(), 0);
    for answer in stored {
        loop {
            match next(gateway, answer).await.0 {
                200 => break,
                400 => {
                    lost += 1;
                    break;
                }
                _ => assert!(start.elapsed() < patience, "it does not come back"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_costs_no_answer_and_no_restart() {
    let Some(mut server) = Redis::start() else { return };
    let mut options = RedisOptions::default();
    options.timeout = Duration::from_secs(1);
    let gateway = gateway(Arc::new(RedisStore::open(&server.url(), options).await.unwrap()));
    let mut stored = vec![gateway.create(json!({"input": "a"})).await];
    for _ in 0..20 {
        let (_, answer) = next(&gateway, stored.last().unwrap()).await;
        assert_eq!(answer["store"], true);
        stored.push(answer);
    }
    server.kill();
    for stream in [false, true] {
        let answer = gateway.create(json!({"input": "b", "stream": stream})).await;
        assert_eq!((&answer["store"], &answer["status"]), (&json!(false), &json!("completed")));
    }
    assert_eq!(next(&gateway, &stored[0]).await.0, 503);
    server.restart();
    assert_eq!(lost(&gateway, &stored, Duration::from_secs(10)).await, 0, "every write was on the disk");
}

#[tokio::test]
async fn a_response_counts_as_stored_once_enough_replicas_have_it() {
    let Some(server) = Redis::start() else { return };
    let mut options = RedisOptions::default();
    options.wait_replicas = 1;
    options.timeout = Duration::from_millis(600);
    let alone = gateway(Arc::new(RedisStore::open(&server.url(), options).await.unwrap()));
    assert_eq!(alone.create(json!({"input": "a"})).await["store"], false, "there is no replica");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_a_cluster_and_a_primary_may_fail() {
    let Some(mut cluster) = Cluster::start() else { return };
    let url = format!("{}?wait=1", cluster.url());
    let gateways = [gateway(open(&url).await.unwrap()), gateway(open(&url).await.unwrap())];
    let mut stored = Vec::new();
    // Many conversations, so that every primary has some.
    for _ in 0..12 {
        let mut last = gateways[0].create(json!({"input": "a"})).await;
        for turn in 1..6 {
            let (status, answer) = next(&gateways[turn % 2], &last).await;
            assert_eq!((status, &answer["store"]), (200, &json!(true)), "{answer}");
            assert_eq!(gateways[turn % 2].last_seen()["input"].as_array().unwrap().len(), turn * 2 + 1);
            last = answer;
        }
        stored.push(last);
    }
    cluster.kill_a_primary(Duration::ZERO);
    let lost = lost(&gateways[0], &stored, Duration::from_secs(30)).await;
    assert_eq!(lost, 0, "each had reached a replica");
    let answer = gateways[1].create(json!({"input": "after"})).await;
    assert_eq!(answer["status"], "completed");
}

/// Removes or overwrites what the server has of a conversation: `b` the body of its first response,
/// `m` what is known of that, `x` the texts that are kept once.
fn damage(url: &str, kind: u8, with: Option<&str>) {
    let mut server = redis::Client::open(url).unwrap().get_connection().unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*:c:*").query(&mut server).unwrap();
    let [key] = &keys[..] else { panic!("one conversation") };
    let fields: Vec<(Vec<u8>, Vec<u8>)> = redis::cmd("HGETALL").arg(key).query(&mut server).unwrap();
    let (first, _) = fields.iter().find(|(name, value)| name[0] == b'm' && value[1] == 0).unwrap();
    let damaged: Vec<_> = fields.iter().map(|(name, _)| name).filter(|name| name[0] == kind).collect();
    let damaged = damaged.into_iter().filter(|name| kind == b'x' || name[1..] == first[1..]);
    let mut count = 0;
    for name in damaged {
        let mut command = redis::cmd(if with.is_some() { "HSET" } else { "HDEL" });
        command.arg(key).arg(name).arg(with).query::<i64>(&mut server).unwrap();
        count += 1;
    }
    assert!(count > 0);
}

#[tokio::test]
async fn damage_is_said_and_never_shortens_a_history() {
    let Some(server) = Redis::start() else { return };
    for (kind, with) in [(b'b', None), (b'b', Some("x")), (b'm', None), (b'x', None), (b'x', Some("x"))] {
        let gateway = gateway(open(&server.url()).await.unwrap());
        let first = gateway.create(json!({"input": "a"})).await;
        let (_, second) = next(&gateway, &first).await;
        damage(&server.url(), kind, with);
        let asked = gateway.times_asked();
        let (status, answer) = next(&gateway, &second).await;
        let kind = char::from(kind);
        assert_eq!((status, &answer["error"]["code"]), (500, &json!("stored_response_corrupt")), "{kind} {with:?}");
        assert_eq!(gateway.times_asked(), asked, "{kind} {with:?}");
        let mut server = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        redis::cmd("FLUSHALL").query::<()>(&mut server).unwrap();
    }
}
