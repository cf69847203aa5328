//! The SQLite store and what can happen to its file.
#![cfg(feature = "sqlite")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use common::Gateway;
use rusqlite::Connection;
use serde_json::{Value, json};
use tower_responses_response_store::{
    Owner, Record, ResponseId, ResponseStore, ResponseStoreLayer, StoreErrorKind, open,
};

/// An empty directory with the name of the test.
fn directory() -> PathBuf {
    let name = std::thread::current().name().unwrap().replace("::", "-");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlite").join(name);
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

async fn open_at(file: &Path) -> Arc<dyn ResponseStore> {
    open(&format!("sqlite:{}", file.display())).await.unwrap()
}

fn layer(store: Arc<dyn ResponseStore>, cache: usize) -> ResponseStoreLayer {
    ResponseStoreLayer::with_cache(store, cache, Duration::from_secs(60))
}

async fn chain(gateway: &Gateway, turns: usize) -> Value {
    let mut last = Value::Null;
    for n in 0..turns {
        let body = json!({"input": format!("turn {n}"), "previous_response_id": last["id"], "stream": n % 2 == 0});
        last = gateway.create(body).await;
        assert_eq!(last["store"], true);
    }
    last
}

async fn next(gateway: &Gateway, previous: &Value) -> (u16, Value, usize) {
    let answer = gateway.create_as(None, json!({"input": "next", "previous_response_id": previous["id"]})).await;
    let items = gateway.last_seen()["input"].as_array().map_or(1, Vec::len);
    (answer.0, answer.1, items)
}

#[tokio::test]
async fn a_conversation_outlives_the_process_with_and_without_a_cache() {
    for cache in [0, 1 << 20] {
        let file = directory().join("store.db");
        let last = chain(&Gateway::with_layer(&layer(open_at(&file).await, cache)), 5).await;
        let gateway = Gateway::with_layer(&layer(open_at(&file).await, cache));
        let (status, answer, items) = next(&gateway, &last).await;
        assert_eq!((status, items), (200, 11), "{answer}");
        let (status, _, items) = next(&gateway, &answer).await;
        assert_eq!((status, items), (200, 13));
    }
}

#[tokio::test]
async fn a_hot_conversation_asks_no_store() {
    let file = directory().join("store.db");
    let gateway = Gateway::with_layer(&layer(open_at(&file).await, 1 << 20));
    let last = chain(&gateway, 3).await;
    // What the cache has needs no rows.
    Connection::open(&file).unwrap().execute("UPDATE turn SET body = x'00' WHERE previous IS NULL", ()).unwrap();
    assert_eq!(next(&gateway, &last).await.0, 200);
}

#[tokio::test]
async fn a_small_cache_lets_conversations_go_and_reads_them_again() {
    let file = directory().join("store.db");
    let gateway = Gateway::with_layer(&layer(open_at(&file).await, 4000));
    let mut lasts = Vec::new();
    for _ in 0..8 {
        lasts.push(chain(&gateway, 3).await);
    }
    for last in &lasts {
        let (status, _, items) = next(&gateway, last).await;
        assert_eq!((status, items), (200, 7));
    }
}

#[tokio::test]
async fn what_another_process_deletes_is_gone_here_once_trust_ends() {
    let file = directory().join("store.db");
    let trusting = ResponseStoreLayer::with_cache(open_at(&file).await, 1 << 20, Duration::ZERO);
    let here = Gateway::with_layer(&trusting);
    let there = Gateway::with_layer(&layer(open_at(&file).await, 0));
    let last = chain(&here, 2).await;
    assert_eq!(next(&here, &last).await.0, 200);
    let path = format!("/v1/responses/{}", last["id"].as_str().unwrap());
    assert_eq!(there.call("DELETE", &path, None).await.0, 200);
    assert_eq!(next(&here, &last).await.0, 400);
}

/// The pages in the log, and how many of them are written back.
fn log_of(file: &Path) -> (i64, i64) {
    let pages = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(2)?));
    Connection::open(file).unwrap().query_row("PRAGMA wal_checkpoint(NOOP)", (), pages).unwrap()
}

#[tokio::test]
async fn a_log_that_is_quiet_is_written_back_and_begins_anew() {
    let file = directory().join("store.db");
    let gateway = Gateway::with_layer(&layer(open_at(&file).await, 0));
    for _ in 0..20 {
        gateway.create(json!({"input": "x".repeat(1 << 20)})).await;
    }
    assert!(log_of(&file).0 > 5000, "20 MiB");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut log = log_of(&file);
    while log.0 != log.1 {
        assert!(std::time::Instant::now() < deadline, "{log:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        log = log_of(&file);
    }
    while log.0 > 1000 {
        assert!(std::time::Instant::now() < deadline, "{log:?}");
        gateway.create(json!({"input": "next"})).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        log = log_of(&file);
    }
}

#[tokio::test]
async fn a_log_that_is_never_quiet_begins_anew_as_well() {
    let file = directory().join("store.db");
    let store = open_at(&file).await;
    let body = bytes::Bytes::from(vec![b'x'; 256 << 10]);
    let writes = futures_util::future::join_all((0..8).map(|_| async {
        loop {
            let record = Record {
                id: ResponseId::root(),
                previous: None,
                owner: Owner::anonymous(),
                body: body.clone(),
                shared: Vec::new(),
                items: Vec::new(),
            };
            store.put(Arc::new(record)).await.unwrap();
        }
    }));
    let begins_anew = async {
        let mut longest = 0;
        while log_of(&file).0 >= longest {
            longest = log_of(&file).0;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        _ = writes => unreachable!("they do not end"),
        () = begins_anew => {}
        () = tokio::time::sleep(Duration::from_secs(10)) => panic!("{:?}", log_of(&file)),
    }
}

#[tokio::test]
async fn damage_is_said_and_never_shortens_a_history() {
    for (damage, status) in [
        ("UPDATE turn SET body = x'00' WHERE key = 2", 500),
        ("UPDATE turn SET body = substr(body, 1, length(body) - 1) WHERE key = 2", 500),
        ("UPDATE turn SET body = CAST(replace(CAST(body AS TEXT), 'turn 1', 'turn 9') AS BLOB) WHERE key = 2", 500),
        ("DELETE FROM turn WHERE key = 2", 500),
        ("UPDATE turn SET previous = NULL WHERE key = 3", 500),
        ("UPDATE turn SET previous = 3 WHERE key = 3", 500),
        ("DELETE FROM shared", 500),
        ("UPDATE shared SET text = x'00'", 500),
        ("DELETE FROM conversation", 400),
    ] {
        let file = directory().join("store.db");
        let last = chain(&Gateway::with_layer(&layer(open_at(&file).await, 0)), 3).await;
        Connection::open(&file).unwrap().execute(damage, ()).unwrap();
        let gateway = Gateway::with_layer(&layer(open_at(&file).await, 0));
        let (got, answer, _) = next(&gateway, &last).await;
        assert_eq!(got, status, "{damage}: {answer}");
        if status == 500 {
            assert_eq!(answer["error"]["code"], "stored_response_corrupt", "{damage}");
            assert_eq!(gateway.times_asked(), 0, "{damage}");
        }
    }
}

#[tokio::test]
async fn an_older_file_is_migrated_and_a_newer_or_foreign_one_is_refused() {
    let directory = directory();
    let new = directory.join("new.db");
    drop(open_at(&new).await);
    let version = |file: &Path| -> i64 {
        Connection::open(file).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    let known = version(&new);
    // Version 0 is a file that was made and never filled.
    let old = directory.join("old.db");
    Connection::open(&old).unwrap().execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 0").unwrap();
    drop(open_at(&old).await);
    assert_eq!(version(&old), known);

    Connection::open(&new).unwrap().pragma_update(None, "user_version", known + 1).unwrap();
    let foreign = directory.join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let text = directory.join("text.db");
    std::fs::write(&text, "no database at all, but long enough to be looked at as one".repeat(20)).unwrap();
    for (file, words) in [(&new, "newer"), (&foreign, "another program"), (&text, "not a database")] {
        let error = open(&format!("sqlite:{}", file.display())).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(version(&new), known + 1, "it is left as it is");
}

#[tokio::test]
async fn urls_that_name_no_store_are_refused() {
    let missing = directory().join("no/such/directory.db");
    for (url, words) in [
        ("sqlite:".to_owned(), "path"),
        ("sqlite::memory:".to_owned(), "path"),
        (format!("sqlite:{}", missing.display()), "cannot be opened"),
        ("sqlite:x.db?synchronous=sometimes".to_owned(), "no option"),
        ("mysql://x".to_owned(), "no kind of store"),
    ] {
        let error = open(&url).await.unwrap_err();
        assert!(error.to_string().contains(words), "{url}: {error}");
    }
}

/// What the test below runs in a process of its own: turns without end, each told whether it was
/// stored; what was not is tried again.
#[tokio::test]
#[ignore = "a part of `a_full_disk_costs_no_answer_and_heals`"]
async fn child_whose_disk_is_full() {
    let file = PathBuf::from(std::env::var_os("TOWER_RESPONSES_TEST_FILE").unwrap());
    let gateway = Gateway::with_layer(&layer(open_at(&file).await, 0));
    let mut last = chain(&gateway, 2).await;
    loop {
        let body = json!({"input": "x".repeat(3000), "previous_response_id": last["id"], "stream": true});
        let answer = gateway.create(body).await;
        assert_eq!(answer["status"], "completed", "it is delivered all the same");
        let stored = answer["store"].as_bool().unwrap();
        let (status, _, _) = next(&gateway, &answer).await;
        assert_eq!(status == 200, stored, "and says the truth");
        println!("stored {stored}");
        if stored {
            last = answer;
        }
    }
}

#[tokio::test]
async fn a_full_disk_costs_no_answer_and_heals() {
    let file = directory().join("store.db");
    // A write over the limit fails, once the signal for it is ignored.
    let mut child = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_whose_disk_is_full", "--ignored", "--nocapture"])
        .env("TOWER_RESPONSES_TEST_FILE", &file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = lines.filter(|line| line.starts_with("stored "));
    let limit = |size: &str| {
        let pid = child.id().to_string();
        assert!(Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}")]).status().unwrap().success());
    };
    lines.find(|line| line == "stored true").unwrap();
    limit("200000:");
    for _ in 0..3 {
        lines.find(|line| line == "stored false").expect("it goes on without the disk");
    }
    limit("unlimited:");
    lines.find(|line| line == "stored true").expect("nothing has to be restarted");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What the test below runs in a process of its own: turns without end, each told when its client
/// has seen its last event.
#[tokio::test]
#[ignore = "a part of `what_a_client_has_seen_survives_a_kill`"]
async fn child_that_is_killed() {
    let file = PathBuf::from(std::env::var_os("TOWER_RESPONSES_TEST_FILE").unwrap());
    let gateway = Gateway::with_layer(&layer(open_at(&file).await, 1 << 20));
    let mut last = Value::Null;
    for n in 0u64.. {
        let body = json!({"input": "x".repeat(3000), "previous_response_id": last["id"], "stream": n % 2 == 0});
        last = gateway.create(body).await;
        println!("seen {} {n}", last["id"].as_str().unwrap());
    }
}

#[tokio::test]
async fn what_a_client_has_seen_survives_a_kill() {
    let rounds = std::env::var("TOWER_RESPONSES_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(5);
    let file = directory().join("store.db");
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_is_killed", "--ignored", "--nocapture"])
            .env("TOWER_RESPONSES_TEST_FILE", &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let seen = lines.filter(|line| line.starts_with("seen ")).nth(1 + round % 7).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let (id, n) = seen.strip_prefix("seen ").unwrap().split_once(' ').unwrap();
        let gateway = Gateway::with_layer(&layer(open_at(&file).await, 0));
        let (status, answer, items) = next(&gateway, &json!({"id": id})).await;
        assert_eq!(status, 200, "round {round}: {answer}");
        assert_eq!(items, (n.parse::<usize>().unwrap() + 1) * 2 + 1);
    }
}

#[tokio::test]
async fn texts_that_nothing_uses_are_removed() {
    let file = directory().join("store.db");
    let store = open_at(&file).await;
    let gateway = Gateway::with_layer(&layer(store.clone(), 0));
    let tools = json!([{"type": "function", "name": "f", "description": "x".repeat(50_000), "parameters": {}}]);
    let body = json!({"input": "a", "tools": tools});
    gateway.create(body).await;
    let kept = gateway.create(json!({"input": "b", "instructions": "y".repeat(10_000)})).await;
    store.prune(Duration::from_secs(3600)).await.unwrap();
    assert!(store.stats().await.unwrap().shared_bytes > 50_000);
    // Two days later, when the first conversation has gone.
    let connection = Connection::open(&file).unwrap();
    connection.execute("UPDATE shared SET used = used - 3", ()).unwrap();
    connection
        .execute(
            "UPDATE conversation SET last = last - 86400000 WHERE id IN (SELECT conversation FROM turn WHERE key = 1)",
            (),
        )
        .unwrap();
    let removed = store.prune(Duration::from_secs(3600)).await.unwrap();
    assert_eq!((removed.conversations, removed.responses), (1, 1));
    let left = store.stats().await.unwrap().shared_bytes;
    assert!((10_000..20_000).contains(&left), "{left}");
    let path = format!("/v1/responses/{}", kept["id"].as_str().unwrap());
    assert_eq!(gateway.call("GET", &path, None).await, (200, kept));
    // And the same text again is kept again.
    let again = gateway.create(json!({"input": "a", "tools": tools})).await;
    assert_eq!(next(&gateway, &again).await.0, 200);
}

#[tokio::test]
async fn items_of_what_is_removed_are_found_no_more() {
    let file = directory().join("store.db");
    let store = open_at(&file).await;
    let gateway = Gateway::with_layer(&layer(store.clone(), 0));
    chain(&gateway, 4).await;
    store.prune(Duration::ZERO).await.unwrap();
    let left: i64 =
        Connection::open(&file).unwrap().query_row("SELECT count(*) FROM item", (), |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_file_grows_with_what_is_said() {
    let file = directory().join("store.db");
    let size = |file: &Path| std::fs::metadata(file).unwrap().len();
    let mut sizes = Vec::new();
    let mut last = Value::Null;
    for turns in [200, 200] {
        let gateway = Gateway::with_layer(&layer(open_at(&file).await, 1 << 20));
        for _ in 0..turns {
            let mut output = common::message(&"o".repeat(2048));
            output["id"] = json!(format!("msg_{:016x}", sizes.len() * 1000 + turns));
            gateway.will_answer(json!([output]));
            let body = json!({"input": [{"type": "message", "role": "user", "content": "i".repeat(2048)}],
                "previous_response_id": last["id"], "tools": [{"type": "function", "name": "t".repeat(60_000)}]});
            last = gateway.create(body).await;
        }
        drop(gateway);
        // The last to close writes the log back.
        sizes.push(size(&file));
    }
    assert!(sizes[0] < 1_250_000, "200 turns of 4 KB with 60 KB of tools: {} bytes", sizes[0]);
    assert!(sizes[1] * 100 < sizes[0] * 205, "{sizes:?}");
}

#[tokio::test]
async fn an_unreachable_store_is_said_with_503() {
    let error = tower_responses_response_store::StoreError::unavailable("x");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let gateway = Gateway::with_layer(&layer(Arc::new(Broken), 0));
    let id = tower_responses_response_store::ResponseId::root().to_string();
    let response = gateway.send(tower_responses_testing::create(&json!({"previous_response_id": id}))).await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(gateway.times_asked(), 0);
    for stream in [false, true] {
        let answer = gateway.create(json!({"input": "a", "stream": stream})).await;
        assert_eq!((&answer["store"], &answer["status"]), (&json!(false), &json!("completed")));
    }
}

/// A store that is always away.
#[derive(Debug)]
struct Broken;

mod broken {
    use std::sync::Arc;

    use tower_responses_response_store::*;

    use super::{Broken, Duration};

    fn away<T: Send + 'static>() -> StoreFuture<T> {
        Box::pin(async { Err(StoreError::unavailable("away")) })
    }

    impl ResponseStore for Broken {
        fn put(&self, _: Arc<Record>) -> StoreFuture<()> {
            away()
        }
        fn history(&self, _: &Owner, _: ResponseId) -> StoreFuture<Option<History>> {
            away()
        }
        fn get(&self, _: &Owner, _: ResponseId) -> StoreFuture<Option<Stored>> {
            away()
        }
        fn exists(&self, _: &Owner, _: ResponseId) -> StoreFuture<bool> {
            away()
        }
        fn delete(&self, _: &Owner, _: ResponseId) -> StoreFuture<bool> {
            away()
        }
        fn find_items(&self, _: &Owner, _: Vec<ItemKey>) -> StoreFuture<Vec<Option<ResponseId>>> {
            away()
        }
        fn stats(&self) -> StoreFuture<Stats> {
            away()
        }
        fn prune(&self, _: Duration) -> StoreFuture<Removed> {
            away()
        }
        fn delete_owner(&self, _: &Owner) -> StoreFuture<Removed> {
            away()
        }
        fn export(&self, _: Option<&Owner>, _: Option<Place>) -> StoreFuture<Page> {
            away()
        }
    }
}
