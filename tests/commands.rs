//! `tower-responses check` and `tower-responses codex`, run as programs.
#![cfg(feature = "gateway")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use serde_json::{Value, json};
use support::Gateway;
use tokio::process::Command;

// ------------------------------------------------------------------ upstreams

/// What an upstream cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lacks {
    Nothing,
    /// Only functions, and no state.
    AllButFunctions,
    FunctionTools,
    Responses,
    ModelList,
    /// A stream has no last event.
    StreamEnd,
    /// A stream never ends.
    StreamPatience,
    /// It wants to see `Bearer secret-key`.
    Key,
}

async fn start(lacks: Lacks) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(move |request: Request| answer(lacks, request));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn reply(status: u16, body: &Value) -> Response {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}

fn refuse(status: u16, message: &str) -> Response {
    reply(status, &json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}}))
}

async fn answer(lacks: Lacks, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let key = head.headers.get("authorization").and_then(|key| key.to_str().ok());
    if lacks == Lacks::Key && key != Some("Bearer secret-key") {
        return reply(401, &json!({"error": "Unauthorized"}));
    }
    match head.uri.path() {
        "/v1/models" if lacks == Lacks::ModelList => reply(404, &json!({"detail": "Not Found"})),
        "/v1/models" => {
            let model =
                json!({"id": "tiny", "object": "model", "created": 1, "owned_by": "vllm", "max_model_len": 65536});
            reply(200, &json!({"object": "list", "data": [model]}))
        }
        "/v1/chat/completions" => reply(200, &json!({"choices": []})),
        "/v1/responses" if lacks != Lacks::Responses => respond(lacks, &body),
        _ => reply(404, &json!({"detail": "Not Found"})),
    }
}

fn respond(lacks: Lacks, body: &Bytes) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    let functions_only = lacks == Lacks::AllButFunctions;
    if functions_only && let Some(tool) = tools.iter().find(|tool| tool["type"] != "function") {
        return refuse(400, &format!("unsupported tool type {}", tool["type"]));
    }
    if lacks == Lacks::FunctionTools && !tools.is_empty() {
        return refuse(400, "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set");
    }
    if body["previous_response_id"].is_string() && (functions_only || body["previous_response_id"] != "resp_1") {
        return refuse(400, "no such response");
    }
    let item = match body["tool_choice"]["name"].as_str() {
        Some(name) => {
            json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": name, "arguments": "{}", "status": "completed"})
        }
        None => {
            let content = json!([{"type": "output_text", "text": "ok", "annotations": []}]);
            json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
        }
    };
    let usage = json!({"input_tokens": 1, "output_tokens": 1, "total_tokens": 2});
    let response =
        json!({"id": "resp_1", "object": "response", "status": "completed", "output": [item], "usage": usage});
    if body["stream"] != true {
        return reply(200, &response);
    }
    stream(lacks, &item, &response)
}

fn stream(lacks: Lacks, item: &Value, response: &Value) -> Response {
    let mut created = response.clone();
    (created["status"], created["output"]) = (json!("in_progress"), json!([]));
    let mut events = vec![
        json!({"type": "response.created", "response": created}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
    ];
    let ends = !matches!(lacks, Lacks::StreamEnd | Lacks::StreamPatience);
    if ends {
        events.push(json!({"type": "response.completed", "response": response}));
    }
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    let text = tower_responses_testing::sse(&events);
    let body = if lacks == Lacks::StreamPatience {
        Body::new(tower_responses_testing::ScriptedBody::new().data(text).hang())
    } else {
        Body::from(text)
    };
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

// ------------------------------------------------------------------- programs

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-responses"));
    command.env_remove("CODEX_BIN").env_remove("CODEX_HOME").stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOWER_RESPONSES_")) {
        command.env_remove(name);
    }
    command
}

async fn run(command: &mut Command) -> (i32, String, String) {
    let output: Output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A folder for one test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::canonicalize(folder).unwrap()
}

// ---------------------------------------------------------------------- check

/// Exit code, and the state of each row.
async fn check(upstream: &str, more: &[&str]) -> (i32, Value, Arc<dyn Fn(&str) -> String>) {
    let (code, out, errors) = run(program().args(["check", "--json", "--upstream", upstream]).args(more)).await;
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{errors}"));
    let rows = report["checks"].clone();
    let state = move |name: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == name);
        row.map_or_else(|| "absent".to_owned(), |row| row["state"].as_str().unwrap().to_owned())
    };
    (code, report, Arc::new(state))
}

#[tokio::test]
async fn an_upstream_that_understands_functions_is_usable() {
    let upstream = start(Lacks::AllButFunctions).await;
    let (code, report, state) = check(&upstream, &[]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(
        (&report["model"], &report["context_length"], &report["usable"]),
        (&json!("tiny"), &json!(65536), &json!(true))
    );
    let rows = [
        ("reachable", "yes"),
        ("model list", "yes"),
        ("context length", "yes"),
        ("responses", "yes"),
        ("developer messages", "yes"),
        ("function tools", "yes"),
        ("strict function tools", "yes"),
        ("namespaces", "no"),
        ("custom tools", "no"),
        ("custom with a grammar", "no"),
        ("tool_search", "no"),
        ("calls", "yes"),
        ("previous_response_id", "no"),
        ("streaming", "yes"),
        ("stream end", "yes"),
        ("whole items", "yes"),
        ("event lines", "yes"),
        ("sequence numbers", "yes"),
        ("usage", "yes"),
        ("[DONE]", "no"),
    ];
    for (name, want) in rows {
        assert_eq!(state(name), want, "{name}");
    }
    assert_eq!(report["checks"].as_array().unwrap().len(), rows.len());
}

#[tokio::test]
async fn an_upstream_that_understands_more_is_seen_to() {
    let (code, _, state) = check(&start(Lacks::Nothing).await, &["--model", "tiny"]).await;
    assert_eq!(code, 0);
    for name in ["namespaces", "custom tools", "custom with a grammar", "tool_search", "previous_response_id"] {
        assert_eq!(state(name), "yes", "{name}");
    }
}

#[tokio::test]
async fn what_no_gateway_can_make_good_is_broken() {
    let rows = [
        (Lacks::FunctionTools, "function tools", "tool-call-parser"),
        (Lacks::Responses, "responses", "Chat Completions"),
        (Lacks::StreamEnd, "stream end", "response.output_item.done"),
        (Lacks::Key, "model list", "Unauthorized"),
    ];
    for (lacks, name, why) in rows {
        let (code, report, state) = check(&start(lacks).await, &[]).await;
        assert_eq!((code, state(name).as_str()), (1, "broken"), "{lacks:?} {report:#}");
        assert!(report.to_string().contains(why), "{lacks:?} {report:#}");
        assert_eq!(report["usable"], false);
    }
}

#[tokio::test]
async fn an_upstream_without_a_model_list_can_be_used() {
    let (code, report, state) = check(&start(Lacks::ModelList).await, &["--model", "tiny"]).await;
    assert_eq!((code, state("model list").as_str(), state("context length").as_str()), (0, "no", "no"), "{report:#}");
}

#[tokio::test]
async fn each_question_has_its_time() {
    let began = Instant::now();
    let (code, _, state) = check(&start(Lacks::StreamPatience).await, &["--timeout", "1"]).await;
    assert_eq!((code, state("stream end").as_str()), (1, "broken"));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nobody_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, report, state) = check(&format!("http://{free}"), &[]).await;
    assert_eq!((code, state("reachable").as_str(), &report["reachable"]), (2, "broken", &json!(false)));
}

#[tokio::test]
async fn the_key_is_shown_to_the_upstream_and_to_nobody_else() {
    let upstream = start(Lacks::Key).await;
    let mut command = program();
    command.args(["check", "--upstream", &upstream, "--upstream-api-key-env", "KEY"]).env("KEY", "secret-key");
    let (code, table, errors) = run(&mut command).await;
    assert_eq!(code, 0, "{table}{errors}");
    assert!(table.contains("Usable through the gateway.") && table.contains("65536 tokens"), "{table}");
    assert!(!table.contains("secret-key") && !errors.contains("secret-key"));
    let (code, _, errors) = run(command.env("KEY", "")).await;
    assert!(code == 1 && errors.contains("KEY"), "{code} {errors}");
}

// ---------------------------------------------------------------------- codex

/// A program in place of Codex, which says what it was given.
fn fake_codex(folder: &Path, exit: i32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("fake-codex");
    let text = format!(
        "#!/bin/sh\necho \"home=$CODEX_HOME\"\nprintf '<%s>' \"$@\"\necho\ncat \"$CODEX_HOME/config.toml\"\nexit {exit}\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn codex(gateway: &str, home: &Path) -> Command {
    let mut command = program();
    command.args(["codex", "--gateway", gateway]).current_dir(home).env("HOME", home).env_remove("XDG_CACHE_HOME");
    command
}

#[tokio::test]
async fn printing_writes_nothing() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("print"));
    let (code, config, _) = run(codex(&gateway, &home).arg("--print=config")).await;
    let config: toml::Table = config.parse().unwrap();
    assert_eq!(
        (code, config["model"].as_str(), config["model_provider"].as_str()),
        (0, Some("tiny"), Some("tower-responses"))
    );
    let provider = &config["model_providers"]["tower-responses"];
    assert_eq!(provider["base_url"].as_str(), Some(format!("{gateway}/v1").as_str()));
    assert_eq!(provider["wire_api"].as_str(), Some("responses"));
    let (_, catalog, _) = run(codex(&gateway, &home).arg("--print=catalog")).await;
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    assert_eq!(
        (&catalog["models"][0]["slug"], &catalog["models"][0]["context_window"]),
        (&json!("tiny"), &json!(65536))
    );
    let (_, both, _) = run(codex(&gateway, &home).arg("--print")).await;
    assert!(both.contains("model_catalog_json") && both.contains("\"slug\":\"tiny\""));
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

#[tokio::test]
async fn files_are_written_and_replaced_but_never_those_of_others() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("write"));
    for _ in 0..2 {
        let (code, said, _) = run(codex(&gateway, &home).args(["--out", "x y", "--websocket"])).await;
        assert_eq!(code, 0);
        assert!(said.contains(&format!("CODEX_HOME='{}'", home.join("x y").display())), "{said}");
    }
    let config: toml::Table = fs::read_to_string(home.join("x y/config.toml")).unwrap().parse().unwrap();
    let catalog = home.join("x y/catalog.json");
    assert_eq!(config["model_catalog_json"].as_str(), catalog.to_str());
    assert_eq!(config["model_providers"]["tower-responses"]["supports_websockets"].as_bool(), Some(true));
    assert!(serde_json::from_slice::<Value>(&fs::read(catalog).unwrap()).unwrap()["models"][0].is_object());

    fs::create_dir(home.join("own")).unwrap();
    fs::write(home.join("own/config.toml"), "model = \"mine\"\n").unwrap();
    let (code, _, errors) = run(codex(&gateway, &home).args(["--out", "own"])).await;
    assert!(code != 0 && errors.contains("--out"), "{errors}");
    assert_eq!(fs::read_to_string(home.join("own/config.toml")).unwrap(), "model = \"mine\"\n");
    assert!(!home.join("own/catalog.json").exists());
}

#[tokio::test]
async fn codex_runs_in_a_home_of_its_own_which_goes_with_it() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("run"));
    let mut command = codex(&gateway, &home);
    command.args(["--", "exec", "say hello", "--model"]).env("CODEX_BIN", fake_codex(&home, 7));
    let (code, said, errors) = run(&mut command).await;
    assert_eq!(code, 7, "{said}{errors}");
    assert!(said.contains("<exec><say hello><--model>"), "{said}");
    assert!(said.contains(&format!("base_url = \"{gateway}/v1\"")), "{said}");
    let codex_home = Path::new(said.lines().next().unwrap().strip_prefix("home=").unwrap());
    assert!(codex_home.starts_with(home.join(".cache")), "{codex_home:?}");
    assert!(!codex_home.exists());
    assert!(!home.join(".codex").exists());

    let mut command = codex(&gateway, &home);
    command.args(["--out", "kept", "--", "exec"]).env("CODEX_BIN", fake_codex(&home, 0));
    let (code, said, _) = run(&mut command).await;
    assert_eq!(code, 0);
    assert!(said.contains(&format!("home={}", home.join("kept").display())), "{said}");
    assert!(home.join("kept/config.toml").exists());
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("errors"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rows: [(String, &[&str], &str); 5] = [
        (format!("http://{free}"), &[], "could not be reached"),
        (start(Lacks::ModelList).await, &[], "does not list its models"),
        (gateway.clone(), &["--provider", "OpenAI"], "OpenAI"),
        (gateway.clone(), &["--print", "--", "exec"], "cannot be used with"),
        (gateway.clone(), &["--", "exec"], "there is no program 'codex'"),
    ];
    for (gateway, arguments, why) in rows {
        let (code, said, errors) = run(codex(&gateway, &home).env("PATH", &home).args(arguments)).await;
        assert_ne!(code, 0, "{arguments:?} {said}");
        assert!(errors.contains(why), "{arguments:?} {errors}");
    }
    assert!(fs::read_dir(&home).unwrap().all(|entry| entry.unwrap().file_name() == ".cache"));
    assert_eq!(fs::read_dir(home.join(".cache/tower-responses")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_model_that_is_not_listed_is_in_the_catalog_all_the_same() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("unlisted"));
    let (code, catalog, errors) = run(codex(&gateway, &home).args(["--model", "gpt-5", "--print=catalog"])).await;
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    assert_eq!((code, &catalog["models"][1]["slug"]), (0, &json!("gpt-5")));
    assert!(errors.contains("gpt-5"), "{errors}");
}

/// Where `CODEX_BIN` names it: the real Codex, through the real gateway.
#[tokio::test]
async fn the_real_codex_answers_through_the_gateway() {
    let Ok(real) = std::env::var("CODEX_BIN") else { return eprintln!("skipped: CODEX_BIN is not set") };
    let home = folder("real");
    let upstream = start(Lacks::AllButFunctions).await;
    let gateway = Gateway::start(&["--upstream", &upstream, "--store", "memory"]);
    let mut command = codex(&gateway.url, &home);
    command.args(["--", "exec", "--skip-git-repo-check", "-s", "read-only", "hello"]).env("CODEX_BIN", real);
    let (code, said, errors) = run(&mut command).await;
    assert_eq!((code, said.trim()), (0, "ok"), "{errors}");
    assert!(errors.contains("provider: tower-responses") && !errors.contains("Model metadata"), "{errors}");
    assert!(!home.join(".codex").exists());
}
