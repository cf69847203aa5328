//! `tower-responses store`, on what a gateway has stored and goes on storing.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;

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

fn store(url: &str, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tower-responses"))
        .args(["store", "--store", url])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
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
    assert_eq!(store(&url, &["prune", "--older-than", "0"]), "removed 1 conversations with 2 responses\n");
    let stats = store(&url, &["stats"]);
    assert_eq!((figure(&stats, "conversations"), figure(&stats, "responses")), (0, 0), "{stats}");
}
