//! Large requests are in the file before their responses are.
#![cfg(feature = "sqlite")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::Gateway;
use http_body_util::BodyExt;
use rusqlite::Connection;
use serde_json::{Value, json};
use tower_responses_response_store::{ResponseStore, ResponseStoreLayer, open};

const LARGE: usize = 100_000;

/// A file with the name of the test.
fn file() -> PathBuf {
    let name = std::thread::current().name().unwrap().replace("::", "-");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlite-parts").join(name);
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    directory.join("store.db")
}

async fn open_at(file: &Path) -> Arc<dyn ResponseStore> {
    open(&format!("sqlite:{}", file.display())).await.unwrap()
}

/// Without a cache.
fn gateway(store: &Arc<dyn ResponseStore>) -> Gateway {
    Gateway::with_layer(&ResponseStoreLayer::with_cache(store.clone(), 0, Duration::from_secs(60)))
}

fn large(previous: &Value) -> Value {
    json!({"input": "x".repeat(LARGE), "previous_response_id": previous})
}

/// How many parts there are, and the longest body of a turn without its part.
fn rows(file: &Path) -> (i64, i64) {
    let connection = Connection::open(file).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).unwrap();
    (number("SELECT count(*) FROM part"), number("SELECT coalesce(max(length(body)), 0) FROM turn"))
}

/// A response to a large request for which the upstream takes its time.
async fn slow(gateway: &Gateway, previous: &Value) -> Value {
    gateway.reply(json!({"wait_ms": 20}));
    gateway.create(large(previous)).await
}

/// A large request whose response is waited for.
async fn under_way(gateway: &Gateway) -> tokio::task::JoinHandle<Value> {
    let gateway = gateway.clone();
    let asking = tokio::spawn(async move {
        gateway.reply(json!({"wait_ms": 500}));
        gateway.create(large(&Value::Null)).await
    });
    tokio::time::sleep(Duration::from_millis(250)).await;
    asking
}

async fn delete(gateway: &Gateway, response: &Value) {
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(gateway.call("DELETE", &path, None).await.0, 200);
}

#[tokio::test]
async fn a_large_request_is_written_while_its_response_is_waited_for() {
    let file = file();
    let store = open_at(&file).await;
    let asking = under_way(&gateway(&store)).await;
    assert_eq!(rows(&file), (1, 0), "nothing but the part");
    assert_eq!(store.stats().await.unwrap().responses, 0);
    let first = asking.await.unwrap();
    let (parts, longest) = rows(&file);
    assert_eq!(parts, 1);
    assert!(longest < 2_000, "the input was written twice: {longest}");
    assert!(store.stats().await.unwrap().bytes > LARGE as u64);

    // It reads as any other does, here and after a restart.
    for store in [store.clone(), open_at(&file).await] {
        let gateway = self::gateway(&store);
        let next = slow(&gateway, &first["id"]).await;
        let input = gateway.last_seen()["input"].as_array().unwrap().clone();
        assert_eq!(input.len(), 3);
        assert_eq!(input[0]["content"].as_str().unwrap().len(), LARGE);
        let page = store.export(None, None).await.unwrap();
        assert!(page.records.iter().all(|record| record.body.len() > LARGE));
        assert_eq!(rows(&file).0, 2);
        delete(&gateway, &next).await;
        assert_eq!(rows(&file).0, 1, "a part goes with its response");
    }
    delete(&gateway(&store), &first).await;
    assert_eq!(rows(&file).0, 0);
}

#[tokio::test]
async fn what_expires_takes_its_parts_along() {
    let file = file();
    let store = open_at(&file).await;
    slow(&gateway(&store), &Value::Null).await;
    assert_eq!(rows(&file).0, 1);
    assert_eq!(store.prune(Duration::ZERO).await.unwrap().responses, 1);
    assert_eq!(rows(&file).0, 0);
}

#[tokio::test]
async fn a_client_that_leaves_leaves_no_part_behind() {
    let file = file();
    let store = open_at(&file).await;
    let gateway = gateway(&store);
    gateway.reply(json!({"wait_ms": 60_000}));
    let asked = tokio::time::timeout(Duration::from_millis(250), gateway.create(large(&Value::Null)));
    assert!(asked.await.is_err());
    store.flush().await.unwrap();
    assert_eq!(rows(&file), (0, 0));
    // So does an upstream that does not make a response.
    gateway.reply(json!({"wait_ms": 20, "http": 500}));
    assert_eq!(gateway.create_as(None, large(&Value::Null)).await.0, 500);
    store.flush().await.unwrap();
    assert_eq!(rows(&file), (0, 0));
}

#[tokio::test]
async fn the_first_event_of_a_stream_does_not_wait_for_its_part() {
    let file = file();
    let store = open_at(&file).await;
    let gateway = gateway(&store);
    let mut request = large(&Value::Null);
    request["stream"] = true.into();
    for (events, parts) in [(1, 0), (2, 1)] {
        gateway.reply(json!({"wait_ms": 20, "hangs_after": events}));
        let mut body = gateway.send(tower_responses_testing::create(&request)).await.into_body();
        let mut text = Vec::new();
        while String::from_utf8_lossy(&text).matches("\n\n").count() < events {
            let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.unwrap();
            text.extend_from_slice(frame.unwrap().unwrap().data_ref().unwrap());
        }
        store.flush().await.unwrap();
        assert_eq!(rows(&file), (parts, 0), "after {events} events");
        drop(body);
        store.flush().await.unwrap();
        assert_eq!(rows(&file), (0, 0));
    }
    gateway.reply(json!({"wait_ms": 20}));
    let first = gateway.create(request).await;
    assert_eq!((first["store"].as_bool(), rows(&file).0), (Some(true), 1));
    gateway.create(json!({"input": "next", "previous_response_id": first["id"]})).await;
    assert_eq!(gateway.last_seen()["input"][0]["content"].as_str().unwrap().len(), LARGE);
}

#[tokio::test]
async fn a_part_that_has_gone_is_written_again() {
    let file = file();
    let store = open_at(&file).await;
    let gateway = gateway(&store);
    let asking = under_way(&gateway).await;
    assert_eq!(Connection::open(&file).unwrap().execute("DELETE FROM part", ()).unwrap(), 1);
    let first = asking.await.unwrap();
    assert_eq!(first["store"], true);
    assert_eq!(rows(&file).0, 0);
    gateway.create(json!({"input": "next", "previous_response_id": first["id"]})).await;
    assert_eq!(gateway.last_seen()["input"][0]["content"].as_str().unwrap().len(), LARGE);
}

#[tokio::test]
async fn a_response_whose_part_is_lost_is_damaged() {
    for damage in ["DELETE FROM part", "UPDATE part SET text = x'00'", "UPDATE part SET place = 1000000"] {
        let file = file();
        let store = open_at(&file).await;
        let gateway = gateway(&store);
        let first = slow(&gateway, &Value::Null).await;
        assert_eq!(Connection::open(&file).unwrap().execute(damage, ()).unwrap(), 1, "{damage}");
        let next = json!({"input": "next", "previous_response_id": first["id"]});
        let (status, answer) = gateway.create_as(None, next).await;
        assert_eq!((status, &answer["error"]["code"]), (500, &json!("stored_response_corrupt")), "{damage}");
        assert_eq!(gateway.times_asked(), 1, "{damage}");
    }
}

#[tokio::test]
async fn parts_of_responses_that_never_came_go_after_a_day() {
    let file = file();
    let store = open_at(&file).await;
    slow(&gateway(&store), &Value::Null).await;
    // As a process leaves it behind that is killed.
    let connection = Connection::open(&file).unwrap();
    connection.execute("INSERT INTO part (day, place, text) SELECT day, 5, x'00' FROM part", ()).unwrap();
    let prune = async || store.prune(Duration::from_secs(3600)).await.unwrap();
    prune().await;
    assert_eq!(rows(&file).0, 2, "its response may still come");
    connection.execute("UPDATE part SET day = day - 2", ()).unwrap();
    prune().await;
    let left: i64 = connection.query_row("SELECT length(text) FROM part", [], |row| row.get(0)).unwrap();
    assert!(left > 1, "the one in use stays");
}

#[tokio::test]
async fn a_file_of_the_first_version_is_read_on() {
    let file = file();
    let first = gateway(&open_at(&file).await).create(json!({"input": "first"})).await;
    let connection = Connection::open(&file).unwrap();
    let back = "DROP TRIGGER turn_removed; DROP INDEX turn_part; ALTER TABLE turn DROP COLUMN part; DROP TABLE part;
        PRAGMA user_version = 1";
    connection.execute_batch(back).unwrap();
    drop(connection);
    let gateway = gateway(&open_at(&file).await);
    slow(&gateway, &first["id"]).await;
    assert_eq!(gateway.last_seen()["input"].as_array().unwrap().len(), 3);
    assert_eq!(rows(&file).0, 1);
}
