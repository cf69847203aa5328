//! The PostgreSQL store when its server fails, when there are several gateways, and when what is
//! stored is damaged.
#![cfg(feature = "postgres")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::Gateway;
use serde_json::{Value, json};
use tower_responses_response_store::{
    PostgresOptions, PostgresStore, ResponseStore, ResponseStoreLayer, StoreErrorKind, open,
};
use tower_responses_testing::servers::Postgres;

fn gateway(store: Arc<dyn ResponseStore>) -> Gateway {
    Gateway::with_layer(&ResponseStoreLayer::with_cache(store, 0, Duration::from_secs(60)))
}

async fn open_with_timeout(server: &Postgres, timeout: Duration) -> Arc<dyn ResponseStore> {
    let mut options = PostgresOptions::default();
    options.timeout = timeout;
    Arc::new(PostgresStore::open(&server.url(), options).await.unwrap())
}

async fn next(gateway: &Gateway, previous: &Value) -> (u16, Value) {
    gateway.create_as(None, json!({"input": "next", "previous_response_id": previous["id"]})).await
}

async fn sql(server: &Postgres, statements: &str) {
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(statements).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn several_gateways_share_a_store_and_one_may_die() {
    let Some(server) = Postgres::start() else { return };
    // All at once, on a database without tables.
    let url = server.url();
    let opened = futures_util::future::join_all((0..8).map(|_| open(&url))).await;
    let mut gateways: Vec<_> = opened.into_iter().map(|store| gateway(store.unwrap())).collect();
    let mut last = gateways[0].create(json!({"input": "a"})).await;
    for turn in 1..20 {
        if turn == 10 {
            gateways.truncate(2);
        }
        let at = turn % gateways.len();
        let (status, answer) = next(&gateways[at], &last).await;
        assert_eq!((status, &answer["store"]), (200, &json!(true)), "{answer}");
        assert_eq!(gateways[at].last_seen()["input"].as_array().unwrap().len(), turn * 2 + 1);
        last = answer;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_costs_no_answer_and_no_restart() {
    let Some(mut server) = Postgres::start() else { return };
    let gateway = gateway(open_with_timeout(&server, Duration::from_secs(2)).await);
    let mut stored = vec![gateway.create(json!({"input": "a"})).await];
    for _ in 0..20 {
        let (_, answer) = next(&gateway, stored.last().unwrap()).await;
        stored.push(answer);
    }
    // Answers in flight when it goes.
    let load: Vec<_> = (0..8)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                let (start, mut answers) = (Instant::now(), Vec::new());
                while start.elapsed() < Duration::from_secs(3) {
                    answers.push(gateway.create(json!({"input": "b", "stream": true})).await);
                }
                answers
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.kill();
    let id = stored[0]["id"].as_str().unwrap();
    let response =
        gateway.send(tower_responses_testing::create(&json!({"input": "x", "previous_response_id": id}))).await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    let mut unstored = 0;
    for task in load {
        for answer in task.await.unwrap() {
            assert_eq!(answer["status"], "completed", "each is delivered");
            if answer["store"] == true { stored.push(answer) } else { unstored += 1 }
        }
    }
    assert!(unstored > 0);
    server.restart();
    let start = Instant::now();
    while next(&gateway, &stored[0]).await.0 != 200 {
        assert!(start.elapsed() < Duration::from_secs(5), "it does not come back");
    }
    for answer in &stored {
        assert_eq!(next(&gateway, answer).await.0, 200, "all that was said to be stored is");
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_waited_for_no_longer_than_was_said() {
    let Some(server) = Postgres::start() else { return };
    let gateway = gateway(open_with_timeout(&server, Duration::from_millis(500)).await);
    let first = gateway.create(json!({"input": "a"})).await;
    server.pause(true);
    let start = Instant::now();
    let answer = gateway.create(json!({"input": "b"})).await;
    assert_eq!(answer["store"], false);
    assert_eq!(next(&gateway, &first).await.0, 503);
    assert!(start.elapsed() < Duration::from_secs(3));
    server.pause(false);
    let start = Instant::now();
    while next(&gateway, &first).await.0 != 200 {
        assert!(start.elapsed() < Duration::from_secs(5), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn damage_is_said_and_never_shortens_a_history() {
    let Some(server) = Postgres::start() else { return };
    for (damage, expected) in [
        ("UPDATE response_turn SET body = '\\x00' WHERE previous IS NULL", 500),
        ("DELETE FROM response_turn WHERE previous IS NULL", 500),
        ("UPDATE response_turn SET previous = NULL", 500),
        ("DELETE FROM response_text", 500),
        ("UPDATE response_text SET text = '\\x00'", 500),
        ("DELETE FROM response_conversation", 400),
    ] {
        // A new store each time: one remembers which texts the server has.
        let gateway = gateway(open(&server.url()).await.unwrap());
        let first = gateway.create(json!({"input": "a"})).await;
        let (_, second) = next(&gateway, &first).await;
        sql(&server, damage).await;
        let asked = gateway.times_asked();
        let (status, answer) = next(&gateway, &second).await;
        assert_eq!(status, expected, "{damage}: {answer}");
        assert_eq!(gateway.times_asked(), asked, "{damage}");
        sql(&server, "TRUNCATE response_turn, response_text, response_item, response_conversation").await;
    }
}

#[tokio::test]
async fn newer_tables_are_refused_and_what_expires_is_removed() {
    let Some(server) = Postgres::start() else { return };
    let mut options = PostgresOptions::default();
    options.store.ttl = Duration::from_millis(300);
    options.upkeep = Duration::from_millis(200);
    let store: Arc<dyn ResponseStore> = Arc::new(PostgresStore::open(&server.url(), options).await.unwrap());
    gateway(store.clone()).create(json!({"input": "a"})).await;
    assert_eq!(store.stats().await.unwrap().responses, 1);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(store.stats().await.unwrap(), {
        let mut stats = tower_responses_response_store::Stats::default();
        stats.shared_bytes = store.stats().await.unwrap().shared_bytes;
        stats
    });
    sql(&server, "UPDATE response_schema SET version = version + 1").await;
    let error = open(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration);
    assert!(error.to_string().contains("newer"), "{error}");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_is_asked_for_and_the_certificate_is_checked() {
    let Some(server) = Postgres::start_with_tls() else { return };
    let url = format!("{}?sslmode=require", server.url());
    let roots = server.authority();
    let store = open(&format!("{url}&sslrootcert={}", roots.display())).await.unwrap();
    assert_eq!(gateway(store).create(json!({"input": "a"})).await["store"], true);
    let error = open(&url).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "it is not one of Mozilla's: {error}");
}
