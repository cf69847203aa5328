//! `tower-responses store`, on what a gateway has stored and goes on storing.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path, process::Command};

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower_responses::demo::{Model, Upstream};

use support::{Gateway, TempDir, json, send};

async fn turn(gateway: &Gateway, key: &str, previous: &Value) -> (u16, Value) {
    let body = json!({"model": Model::NAME, "input": "hi", "previous_response_id": previous["id"]});
    let request = Request::post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {key}"));
    json(send(request.body(Full::from(body.to_string())).unwrap()).await).await
}

fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-responses"));
    command.args(["store", "--store", url]).args(args);
    command
}

fn store(url: &str, args: &[&str]) -> String {
    let output = command(url, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What is said when it does not succeed.
fn refused(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn an_operator_looks_after_stored_responses() {
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::start(upstream, Model::obedient()).unwrap();
    let folder = TempDir::new();
    let config = folder.0.join("config.toml");
    let keys = |name: &str| format!("[[api_keys]]\nenv = \"TEST_STORE_KEY_{name}\"\nowner = \"team-{name}\"\n");
    std::fs::write(&config, keys("a") + &keys("b")).unwrap();
    let url = format!("sqlite:{}", folder.0.join("s.db").display());
    let args = ["--upstream", &upstream.url(), "--store", &url, "--config", config.to_str().unwrap()];
    let gateway = Gateway::start_with(&args, &[("TEST_STORE_KEY_a", "alpha"), ("TEST_STORE_KEY_b", "beta")]);
    let (_, first) = turn(&gateway, "alpha", &Value::Null).await;
    let (status, second) = turn(&gateway, "alpha", &first).await;
    assert_eq!(status, 200, "{second}");
    let (_, of_other) = turn(&gateway, "beta", &Value::Null).await;

    let stats = store(&url, &["stats"]);
    let figure = |stats: &str, name: &str| -> u64 {
        let line = stats.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    assert_eq!((figure(&stats, "conversations"), figure(&stats, "responses")), (2, 3), "{stats}");
    assert!(figure(&stats, "bytes ") > 0);

    let exported = store(&url, &["export", "--owner", "team-a"]);
    #[allow(clippy::disallowed_methods, reason = "a test may parse what it pleases")]
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let responses: Vec<_> = lines.iter().map(|line| &line["response"]).collect();
    assert_eq!(responses, [&first, &second], "as their client got them");
    assert_eq!(lines[0]["input"][0]["content"], "hi");
    assert_eq!(store(&url, &["export"]).lines().count(), 3);

    assert_eq!(store(&url, &["prune", "--older-than", "1"]), "removed 0 conversations with 0 responses\n");
    assert_eq!(store(&url, &["delete-owner", "team-a"]), "removed 1 conversations with 2 responses\n");
    assert_eq!(store(&url, &["export", "--owner", "team-a"]), "");
    assert_eq!(turn(&gateway, "beta", &of_other).await.0, 200, "what others have stays");
    for days in ["0", "-1", "nan", "inf"] {
        let said = refused(command(&url, &["prune", &format!("--older-than={days}")]));
        assert!(said.contains("for ever"), "{said}");
    }
    assert_eq!(store(&url, &["export"]).lines().count(), 2);
    assert_eq!(store(&url, &["prune", "--older-than", "0.0000001"]), "removed 1 conversations with 2 responses\n");
    let stats = store(&url, &["stats"]);
    assert_eq!((figure(&stats, "conversations"), figure(&stats, "responses")), (0, 0), "{stats}");
}

#[test]
fn nothing_is_made_where_there_is_nothing() {
    let folder = TempDir::new();
    let (missing, deep) = (folder.0.join("missing.db"), folder.0.join("no/such/folder/s.db"));
    let empty = folder.0.join("empty.db");
    std::fs::write(&empty, "").unwrap();
    let actions: [&[&str]; 4] = [&["stats"], &["export"], &["prune", "--older-than", "1"], &["delete-owner", "team"]];
    for action in actions {
        for path in [&missing, &deep] {
            let said = refused(command(&format!("sqlite:{}", path.display()), action));
            assert!(said.contains(&format!("no database at {}", path.display())), "{said}");
        }
        let mut by_default = Command::new(env!("CARGO_BIN_EXE_tower-responses"));
        by_default.arg("store").args(action).env("XDG_DATA_HOME", &folder.0).env("HOME", &folder.0);
        let said = refused(by_default);
        assert!(said.contains("no database at") && said.contains("responses.db"), "{said}");
    }
    for action in &actions[..2] {
        let said = refused(command(&format!("sqlite:{}", empty.display()), action));
        assert!(said.contains("no store in"), "{said}");
    }
    let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, std::slice::from_ref(&empty));
    assert_eq!(std::fs::metadata(empty).unwrap().len(), 0);
}

/// The command as somebody whom the modes of files bind, also where the tests are run by root.
/// `None` if there is no such somebody.
fn bound(command: &Command) -> Option<Command> {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut bound = if is_root {
        let mut bound = Command::new("setpriv");
        bound.args(["--inh-caps=-all", "--bounding-set=-all"]).arg(command.get_program());
        bound
    } else {
        Command::new(command.get_program())
    };
    bound.args(command.get_args());
    let can_be = !is_root || Command::new("setpriv").arg("--version").output().is_ok();
    can_be.then_some(bound)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn what_may_not_be_written_can_be_read() {
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::start(upstream, Model::obedient()).unwrap();
    let folder = TempDir::new();
    let path = folder.0.join("s #1.db");
    let url = format!("sqlite:{}", path.display());
    let read = |what: &str| {
        for action in [&["stats"][..], &["export"]] {
            let Some(mut command) = bound(&command(&url, action)) else { continue };
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !output.stdout.is_empty(), "{what}: {action:?}: {said}");
        }
    };
    let mut gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", &url]);
    turn(&gateway, "key", &Value::Null).await;
    let files = || {
        let mut names: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    read("while a gateway has it open");
    assert_eq!(files().len(), 3, "the gateway's stay");
    gateway.signal("TERM");
    gateway.wait(std::time::Duration::from_secs(30)).expect("it ends");
    read("afterwards");
    // Who may write, and is the last, leaves but the file.
    store(&url, &["prune", "--older-than", "1"]);
    assert_eq!(files().len(), 1, "{:?}", files());
    read("on its own");
    assert_eq!(files().len(), 1, "nothing is left behind");
    set_mode(&path, 0o400);
    read("a file that may not be written");
    set_mode(&folder.0, 0o500);
    read("in a folder that may not be written");
    set_mode(&path, 0o600);
    read("a file in a folder that may not be written");
    assert_eq!(files().len(), 1, "{:?}", files());

    // What a killed gateway has left is not all in the file: less than all is not read.
    set_mode(&folder.0, 0o700);
    let mut gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", &url]);
    turn(&gateway, "key", &Value::Null).await;
    gateway.kill();
    let shared_memory = folder.0.join("s #1.db-shm");
    std::fs::remove_file(&shared_memory).unwrap();
    set_mode(&folder.0, 0o500);
    if let Some(command) = bound(&command(&url, &["stats"])) {
        let said = refused(command);
        assert!(said.contains("together with") && said.contains("-wal"), "{said}");
    }
    set_mode(&folder.0, 0o700);
    read("what a killed gateway has left");
}
