//! An upstream that answers with success, and with no response.
#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_responses_response_store::{MemoryStore, ResponseStore, ResponseStoreLayer};
use tower_responses_testing::{ScriptedBody, body_json, body_text, create};

/// Status, type and text of what is made of an answer with this type and text.
async fn answered(
    layer: &ResponseStoreLayer,
    request: &Value,
    (status, kind, text): (u16, Option<&str>, &str),
) -> (u16, Option<String>, ResponseBody) {
    let (kind, text) = (kind.map(str::to_owned), text.to_owned());
    let upstream = tower::service_fn(move |_: Request<RequestBody>| {
        let response = Response::builder().status(status).header("content-length", text.len());
        let response = kind.iter().fold(response, |response, kind| response.header("content-type", kind));
        let body = ScriptedBody::new().chunks_of(text.clone(), 7);
        async move { Ok::<_, Infallible>(response.body(body).unwrap()) }
    });
    let response = layer.layer(upstream).oneshot(create(request)).await.unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let length = response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
    let (status, body) = (response.status().as_u16(), response.into_body());
    assert!(length.is_none() || status != 502, "it is the length of something else: {length:?}");
    (status, kind, body)
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn a_success_that_is_no_response_is_a_bad_gateway() {
    let store = Arc::new(MemoryStore::default());
    for answer in [
        (JSON, r#"{"id":"r","object":"response","output":["#),
        (JSON, r#"{"id":"r","object":"response","output":"x"}"#),
        (JSON, r#"{"id":"c","object":"chat.completion","choices":[]}"#),
        (JSON, r#"{"output":1}"#),
        (JSON, r#"{"error":null}"#),
        (JSON, "{}"),
        (JSON, "[1]"),
        (JSON, "null"),
        (JSON, ""),
        (Some("application/json; charset=utf-8"), "no JSON"),
        (Some("text/html"), "<html>"),
        (None, "<html>"),
        (None, ""),
    ] {
        for layer in [ResponseStoreLayer::new(store.clone()), ResponseStoreLayer::disabled()] {
            for (stored, stream) in [(true, false), (true, true), (false, false), (false, true)] {
                let request = json!({"input": "x", "store": stored, "stream": stream});
                let (status, kind, body) = answered(&layer, &request, (200, answer.0, answer.1)).await;
                assert_eq!((status, kind.as_deref()), (502, JSON), "{answer:?} {request}");
                let error = &body_json(body).await["error"];
                assert_eq!((&error["code"], &error["type"]), (&json!("upstream_error"), &json!("server_error")));
            }
        }
    }
    assert_eq!(store.stats().await.unwrap().responses, 0);
}

#[tokio::test]
async fn what_an_error_says_is_kept() {
    let layer = ResponseStoreLayer::new(Arc::new(MemoryStore::default()));
    let error = r#"{"error":{"message":"no such model"}}"#;
    for (status, expected) in [(200, 502), (404, 404)] {
        let (got, _, body) = answered(&layer, &json!({"input": "x"}), (status, JSON, error)).await;
        assert_eq!((got, body_text(body).await.as_str()), (expected, error));
    }
    for (kind, text) in [(JSON, "no JSON"), (Some("text/html"), "<html>"), (None, "")] {
        let (got, seen, body) = answered(&layer, &json!({"input": "x"}), (503, kind, text)).await;
        assert_eq!(
            (got, seen.as_deref(), body_text(body).await.as_str()),
            (503, kind, text),
            "an error passes as it came"
        );
    }
}

#[tokio::test]
async fn a_response_is_one_whatever_it_is_announced_as() {
    for text in [
        r#"{"id":"r","object":"response","status":"completed","output":[]}"#,
        r#"{"object":"response","output":null}"#,
        r#"{"object":"response"}"#,
        r#"{"output":[]}"#,
    ] {
        for kind in [JSON, None, Some("text/plain"), Some("Application/JSON;charset=utf-8")] {
            let store = Arc::new(MemoryStore::default());
            let layer = ResponseStoreLayer::new(store.clone());
            let (status, _, body) = answered(&layer, &json!({"input": "x"}), (200, kind, text)).await;
            assert_eq!(status, 200, "{kind:?} {text}");
            let response = body_json(body).await;
            assert_eq!(
                (&response["store"], store.stats().await.unwrap().responses),
                (&json!(true), 1),
                "{kind:?} {text}"
            );
        }
    }
}
