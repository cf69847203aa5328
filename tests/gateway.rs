//! The gateway as a process: what it refuses, what it forwards, how it ends.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_responses::demo::{Item, Model, Turn, Upstream};
use tower_responses_testing::{body_json, sse};

use support::{Gateway, TempDir, send};

async fn upstream(model: Model) -> Upstream {
    Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), model).unwrap()
}

fn assert_error(answer: &(u16, serde_json::Value), status: u16, code: Option<&str>) {
    assert_eq!(answer.0, status, "{}", answer.1);
    let error = answer.1["error"].as_object().unwrap_or_else(|| panic!("an error in OpenAI's shape: {}", answer.1));
    for key in ["message", "type", "param", "code"] {
        assert!(error.contains_key(key), "{key} is missing: {}", answer.1);
    }
    assert!(!error["message"].as_str().unwrap().is_empty());
    if let Some(code) = code {
        assert_eq!(error["code"], code, "{}", answer.1);
    }
}

#[tokio::test]
async fn bad_requests_get_clear_errors_before_the_upstream_is_asked() {
    let upstream = upstream(Model::obedient()).await;
    let dir = TempDir::new();
    let config = dir.0.join("config.toml");
    std::fs::write(&config, "[limits]\nrequest_bytes = 100000\n").unwrap();
    let url = upstream.url();
    let gateway = Gateway::start(&["--upstream", &url, "--store", "memory", "--config", config.to_str().unwrap()]);
    let post = |kind: &'static str, body: Vec<u8>| {
        let request = Request::post(format!("{}/v1/responses", gateway.url)).header("content-type", kind);
        async { support::json(send(request.body(Full::from(body)).unwrap()).await).await }
    };
    for (kind, body, status, code) in [
        ("application/json", b"{\"model\":".to_vec(), 400, Some("invalid_json")),
        ("application/json", b"[1]".to_vec(), 400, Some("invalid_json")),
        ("application/json", b"\"text\"".to_vec(), 400, Some("invalid_json")),
        ("application/json", Vec::new(), 400, Some("invalid_json")),
        ("application/json", b"{\"model\":\"\xff\"}".to_vec(), 400, Some("invalid_json")),
        ("text/plain", b"{\"model\":\"demo\",\"input\":\"hi\"}".to_vec(), 415, Some("unsupported_media_type")),
        ("application/json", vec![b' '; 200_000], 413, Some("request_too_large")),
        ("application/json", vec![b' '; 5_000_000], 413, Some("request_too_large")),
    ] {
        assert_error(&post(kind, body).await, status, code);
    }
    let unknown = format!("resp_{}", "0".repeat(48));
    for id in ["nope", "resp_1", &unknown] {
        let answer = gateway.post(&json!({"model": "demo", "input": "hi", "previous_response_id": id})).await;
        assert_error(&answer, 400, Some("previous_response_not_found"));
        assert_eq!(answer.1["error"]["param"], "previous_response_id");
        assert_error(&gateway.get(&format!("/v1/responses/{id}")).await, 404, None);
    }
    assert_error(&gateway.post(&json!({"model": "demo", "input": "hi", "background": true})).await, 400, None);
    assert_error(&gateway.post(&json!({"model": "demo", "input": "hi", "conversation": "conv_1"})).await, 400, None);
    assert!(upstream.seen().is_empty(), "the upstream was not asked: {:?}", upstream.seen());
}

#[tokio::test]
async fn without_a_store_nothing_can_be_continued() {
    let upstream = upstream(Model::obedient()).await;
    let gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", "none"]);
    let (status, response) = gateway.post(&json!({"model": "demo", "input": "hi"})).await;
    assert_eq!(status, 200, "{response}");
    let id = response["id"].as_str().unwrap();
    let answer = gateway.post(&json!({"model": "demo", "input": "hi", "previous_response_id": id})).await;
    assert_eq!(answer.0, 400, "{}", answer.1);
    assert_eq!(answer.1["error"]["param"], "previous_response_id");
}

#[tokio::test]
async fn conversations_survive_a_restart() {
    let upstream =
        upstream(Model::scripted([Turn::new([Item::say("first answer")]), Turn::new([Item::say("second answer")])]))
            .await;
    let dir = TempDir::new();
    let (url, store) = (upstream.url(), format!("sqlite:{}", dir.0.join("s.db").display()));
    let args = ["--upstream", &url, "--store", &store];
    let mut gateway = Gateway::start(&args);
    let model = Model::NAME;
    let (status, first) = gateway.post(&json!({"model": model, "input": "one"})).await;
    assert_eq!(status, 200, "{first}");
    gateway.signal("KILL");
    gateway.wait(Duration::from_secs(5)).expect("it ends");

    let gateway = Gateway::start(&args);
    let (status, second) =
        gateway.post(&json!({"model": model, "input": "two", "previous_response_id": first["id"]})).await;
    assert_eq!(status, 200, "{second}");
    assert_eq!(second["previous_response_id"], first["id"]);
    let seen = upstream.seen();
    let history = seen[1].request["input"].to_string();
    for text in ["one", "first answer", "two"] {
        assert!(history.contains(text), "{history}");
    }
    assert_eq!(
        gateway.get(&format!("/v1/responses/{}", first["id"].as_str().unwrap())).await.1["output"],
        first["output"]
    );
}

#[tokio::test]
async fn health_is_the_gateways_own_and_unreachable_upstreams_are_said_to_be() {
    let gateway = Gateway::start(&["--upstream", "http://127.0.0.1:9", "--store", "memory"]);
    assert_eq!(gateway.get("/health").await.0, 200);
    assert_eq!(gateway.get("/ready").await.0, 503);
    assert_error(&gateway.post(&json!({"model": "m", "input": "hi"})).await, 502, Some("upstream_unreachable"));
    let streamed = gateway.post(&json!({"model": "m", "input": "hi", "stream": true})).await;
    assert_error(&streamed, 502, Some("upstream_unreachable"));
}

#[tokio::test]
async fn keys_guard_everything_but_health() {
    let upstream = upstream(Model::obedient()).await;
    let gateway = Gateway::start_with(
        &["--upstream", &upstream.url(), "--store", "memory", "--api-key-env", "TEST_GATEWAY_KEYS"],
        &[("TEST_GATEWAY_KEYS", "alpha,beta")],
    );
    assert_eq!(gateway.get("/health").await.0, 200);
    for path in ["/metrics", "/ready", "/v1/models", "/v1/responses/resp_1", "/"] {
        assert_error(&gateway.get(path).await, 401, Some("invalid_api_key"));
    }
    assert_error(&gateway.post(&json!({"model": "demo", "input": "hi"})).await, 401, Some("invalid_api_key"));
    let request = Request::post(format!("{}/v1/responses", gateway.url)).header("authorization", "Bearer beta");
    let body = json!({"model": Model::NAME, "input": "hi"}).to_string();
    let request = request.header("content-type", "application/json").body(Full::from(body)).unwrap();
    let (status, first) = support::json(send(request).await).await;
    assert_eq!(status, 200, "{first}");

    let continued = |key: &str| {
        let body = json!({"model": Model::NAME, "input": "hi", "previous_response_id": first["id"]}).to_string();
        let request =
            Request::post(format!("{}/v1/responses", gateway.url)).header("authorization", format!("Bearer {key}"));
        let request = request.header("content-type", "application/json").body(Full::from(body)).unwrap();
        async { support::json(send(request).await).await }
    };
    assert_error(&continued("alpha").await, 400, Some("previous_response_not_found"));
    assert_eq!(continued("beta").await.0, 200);
}

#[tokio::test]
async fn compressed_requests_are_read() {
    let upstream = upstream(Model::obedient()).await;
    let gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", "memory"]);
    let body = json!({"model": Model::NAME, "input": "hi"}).to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    for (coding, bytes) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(body.as_bytes(), 0).unwrap())] {
        let request = Request::post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
        let request = request.header("content-encoding", coding).body(Full::from(bytes)).unwrap();
        let (status, answer) = support::json(send(request).await).await;
        assert_eq!(status, 200, "{coding}: {answer}");
    }
    let bomb = zstd::encode_all(&vec![b' '; 80 << 20][..], 0).unwrap();
    let request = Request::post(format!("{}/v1/responses", gateway.url)).header("content-encoding", "zstd");
    let request = request.header("content-type", "application/json");
    let answer = support::json(send(request.body(Full::from(bomb)).unwrap()).await).await;
    assert_error(&answer, 413, None);
    let request = Request::post(format!("{}/v1/responses", gateway.url)).header("content-encoding", "gzip");
    let request = request.header("content-type", "application/json");
    let answer = support::json(send(request.body(Full::from("no gzip")).unwrap()).await).await;
    assert_error(&answer, 400, None);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call_of_the_upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Gateway::start(&["--upstream", &url, "--store", "memory"]);
    let host = gateway.url.strip_prefix("http://").unwrap().to_owned();
    let body = r#"{"model":"m","input":"hi","stream":true}"#;
    let mut client = TcpStream::connect(&host).await.unwrap();
    let request = format!(
        "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();

    let (mut server, _) = listener.accept().await.unwrap();
    let mut buffer = vec![0; 65536];
    let _ = server.read(&mut buffer).await.unwrap();
    let event = "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\"}}\n\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    server.write_all(format!("{head}{event}").as_bytes()).await.unwrap();
    let _ = client.read(&mut buffer).await.unwrap();
    drop(client);
    let ended = tokio::time::timeout(Duration::from_secs(1), async {
        while server.read(&mut buffer).await.unwrap_or(0) > 0 {}
    });
    ended.await.expect("the upstream's connection ends within a second");
}

#[tokio::test]
async fn answers_in_flight_end_before_the_gateway_does() {
    let pause = Turn::new([Item::say("slowly said")]).pause_after("response.in_progress", Duration::from_millis(700));
    let upstream = upstream(Model::scripted([pause])).await;
    let mut gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", "memory"]);
    let request = Request::post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
    let body = json!({"model": Model::NAME, "input": "hi", "stream": true}).to_string();
    let response = send(request.body(Full::<Bytes>::from(body)).unwrap()).await;
    gateway.signal("TERM");
    let text = response.into_body().collect().await.expect("a whole body").to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("response.completed"));
    let status = gateway.wait(Duration::from_secs(5)).expect("it ends");
    assert!(status.success(), "{status}");
}

/// What a client says first tells its protocol, however slowly it says it. One that says nothing
/// does not keep the gateway from ending.
#[tokio::test]
async fn the_first_bytes_of_a_connection_may_come_slowly() {
    let mut gateway = Gateway::start(&["--store", "none"]);
    let address = gateway.url.strip_prefix("http://").unwrap().to_owned();
    let silent = TcpStream::connect(&address).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let head = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for (said, answer) in [(&preface[..], &b"\x04"[..]), (&head[..], b"HTTP/1.1 200")] {
        for at in [0, 1, 3, 20, 24, 30] {
            let mut client = TcpStream::connect(&address).await.unwrap();
            client.set_nodelay(true).unwrap();
            client.write_all(&said[..at]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            client.write_all(&said[at..]).await.unwrap();
            let mut heard = [0; 12];
            client.read_exact(&mut heard).await.unwrap();
            // The type of a frame stands behind its length.
            let heard = if answer.len() == 1 { &heard[3..4] } else { &heard[..] };
            assert_eq!(heard, answer, "{} bytes at first", at);
        }
    }
    gateway.signal("TERM");
    let ended = gateway.wait(Duration::from_secs(5)).expect("it ends");
    assert!(ended.success());
    drop(silent);
}

#[tokio::test]
async fn models_are_routed_to_their_upstreams_after_aliases() {
    let (one, two) = (upstream(Model::obedient()).await, upstream(Model::obedient().named("second")).await);
    let dir = TempDir::new();
    let config = dir.0.join("config.toml");
    let text = format!(
        "store = \"memory\"\n[upstream]\nurl = \"{}\"\n[upstreams.two]\nurl = \"{}/v1\"\nmodels = [\"second\"]\n[aliases]\nreviewer = \"second\"\n",
        one.url(),
        two.url()
    );
    std::fs::write(&config, text).unwrap();
    let gateway = Gateway::start(&["--config", config.to_str().unwrap()]);
    let (status, answer) = gateway.post(&json!({"model": "reviewer", "input": "hi"})).await;
    assert_eq!((status, &answer["model"]), (200, &json!("reviewer")), "{answer}");
    assert_eq!((one.seen().len(), two.seen().len()), (0, 1));
    assert_eq!(two.seen()[0].request["model"], "second");
}

#[tokio::test]
async fn every_upstream_is_asked_for_its_models() {
    let (one, two) = (upstream(Model::obedient()).await, upstream(Model::obedient().named("second")).await);
    let dir = TempDir::new();
    let config = dir.0.join("config.toml");
    // Nobody is at the third; `fourth` the second upstream does not know.
    let text = format!(
        "store = 'none'\n[upstream]\nurl = '{}'\n[upstreams.two]\nurl = '{}/v1'\nmodels = ['second', 'fourth']\n\
         [upstreams.three]\nurl = 'http://127.0.0.1:9'\nmodels = ['third']\n",
        one.url(),
        two.url()
    );
    std::fs::write(&config, text).unwrap();
    let gateway = Gateway::start(&["--config", config.to_str().unwrap()]);
    let (status, list) = gateway.get("/v1/models").await;
    assert_eq!(status, 200, "{list}");
    let said = |id: &str| {
        let mut cards = list["data"].as_array().unwrap().iter().filter(|card| card["id"] == id);
        let card = cards.next().unwrap_or_else(|| panic!("{id} is missing: {list}"));
        assert!(cards.next().is_none(), "{id} is there twice: {list}");
        card["max_model_len"].clone()
    };
    let models =
        [("demo", json!(131_072)), ("second", json!(131_072)), ("third", json!(null)), ("fourth", json!(null))];
    for (id, window) in models {
        assert_eq!(said(id), window, "{id}: {list}");
    }
    let second = list["models"].as_array().unwrap().iter().find(|entry| entry["slug"] == "second").unwrap();
    assert_eq!(second["context_window"], 131_072);
}

/// An upstream that speaks nothing but HTTP/2; says how many connections it took.
async fn http2_upstream() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let answer = service_fn(async |request: Request<Incoming>| {
        assert_eq!(request.version(), Version::HTTP_2);
        let asked = body_json(request.into_body()).await;
        let response = |status: &str, output: serde_json::Value| json!({"id": "resp_1", "object": "response", "model": asked["model"], "status": status, "output": output});
        let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": asked["input"].to_string(), "annotations": []}]});
        let done = response("completed", json!([item]));
        let events = [
            json!({"type": "response.created", "response": response("in_progress", json!([])), "sequence_number": 0}),
            json!({"type": "response.completed", "response": done, "sequence_number": 1}),
        ];
        let (kind, body) = match asked["stream"].as_bool() {
            Some(true) => ("text/event-stream", sse(&events)),
            _ => ("application/json", done.to_string()),
        };
        Response::builder().header("content-type", kind).body(Full::<Bytes>::from(body))
    });
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(connection);
        }
    });
    (url, connections)
}

#[tokio::test]
async fn an_http2_upstream_is_asked_over_one_connection() {
    let (url, connections) = http2_upstream().await;
    let dir = TempDir::new();
    let config = dir.0.join("config.toml");
    std::fs::write(&config, format!("store = \"memory\"\n[upstream]\nurl = \"{url}\"\nhttp2 = true\n")).unwrap();
    let gateway = Gateway::start(&["--config", config.to_str().unwrap()]);
    let ask = async |number: usize| {
        let (said, stream) = (format!("number {number}."), number.is_multiple_of(2));
        let body = json!({"model": "m", "input": said, "stream": stream, "tools": [{"type": "custom", "name": "run"}]});
        let request = Request::post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
        let response = send(request.body(Full::from(body.to_string())).unwrap()).await;
        assert_eq!(response.status(), 200);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.contains(&said), "its own answer: {text}");
        assert_eq!(text.contains("response.completed"), stream, "{text}");
    };
    ask(0).await;
    futures_util::future::join_all((1..40).map(ask)).await;
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
