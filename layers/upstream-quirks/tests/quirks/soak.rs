//! Many requests at once through one pooled client, to an upstream that fails in every way.
//!
//! `TOWER_RESPONSES_SOAK=10000 cargo test --release -p tower-responses-upstream-quirks soak -- --nocapture`

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_responses_core::RequestBody;
use tower_responses_upstream_quirks::{Profile, UpstreamQuirksLayer};

use crate::{
    rig::{Reply, Seen, client, read_request, see},
    truth,
};

/// What the upstream does to a request.
const MODES: [&str; 16] = [
    "good-text",
    "good-call",
    "vllm-call-stream",
    "vllm-cut-call-stream",
    "vllm-cut-text-stream",
    "vllm-bad-schema-stream",
    "vllm-engine-death-stream",
    "vllm-engine-death",
    "vllm-context-overflow",
    "cut-in-call",
    "cut-chunked",
    "garbage",
    "error-event",
    "bad-gateway-html",
    "rate-limit",
    "late",
];

/// The connections of an upstream that stay open after a good answer.
#[derive(Clone, Default)]
struct Connections {
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

/// The bytes of an answer after which the connection goes on: chunked, if its length is not said.
fn kept_alive(fixture: &str) -> Vec<u8> {
    let raw = String::from_utf8(Reply::fixture(fixture).raw).unwrap().replace("connection: close\r\n", "");
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    if head.contains("chunked") || head.contains("content-length") {
        return raw.into_bytes();
    }
    format!("{head}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()
}

async fn serve(connections: Connections) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            connections.made.fetch_add(1, Ordering::SeqCst);
            connections.open.fetch_add(1, Ordering::SeqCst);
            let open = connections.open.clone();
            tokio::spawn(async move {
                let _ = converse(connection).await;
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    address
}

async fn converse(mut connection: TcpStream) -> std::io::Result<()> {
    loop {
        let request = read_request(&mut connection).await?;
        if request.is_empty() {
            return Ok(());
        }
        let request: serde_json::Value = serde_json::from_slice(&request).unwrap_or_default();
        let mode = request["model"].as_str().unwrap_or_default();
        if mode == "late" {
            sleep(Duration::from_millis(160)).await;
            connection.write_all(&kept_alive("good-text")).await?;
        } else if mode.starts_with("good") || mode.starts_with("vllm-c") {
            connection.write_all(&kept_alive(mode)).await?;
        } else {
            connection.write_all(&Reply::fixture(mode).raw).await?;
            return connection.shutdown().await;
        }
    }
}

async fn ask(
    layer: &UpstreamQuirksLayer,
    client: Client<HttpConnector, RequestBody>,
    upstream: SocketAddr,
    mode: &str,
) -> Seen {
    let upstream = service_fn(move |mut request: Request<RequestBody>| {
        *request.uri_mut() = format!("http://{upstream}/v1/responses").parse().unwrap();
        client.request(request)
    });
    let body = json!({"model": mode, "input": "hi", "stream": true}).to_string();
    let request = Request::post("/v1/responses").body(Full::from(body)).unwrap();
    let begun = Instant::now();
    let response = layer.layer(upstream).oneshot(request).await.expect("an answer");
    see(response, begun, Duration::from_secs(30)).await
}

/// How a mode has to end.
fn expected(mode: &str) -> &'static str {
    match mode {
        "good-text" | "good-call" | "vllm-call-stream" | "late" => "response.completed",
        "vllm-cut-call-stream" | "vllm-cut-text-stream" => "response.incomplete",
        "vllm-engine-death" => "500 Internal Server Error",
        "vllm-context-overflow" => "400 Bad Request",
        "bad-gateway-html" => "502 Bad Gateway",
        "rate-limit" => "429 Too Many Requests",
        _ => "response.failed",
    }
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak() {
    let requests = std::env::var("TOWER_RESPONSES_SOAK").ok().and_then(|count| count.parse().ok()).unwrap_or(640usize);
    let connections = Connections::default();
    let upstream = serve(connections.clone()).await;
    let layer = UpstreamQuirksLayer::new(Profile::Vllm).heartbeat(Duration::from_millis(80));
    let client = client();
    let (begun, before) = (Instant::now(), resident_kib());
    let mut running = JoinSet::new();
    let mut ends = BTreeMap::<String, usize>::new();
    let mut random = 1u64;
    let mut peak = before;
    for at in 0..requests {
        if at >= 64 {
            *ends.entry(running.join_next().await.unwrap().unwrap()).or_default() += 1;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mode = MODES[usize::try_from(random >> 33).unwrap() % MODES.len()];
        let (layer, client) = (layer.clone(), client.clone());
        running.spawn(async move {
            let seen = ask(&layer, client, upstream, mode).await;
            truth::check(&seen);
            let stream = seen.text.starts_with("event:") || seen.text.starts_with("data:");
            let end = if stream { seen.last()["type"].as_str().unwrap().to_owned() } else { seen.status.to_string() };
            // An answer that was late comes as a stream, whatever it is.
            let late = stream && end == "response.failed" && !expected(mode).starts_with("response.");
            assert!(end == expected(mode) || late, "{mode}: {end}\n{}", seen.text);
            end
        });
        if at % 500 == 0 {
            peak = peak.max(resident_kib());
        }
    }
    while let Some(end) = running.join_next().await {
        *ends.entry(end.unwrap()).or_default() += 1;
    }
    let took = begun.elapsed();
    let idle = connections.open.load(Ordering::SeqCst);
    drop(client);
    for _ in 0..200 {
        if connections.open.load(Ordering::SeqCst) == 0 {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    println!("{requests} requests in {took:.1?}: {ends:#?}");
    println!("upstream connections: {} made, {idle} idle at the end", connections.made.load(Ordering::SeqCst));
    println!("memory: {before} KiB before, {peak} KiB at most, {} KiB after", resident_kib());
    assert_eq!(ends.values().sum::<usize>(), requests);
    assert_eq!(connections.open.load(Ordering::SeqCst), 0, "no connection is left");
}

/// vLLM ends its body a moment after the terminal event. The connection is used again.
#[tokio::test]
async fn connections_are_used_again() {
    let connections = Connections::default();
    let upstream = serve_slow_end(connections.clone()).await;
    // A machine that is busy may take its time to see the end.
    let layer = UpstreamQuirksLayer::new(Profile::Vllm).linger(Duration::from_millis(500));
    let client = client();
    for _ in 0..50 {
        let seen = ask(&layer, client.clone(), upstream, "good-text").await;
        assert_eq!(seen.last()["type"], "response.completed");
    }
    let made = connections.made.load(Ordering::SeqCst);
    assert!(made <= 2, "{made} connections for 50 streams");
}

async fn serve_slow_end(connections: Connections) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            connections.made.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let raw = kept_alive("good-text");
                let (stream, end) = raw.split_at(raw.len() - 5);
                while read_request(&mut connection).await.is_ok_and(|request| !request.is_empty()) {
                    if connection.write_all(stream).await.is_err() {
                        return;
                    }
                    sleep(Duration::from_millis(1)).await;
                    if connection.write_all(end).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
