//! Many requests at once through one pooled client, to an upstream that fails at random in every
//! way. A process of its own, so that nothing else is measured.
//!
//! `TOWER_RESPONSES_SOAK=10000 cargo test --release -p tower-responses-upstream-quirks --test soak -- --nocapture`
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "quirks/rig.rs"]
#[allow(dead_code)]
mod rig;
#[path = "quirks/truth.rs"]
mod truth;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use peak_alloc::PeakAlloc;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_responses_core::RequestBody;
use tower_responses_upstream_quirks::{Profile, UpstreamQuirksLayer};

use crate::rig::{Reply, Seen, ask, client, kept_alive, read_request, see};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const HEARTBEAT: Duration = Duration::from_millis(80);

/// What the upstream does to a request, and how that has to end for the client.
struct Mode {
    fixture: &'static str,
    manner: Manner,
    end: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// The connection is kept.
    Keep,
    Close,
    Reset,
    /// The head comes when the client has been told something already.
    Late,
    /// Nothing comes for a while in the middle.
    Silent,
    /// Nothing more comes, and the client leaves.
    Hang,
}

const fn mode(fixture: &'static str, manner: Manner, end: &'static str) -> Mode {
    Mode { fixture, manner, end }
}

const COMPLETED: &str = "response.completed";
const INCOMPLETE: &str = "response.incomplete";
const FAILED: &str = "response.failed";
const LEFT: &str = "the client left";

const MODES: &[Mode] = &[
    mode("good-text", Manner::Keep, COMPLETED),
    mode("good-call", Manner::Keep, COMPLETED),
    mode("vllm-text-stream", Manner::Keep, COMPLETED),
    mode("vllm-call-stream", Manner::Keep, COMPLETED),
    mode("vllm-cut-call-stream", Manner::Keep, INCOMPLETE),
    mode("vllm-cut-text-stream", Manner::Keep, INCOMPLETE),
    mode("vllm-bad-schema-stream", Manner::Close, FAILED),
    mode("vllm-engine-death-stream", Manner::Close, FAILED),
    mode("vllm-engine-death", Manner::Close, "500 Internal Server Error"),
    mode("vllm-context-overflow", Manner::Keep, "400 Bad Request"),
    mode("cut-before-anything", Manner::Close, FAILED),
    mode("cut-in-text", Manner::Close, FAILED),
    mode("cut-in-call", Manner::Close, FAILED),
    mode("cut-in-reasoning", Manner::Close, FAILED),
    mode("cut-in-event", Manner::Close, FAILED),
    mode("cut-chunked", Manner::Close, FAILED),
    mode("cut-in-text", Manner::Reset, FAILED),
    mode("garbage", Manner::Close, FAILED),
    mode("error-event", Manner::Close, FAILED),
    mode("error-untyped", Manner::Close, FAILED),
    mode("failed-overflow", Manner::Close, FAILED),
    mode("bad-gateway-html", Manner::Close, "502 Bad Gateway"),
    mode("unauthorized", Manner::Close, "401 Unauthorized"),
    mode("rate-limit", Manner::Close, "429 Too Many Requests"),
    mode("error-in-200", Manner::Close, "429 Too Many Requests"),
    mode("vllm-text", Manner::Keep, COMPLETED),
    mode("whitespace-message", Manner::Close, COMPLETED),
    mode("no-added", Manner::Close, COMPLETED),
    mode("no-done", Manner::Close, COMPLETED),
    mode("ids-differ", Manner::Close, COMPLETED),
    mode("numbers-minus-one", Manner::Close, COMPLETED),
    mode("status-null-stream", Manner::Close, COMPLETED),
    mode("usage-empty-details", Manner::Close, COMPLETED),
    mode("done-marker", Manner::Close, COMPLETED),
    mode("good-text", Manner::Late, COMPLETED),
    mode("rate-limit", Manner::Late, FAILED),
    mode("good-text", Manner::Silent, COMPLETED),
    mode("cut-in-text", Manner::Hang, LEFT),
];

/// The connections of the upstream.
#[derive(Clone, Default)]
struct Connections {
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Connections {
    /// Waits until none is open.
    async fn closed(&self) {
        let closed = async {
            while self.open.load(Ordering::SeqCst) > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let closed = timeout(Duration::from_secs(5), closed).await;
        assert!(closed.is_ok(), "{} connections are left", self.open.load(Ordering::SeqCst));
    }
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
        let request: serde_json::Value = serde_json::from_slice(&request).unwrap();
        let mode = &MODES[request["model"].as_str().unwrap().parse::<usize>().unwrap()];
        let raw = Reply::fixture(mode.fixture).raw;
        match mode.manner {
            Manner::Keep => {
                connection.write_all(&kept_alive(mode.fixture)).await?;
                continue;
            }
            Manner::Close => connection.write_all(&raw).await?,
            Manner::Late => {
                sleep(HEARTBEAT * 2).await;
                connection.write_all(&raw).await?;
            }
            Manner::Silent => {
                let (before, after) = raw.split_at(raw.len() / 2);
                connection.write_all(before).await?;
                sleep(HEARTBEAT * 3).await;
                connection.write_all(after).await?;
            }
            Manner::Reset => {
                connection.write_all(&raw).await?;
                sleep(Duration::from_millis(20)).await;
                return connection.set_zero_linger();
            }
            Manner::Hang => {
                connection.write_all(&raw).await?;
                return connection.read(&mut [0]).await.map(drop);
            }
        }
        return connection.shutdown().await;
    }
}

/// One request; how it ended.
async fn end_of(
    layer: &UpstreamQuirksLayer,
    client: Client<HttpConnector, RequestBody>,
    upstream: SocketAddr,
    at: usize,
) -> String {
    let begun = Instant::now();
    let body = json!({"model": at.to_string(), "input": "hi", "stream": true});
    let mut response = ask(layer, client, upstream, &body).await;
    if MODES[at].manner == Manner::Hang {
        assert!(response.body_mut().frame().await.is_some_and(|frame| frame.is_ok()));
        return LEFT.to_owned();
    }
    let seen = see(response, begun, Duration::from_secs(30)).await;
    truth::check(&seen);
    let beats = seen.of("response.in_progress").len() > 1;
    if MODES[at].manner == Manner::Silent && beats { format!("{COMPLETED}, with heartbeats") } else { end(&seen) }
}

fn end(seen: &Seen) -> String {
    if seen.headers["content-type"].to_str().unwrap().starts_with("text/event-stream") {
        seen.last()["type"].as_str().unwrap().to_owned()
    } else {
        seen.status.to_string()
    }
}

/// Sends that many requests, 64 at a time, and leaves nothing behind.
async fn round(
    requests: usize,
    random: &mut u64,
    upstream: SocketAddr,
    connections: &Connections,
    ends: &mut BTreeMap<String, usize>,
) {
    let layer = UpstreamQuirksLayer::new(Profile::Vllm).heartbeat(HEARTBEAT);
    let client = client();
    let mut running = JoinSet::new();
    for started in 0..requests {
        if started >= 64 {
            *ends.entry(running.join_next().await.unwrap().unwrap()).or_default() += 1;
        }
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(*random >> 33).unwrap() % MODES.len();
        let (layer, client) = (layer.clone(), client.clone());
        running.spawn(async move {
            let end = end_of(&layer, client, upstream, at).await;
            let mode = &MODES[at];
            // On a machine that is busy any answer may be late: then it comes as a stream.
            let late = end == FAILED && !mode.end.starts_with("response.");
            // A reset may overtake the head.
            let lost = end == "502 Bad Gateway" && mode.manner == Manner::Reset;
            assert!(end.starts_with(mode.end) || late || lost, "{}: {end}", mode.fixture);
            end
        });
    }
    while let Some(end) = running.join_next().await {
        *ends.entry(end.unwrap()).or_default() += 1;
    }
    drop((client, running));
    connections.closed().await;
    // The client's side of the connections.
    sleep(Duration::from_millis(50)).await;
}

const ROUNDS: usize = 5;

/// What may be left of a round, beside what the first left: timers, queues and pools of the
/// runtime are not given back.
const TOLERANCE: usize = 8 * 1024;

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak() {
    let requests = std::env::var("TOWER_RESPONSES_SOAK").map_or(640, |count| count.parse::<usize>().unwrap());
    let connections = Connections::default();
    let upstream = serve(connections.clone()).await;
    let (begun, mut ends, mut random) = (Instant::now(), BTreeMap::new(), 1);
    let mut heap = Vec::new();
    for _ in 0..ROUNDS {
        round(requests / ROUNDS, &mut random, upstream, &connections, &mut ends).await;
        heap.push(HEAP.current_usage());
    }
    println!("{} requests in {:.1?}: {ends:#?}", ends.values().sum::<usize>(), begun.elapsed());
    println!("{} connections to the upstream, none left", connections.made.load(Ordering::SeqCst));
    println!("heap after each round: {heap:?} bytes, {} at most; {} KiB resident", HEAP.peak_usage(), resident_kib());
    assert_eq!(ends.values().sum::<usize>(), requests / ROUNDS * ROUNDS);
    assert!(ends.keys().any(|end| end.ends_with("heartbeats")));
    assert!(heap.iter().all(|left| *left <= heap[0] + TOLERANCE), "memory is left: {heap:?}");
}
