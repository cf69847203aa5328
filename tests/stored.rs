//! What a gateway that runs does with its store, on the disk and in memory.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tower_responses::demo::{Model, Upstream};

use support::{Gateway, TempDir};

async fn upstream() -> Upstream {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Upstream::start(listener, Model::obedient()).unwrap()
}

fn reference(id: usize) -> Value {
    json!({"type": "item_reference", "id": format!("msg_{id}")})
}

#[tokio::test]
async fn many_references_into_one_large_turn_take_little_memory() {
    const ITEMS: usize = 59;
    let (upstream, folder) = (upstream().await, TempDir::new());
    let url = format!("sqlite:{}", folder.0.join("s.db").display());
    let gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", &url]);
    let text = "x".repeat(140_000);
    let message = |id| json!({"type": "message", "role": "user", "content": text, "id": format!("msg_{id}")});
    let first: Vec<_> = (0..ITEMS).map(message).collect();
    let (status, answer) = gateway.post(&json!({"model": Model::NAME, "input": first})).await;
    assert_eq!((status, &answer["store"]), (200, &json!(true)), "{answer}");

    // The second time there is nothing new.
    let references =
        json!({"model": Model::NAME, "store": false, "input": (0..ITEMS).map(reference).collect::<Vec<_>>()});
    let before = gateway.peak_memory();
    for _ in 0..2 {
        let (status, answer) = gateway.post(&references).await;
        assert_eq!(status, 200, "{answer}");
    }
    let grown = gateway.peak_memory() - before;
    assert!(grown < 100 << 20, "8 MB that are referred to took {} MB more", grown >> 20);
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

async fn turn(gateway: &Gateway, previous: &Value) -> Value {
    let body = json!({"model": Model::NAME, "input": "hi", "previous_response_id": previous["id"]});
    let (status, answer) = gateway.post(&body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn nobody_else_can_read_what_is_stored() {
    let (upstream, folder) = (upstream().await, TempDir::new());
    // By default in a folder of its own.
    let home = folder.0.join("home");
    let gateway = Gateway::start_with(
        &["--upstream", &upstream.url()],
        &[("XDG_DATA_HOME", home.to_str().unwrap()), ("HOME", home.to_str().unwrap())],
    );
    turn(&gateway, &Value::Null).await;
    let made = home.join(if cfg!(target_os = "macos") { "Library/Application Support" } else { "" });
    let made = made.join("tower-responses");
    assert_eq!(mode(&made), 0o700);
    let files = ["responses.db", "responses.db-wal", "responses.db-shm"];
    assert_eq!(files.map(|name| mode(&made.join(name))), [0o600; 3]);

    // A folder that was there stays as it was, and what others could read in it they cannot any more.
    let given = folder.0.join("given");
    std::fs::create_dir(&given).unwrap();
    std::fs::set_permissions(&given, Permissions::from_mode(0o755)).unwrap();
    let url = format!("sqlite:{}", given.join("s.db").display());
    for _ in 0..2 {
        let mut gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", &url]);
        turn(&gateway, &Value::Null).await;
        let files = ["s.db", "s.db-wal", "s.db-shm"].map(|name| given.join(name));
        assert_eq!(files.each_ref().map(|file| mode(file)), [0o600; 3]);
        assert_eq!(mode(&given), 0o755);
        // As an earlier version left them behind.
        gateway.kill();
        files.iter().for_each(|file| std::fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap());
    }
}

/// Asks until the answer is this one.
async fn until_ready_says(gateway: &Gateway, status: u16, store: bool) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let (got, answer) = gateway.get("/ready").await;
        if (got, &answer["store"]) == (status, &json!(store)) {
            return;
        }
        assert!(Instant::now() < end, "{got} {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_database_that_was_removed_or_replaced_is_noticed() {
    let (upstream, folder) = (upstream().await, TempDir::new());
    let (path, aside) = (folder.0.join("s.db"), folder.0.join("aside.db"));
    let url = format!("sqlite:{}", path.display());
    let gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", &url]);
    let first = turn(&gateway, &Value::Null).await;
    assert_eq!(first["store"], true);
    until_ready_says(&gateway, 200, true).await;
    std::fs::rename(&path, &aside).unwrap();
    for replaced in [false, true] {
        if replaced {
            std::fs::write(&path, "").unwrap();
        }
        until_ready_says(&gateway, 503, false).await;
        let answer = turn(&gateway, &Value::Null).await;
        assert_eq!((&answer["store"], &answer["status"]), (&json!(false), &json!("completed")));
        let (status, _) = gateway.get(&format!("/v1/responses/{}", first["id"].as_str().unwrap())).await;
        assert_eq!(status, 503);
    }
    // It may come back.
    std::fs::rename(&aside, &path).unwrap();
    until_ready_says(&gateway, 200, true).await;
    assert_eq!(turn(&gateway, &first).await["store"], true);
}

#[tokio::test]
async fn no_days_of_retention_are_for_ever() {
    let (upstream, folder) = (upstream().await, TempDir::new());
    let config = folder.0.join("config.toml");
    for store in ["memory".to_owned(), format!("sqlite:{}", folder.0.join("s.db").display())] {
        std::fs::write(&config, "[retention]\ndays = 0\n").unwrap();
        let args = ["--upstream", &upstream.url(), "--store", &store, "--config", config.to_str().unwrap()];
        let gateway = Gateway::start(&args);
        let first = turn(&gateway, &Value::Null).await;
        assert_eq!(turn(&gateway, &first).await["store"], true);
        assert_eq!(gateway.get(&format!("/v1/responses/{}", first["id"].as_str().unwrap())).await.0, 200);

        std::fs::write(&config, "[retention]\ndays = -1\n").unwrap();
        let refused = Command::new(env!("CARGO_BIN_EXE_tower-responses")).arg("serve").args(args).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("retention.days: -1"), "{said}");
    }
}
