#![allow(clippy::disallowed_methods)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_responses_core::RequestBody;
use tower_responses_testing::{
    ScriptedBody, body_json, body_text, create, json_response, parse_sse, sse, sse_response,
};

use super::*;

fn layer() -> ModelAliasLayer {
    ModelAliasLayer::new(Aliases::new().with("coder", "qwen3").with("gpt-*", "big").with_default("coder"))
}

/// What the upstream is asked, and what the client gets back from an upstream that echoes it.
async fn ask(body: Value) -> (Value, Value) {
    let seen = Arc::new(Mutex::new(Value::Null));
    let record = seen.clone();
    let upstream = service_fn(move |request: Request<RequestBody>| {
        let record = record.clone();
        async move {
            let body = body_json(request.into_body()).await;
            *record.lock().unwrap() = body.clone();
            let answer = json!({"id": "resp_1", "model": body["model"], "metadata": {"model": body["model"]}});
            Ok::<_, Infallible>(json_response(200, &answer))
        }
    });
    let response = layer().layer(upstream).oneshot(create(&body)).await.unwrap();
    let answer = body_json(response.into_body()).await;
    let seen = seen.lock().unwrap().clone();
    (seen, answer)
}

#[tokio::test]
async fn names_go_out_as_targets_and_come_back_as_they_were() {
    let rows = [
        (json!({"model": "coder"}), "qwen3", "coder"),
        (json!({"model": "gpt-5.5"}), "big", "gpt-5.5"),
        (json!({"model": "other"}), "other", "other"),
        (json!({}), "qwen3", "coder"),
        (json!({"model": null}), "qwen3", "coder"),
    ];
    for (body, asked, answered) in rows {
        let (seen, answer) = ask(body.clone()).await;
        assert_eq!(seen["model"], asked, "{body}");
        assert_eq!(answer["model"], answered, "{body}");
        assert_eq!(answer["metadata"]["model"], asked, "only the model itself: {body}");
    }
}

#[tokio::test]
async fn every_event_with_a_response_says_the_name_of_the_client() {
    let response = json!({"id": "resp_1", "model": "qwen3", "temperature": 1.0});
    let events = sse(&[
        json!({"type": "response.created", "response": response, "sequence_number": 0}),
        json!({"type": "response.output_text.delta", "delta": "qwen3", "sequence_number": 1}),
        json!({"type": "response.completed", "response": response, "sequence_number": 2}),
    ]);
    for size in 1..=17 {
        let events = events.clone();
        let upstream = service_fn(move |_: Request<RequestBody>| {
            let body = ScriptedBody::new().chunks_of(events.clone(), size);
            async { Ok::<_, Infallible>(sse_response(body)) }
        });
        let response = layer().layer(upstream).oneshot(create(&json!({"model": "coder"}))).await.unwrap();
        let got = body_text(response.into_body()).await;
        let events = parse_sse(&got);
        assert_eq!(events[0]["response"]["model"], "coder");
        assert_eq!(events[1]["delta"], "qwen3");
        assert_eq!(events[2]["response"]["model"], "coder");
    }
}

#[tokio::test]
async fn other_requests_and_errors_pass_untouched() {
    let upstream = service_fn(|request: Request<RequestBody>| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(http_body_util::Full::new(body)))
    });
    let text = r#"{ "model" : "coder" }"#.to_owned();
    let request = Request::post("/v1/chat/completions").body(text.clone()).unwrap();
    let response = layer().layer(upstream).oneshot(request).await.unwrap();
    assert_eq!(body_text(response.into_body()).await, text);
}
