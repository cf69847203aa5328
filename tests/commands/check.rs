//! `tower-responses check`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    program, run,
    upstreams::{Lacks, start},
};

/// Exit code, and the state of each row.
pub(crate) async fn check(upstream: &str, more: &[&str]) -> (i32, Value, Arc<dyn Fn(&str) -> String>) {
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
