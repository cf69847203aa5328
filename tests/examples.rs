//! Every example, started as a program of its own and driven over TCP: JSON, a live stream, and a
//! client that leaves.
#![cfg(feature = "gateway")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use futures_util::stream;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use support::{json, send};

// ------------------------------------------------------------------- upstream

/// Between two events of a stream.
const PAUSE: Duration = Duration::from_millis(120);

/// A server that understands functions alone, and what it got to see.
#[derive(Clone, Default)]
struct Upstream {
    seen: Arc<Mutex<Vec<(http::HeaderMap, Value)>>>,
    /// When the last stream was dropped before its end.
    dropped: Arc<Mutex<Option<Instant>>>,
}

impl Upstream {
    async fn start() -> (Self, String) {
        let upstream = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answering = upstream.clone();
        let app = Router::new().fallback(move |request: Request| {
            let upstream = answering.clone();
            async move { upstream.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        (upstream, url)
    }

    fn last(&self) -> (http::HeaderMap, Value) {
        self.seen.lock().unwrap().last().cloned().unwrap()
    }

    async fn answer(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let json = |status: u16, body: Value| {
            let response = Response::builder().status(status).header("content-type", "application/json");
            response.body(Body::from(body.to_string())).unwrap()
        };
        match head.uri.path() {
            "/v1/models" => json(200, json!({"object": "list", "data": [{"id": "qwen3", "object": "model"}]})),
            "/v1/responses" => {
                let body: Value = serde_json::from_slice(&body).unwrap();
                self.seen.lock().unwrap().push((head.headers, body.clone()));
                let kinds = body["tools"].as_array().cloned().unwrap_or_default();
                if let Some(tool) = kinds.iter().find(|tool| tool["type"] != "function") {
                    return json(400, json!({"error": {"message": format!("unsupported tool type {}", tool["type"])}}));
                }
                if body["stream"] == true { self.stream(&body) } else { json(200, response(&body)) }
            }
            path => json(404, json!({"detail": format!("no {path}")})),
        }
    }

    /// One event at a time; without an end for who asks for `forever`.
    fn stream(&self, body: &Value) -> Response {
        let response = response(body);
        let mut events = vec![
            json!({"type": "response.created", "response": {"id": "resp_1", "model": body["model"], "output": []}}),
        ];
        for n in 0..4 {
            events.push(json!({"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "delta": n.to_string()}));
        }
        events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": response["output"][0]}));
        events.push(json!({"type": "response.completed", "response": response}));
        for (number, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        if body["input"] == "forever" {
            events.truncate(2);
        }
        let forever = body["input"] == "forever";
        let watch = Watch { dropped: forever.then(|| self.dropped.clone()) };
        let events = stream::unfold((events.into_iter(), watch), move |(mut events, watch)| async move {
            tokio::time::sleep(PAUSE).await;
            let Some(event) = events.next() else {
                return if forever { std::future::pending().await } else { None };
            };
            let event = Bytes::from(tower_responses_testing::sse(&[event]));
            Some((Ok::<_, std::io::Error>(event), (events, watch)))
        });
        Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(events)).unwrap()
    }
}

struct Watch {
    dropped: Option<Arc<Mutex<Option<Instant>>>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(dropped) = &self.dropped {
            *dropped.lock().unwrap() = Some(Instant::now());
        }
    }
}

/// Calls the first function that is declared, or says something.
fn response(body: &Value) -> Value {
    let name = body["tools"][0]["name"].as_str();
    let item = match name {
        Some(name) => {
            json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": name, "arguments": "{}", "status": "completed"})
        }
        None => {
            let content = json!([{"type": "output_text", "text": "0123", "annotations": [], "logprobs": []}]);
            json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
        }
    };
    let usage = json!({"input_tokens": 1, "output_tokens": 4, "total_tokens": 5});
    json!({"id": "resp_1", "object": "response", "status": "completed", "model": body["model"], "output": [item], "usage": usage})
}

// ------------------------------------------------------------------- programs

/// An example that runs, ended when dropped.
struct Example {
    child: Child,
    url: String,
}

/// The examples, built once. After `cargo test --workspace --all-features` they are there.
fn built(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--workspace", "--all-features", "--examples"]);
        assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    });
    PathBuf::from(env!("CARGO_BIN_EXE_tower-responses")).with_file_name("examples").join(name)
}

impl Example {
    fn start(name: &str, upstream: &str) -> Self {
        let mut command = Command::new(built(name));
        command.env("UPSTREAM", upstream).env("LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        std::thread::spawn(move || lines.count());
        Self { child, url }
    }

    async fn post(&self, body: &Value) -> http::Response<hyper::body::Incoming> {
        let request =
            http::Request::post(format!("{}/v1/responses", self.url)).header("content-type", "application/json");
        send(request.header("authorization", "Bearer mine").body(Full::from(body.to_string())).unwrap()).await
    }

    async fn get(&self, path: &str) -> http::Response<hyper::body::Incoming> {
        send(http::Request::get(format!("{}{path}", self.url)).body(Full::default()).unwrap()).await
    }

    /// Events come when the upstream sends them, and a client that leaves is seen to have left.
    async fn streams(&self, upstream: &Upstream) {
        let began = Instant::now();
        let mut body = self.post(&json!({"model": "coder", "input": "hi", "stream": true})).await.into_body();
        let (mut text, mut times) = (String::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            times.push(began.elapsed());
            text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
        let events = tower_responses_testing::parse_sse(&text);
        let said: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(said, "0123", "{text}");
        assert_eq!(events.last().unwrap()["type"], "response.completed");
        // Seven events with a pause before each: none waited for another.
        assert!(times[0] < PAUSE * 3, "{times:?}");
        assert!(*times.last().unwrap() >= PAUSE * 6, "{times:?}");
        let apart = times.windows(2).filter(|pair| pair[1] - pair[0] > PAUSE / 2).count();
        assert!(apart >= 5, "{times:?}");

        let mut body = self.post(&json!({"model": "coder", "input": "forever", "stream": true})).await.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        let left = Instant::now();
        drop(body);
        while upstream.dropped.lock().unwrap().is_none_or(|dropped| dropped < left) {
            assert!(left.elapsed() < Duration::from_secs(1), "the upstream still sends");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A namespace goes in, a call of its member comes out.
    async fn tools(&self, upstream: &Upstream) {
        let tool = json!({"type": "function", "name": "echo", "description": "d", "parameters": {"type": "object"}});
        let namespace = json!({"type": "namespace", "name": "mcp__srv", "description": "d", "tools": [tool]});
        let (status, response) =
            json(self.post(&json!({"model": "coder", "input": "hi", "tools": [namespace]})).await).await;
        assert_eq!(status, 200, "{response}");
        let call = &response["output"][0];
        assert_eq!((&call["namespace"], &call["name"]), (&json!("mcp__srv"), &json!("echo")), "{response}");
        assert_eq!(upstream.last().1["tools"][0]["name"], "mcp__srv__echo");
    }

    /// Asked for and read under the client's name.
    async fn alias(&self, upstream: &Upstream) {
        let (_, response) = json(self.post(&json!({"model": "coder", "input": "hi"})).await).await;
        assert_eq!((&response["model"], &upstream.last().1["model"]), (&json!("coder"), &json!("qwen3")));
    }

    async fn continues(&self, upstream: &Upstream) {
        let (_, first) = json(self.post(&json!({"model": "coder", "input": "the first turn"})).await).await;
        let body = json!({"model": "coder", "input": "the second", "previous_response_id": first["id"]});
        let (status, _) = json(self.post(&body).await).await;
        assert_eq!(status, 200);
        let sent = upstream.last().1.to_string();
        assert!(sent.contains("the first turn") && sent.contains("the second"), "{sent}");
    }

    async fn models(&self) -> Vec<String> {
        let (_, list) = json(self.get("/v1/models").await).await;
        let slugs = list["models"].as_array().unwrap().iter().map(|model| model["slug"].as_str().unwrap().to_owned());
        slugs.collect()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start(name: &str) -> (Example, Upstream) {
    let (upstream, url) = Upstream::start().await;
    (Example::start(name, &url), upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn hyper() {
    let (example, upstream) = start("hyper").await;
    example.tools(&upstream).await;
    example.alias(&upstream).await;
    example.continues(&upstream).await;
    assert_eq!(example.models().await, ["qwen3", "coder"]);
    example.streams(&upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_with_own_routes_and_state() {
    let (example, upstream) = start("axum").await;
    example.tools(&upstream).await;
    example.alias(&upstream).await;
    example.continues(&upstream).await;
    assert_eq!(example.models().await, ["qwen3", "coder"]);
    let (status, model) = json(example.get("/v1/models/coder").await).await;
    assert_eq!((status, &model["id"]), (200, &json!("coder")));
    let asked = example.get("/asked").await.into_body().collect().await.unwrap().to_bytes();
    // Four responses, and the list of models for two addresses at most.
    assert!(asked == "5" || asked == "6", "{asked:?}");
    example.streams(&upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_proxy() {
    let (example, upstream) = start("existing_proxy").await;
    example.tools(&upstream).await;
    assert_eq!(upstream.last().0["authorization"], "Bearer mine");
    assert_eq!(upstream.last().1["model"], "coder");
    assert_eq!(example.models().await, ["qwen3"]);
    // What is none of ours is answered by the proxy.
    let (status, body) = json(example.get("/key/info").await).await;
    assert_eq!((status, &body["detail"]), (404, &json!("no /key/info")));
    example.streams(&upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_layer() {
    let (example, upstream) = start("one_layer").await;
    example.alias(&upstream).await;
    example.streams(&upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_layer() {
    let (example, upstream) = start("custom_layer").await;
    example.tools(&upstream).await;
    example.alias(&upstream).await;
    let response = example.post(&json!({"model": "coder", "input": "hi", "max_output_tokens": 100_000})).await;
    assert_eq!(response.headers()["x-body-parsed"], "1");
    let (_, response) = json(response).await;
    assert_eq!(response["cost_in_cents"], 0.008);
    assert_eq!(upstream.last().1["max_output_tokens"], 4096);
    let (status, error) = json(example.post(&json!({"model": "coder", "input": "hi", "background": true})).await).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("background")));
    example.streams(&upstream).await;
}
