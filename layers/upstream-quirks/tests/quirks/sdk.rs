//! The answers, as OpenAI's Python SDK reads them with strict validation and its stream helper.
//!
//! `OPENAI_PYTHON=python3 cargo test -p tower-responses-upstream-quirks sdk -- --nocapture`, where
//! that Python has `openai`. Without the variable nothing is tested.

use std::{sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, process::Command};
use tower::{Layer, service_fn};
use tower_responses_core::RequestBody;
use tower_responses_upstream_quirks::{Profile, UpstreamQuirksLayer};

use crate::rig::{Reply, client, upstream};

const ANSWERS: &[(&str, &str)] = &[
    ("good-text", "completed"),
    ("good-call", "completed"),
    ("vllm-text-stream", "completed"),
    ("vllm-call-stream", "completed"),
    ("vllm-reasoning-stream", "completed"),
    ("vllm-whitespace-message-stream", "completed"),
    ("vllm-text", "completed"),
    ("vllm-call", "completed"),
    ("no-created", "completed"),
    ("no-created-at-all", "completed"),
    ("done-marker", "completed"),
    ("no-added", "completed"),
    ("no-done", "completed"),
    ("call-without-events", "completed"),
    ("call-without-added", "completed"),
    ("call-without-done", "completed"),
    ("empty-final-output", "completed"),
    ("ids-differ", "completed"),
    ("numbers-minus-one", "completed"),
    ("numbers-missing", "completed"),
    ("whitespace-message", "completed"),
    ("status-null-stream", "completed"),
    ("usage-empty-details", "completed"),
    ("no-arrays", "completed"),
    ("bare-response", "completed"),
    ("vllm-cut-text-stream", "incomplete"),
    ("vllm-cut-call-stream", "incomplete"),
    ("vllm-cut-message-stream", "incomplete"),
    ("vllm-cut-reasoning-stream", "incomplete"),
    ("vllm-bad-schema-stream", "failed"),
    ("vllm-engine-death-stream", "failed"),
    ("cut-in-text", "failed"),
    ("cut-in-call", "failed"),
    ("cut-in-reasoning", "failed"),
    ("cut-before-anything", "failed"),
    ("garbage", "failed"),
    ("failed-without-error", "failed"),
    ("vllm-context-overflow", "400"),
    ("vllm-detail-not-utf8", "400"),
    ("unauthorized", "401"),
    ("vllm-unknown-model", "404"),
    ("rate-limit-text", "429"),
    ("error-in-200", "429"),
    ("vllm-engine-death", "500"),
    ("bad-gateway-html", "502"),
];

#[tokio::test(flavor = "multi_thread")]
async fn sdk() {
    let Ok(python) = std::env::var("OPENAI_PYTHON") else { return };
    let upstream = upstream(Arc::new(|request| Reply::fixture(request["model"].as_str().unwrap_or_default()))).await;
    let client = client();
    let ask = move |mut request: Request<RequestBody>| {
        *request.uri_mut() = format!("http://{upstream}/v1/responses").parse().unwrap();
        client.request(request)
    };
    let service = UpstreamQuirksLayer::new(Profile::Vllm).layer(service_fn(ask));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let service = service_fn({
                let service = service.clone();
                move |request: Request<Incoming>| tower::ServiceExt::oneshot(service.clone(), request)
            });
            let service = TowerToHyperService::new(service);
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
        }
    });
    let script = format!("{}/tests/sdk.py", env!("CARGO_MANIFEST_DIR"));
    let answers = ANSWERS.iter().map(|(fixture, end)| format!("{fixture}={end}"));
    let run = Command::new(python).arg(script).arg(format!("http://{address}/v1")).args(answers).output();
    let output = tokio::time::timeout(Duration::from_secs(120), run).await.expect("in time").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    println!("{}", text(&output.stdout));
}
