//! What is passed on to an upstream, and what of its answers is passed back.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use support::{
    Gateway, TempDir,
    raw::{JSON, RESPONSE, Recorder, code, raw},
    send,
};

const BODY: &str = r#"{"model":"m","input":"hi"}"#;

fn start(url: &str) -> Gateway {
    Gateway::start_with(
        &["--upstream", url, "--store", "memory", "--upstream-api-key-env", "UPSTREAM_KEY"],
        &[("UPSTREAM_KEY", "ours")],
    )
}

fn request(method: &str, target: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn only_the_routes_of_the_api_are_passed_on() {
    let upstream = Recorder::start().await;
    let gateway = start(&upstream.url);
    for target in
        ["/v1/chat/completions", "/v1/embeddings?a=b", "/tokenize", "/v1/audio/speech", "/rerank", "/v1/files"]
    {
        assert_eq!(raw(&gateway, &request("POST", target, "", "{}")).await.0, 200, "{target}");
        let last = upstream.seen().pop().unwrap();
        assert!(last.starts_with(&format!("POST {target} HTTP/1.1\r\n")), "{last}");
    }
    let passed = upstream.seen().len();
    for target in [
        "/key/generate",
        "/v1/key/generate",
        "/key/responses",
        "//key/generate",
        "/model/new",
        "/v1/load_lora_adapter",
        "/reset_prefix_cache",
        "/sleep",
        "/metrics",
        "/models/load",
        "/",
        "*",
        "/%6bey/generate",
        "/v1/chat/completionsx",
    ] {
        let headers = "content-type: application/json\r\n";
        let (status, _, body) = raw(&gateway, &request("POST", target, headers, BODY)).await;
        assert_eq!((status, code(&body).as_str()), (404, "unknown_path"), "{target}");
    }
    for target in [
        "/v1/../key/generate",
        "/v1/files/../../key/generate",
        "/v1/files/%2e%2e/%2E%2e/key/generate",
        "/v1/files/.%2e/../key/generate",
        "/v1/files/..%2f..%2fkey/generate",
        "/v1/files/..%5c..%5ckey",
        "/v1/files/%252e%252e/x",
        "/v1/files/..;/..;/key/generate",
        "/v1/./files",
        "/v1/files/a%2Fb",
        "http://localhost/v1/files/../../key/generate",
    ] {
        let (status, _, body) = raw(&gateway, &request("GET", target, "", "")).await;
        assert_eq!((status, code(&body).as_str()), (400, "invalid_path"), "{target}");
    }
    // A backslash no parser of URLs takes.
    assert_eq!(raw(&gateway, &request("GET", "/v1/files/..\\..\\key", "", "")).await.0, 400);
    // What makes a response comes through all layers.
    for target in ["/v1/../responses", "/v1/%2e%2e/key/../responses"] {
        let headers = "content-type: application/json\r\n";
        let (status, _, body) = raw(&gateway, &request("POST", target, headers, BODY)).await;
        assert_eq!((status, code(&body).as_str()), (400, "invalid_path"), "{target}");
    }
    assert_eq!(upstream.seen().len(), passed, "{:?}", upstream.seen());
}

#[tokio::test]
async fn further_paths_can_be_named_for_each_upstream() {
    let (one, two) = (Recorder::start().await, Recorder::start().await);
    let folder = TempDir::new();
    let config = folder.0.join("config.toml");
    let text = format!(
        "store = 'none'\n[upstream]\nurl = '{}/base/v1'\npaths = ['/key/info', '/api/*']\n\
         [upstreams.two]\nurl = '{}'\nmodels = ['second']\npaths = ['/own/responses']\n",
        one.url, two.url
    );
    std::fs::write(&config, text).unwrap();
    let gateway = Gateway::start(&["--config", config.to_str().unwrap()]);
    for (target, status) in
        [("/key/info", 200), ("/api/tags", 200), ("/key/generate", 404), ("/api", 404), ("/api/../key/generate", 400)]
    {
        assert_eq!(raw(&gateway, &request("GET", target, "", "")).await.0, status, "{target}");
    }
    let asked: Vec<_> = one.seen().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(asked, ["/base/v1/key/info", "/base/v1/api/tags"]);
    let kind = "content-type: application/json\r\n";
    for (model, status) in [("second", 200), ("m", 404)] {
        let body = format!(r#"{{"model":"{model}","input":"hi"}}"#);
        assert_eq!(raw(&gateway, &request("POST", "/own/responses", kind, &body)).await.0, status, "{model}");
    }
    assert_eq!((one.seen().len(), two.seen().len()), (2, 1));

    for bad in ["key/info", "/a/../b", "/a*"] {
        std::fs::write(&config, format!("[upstream]\nurl = 'http://a'\npaths = ['{bad}']\n")).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tower-responses"));
        let ended = command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(bad), "{said}");
    }
}

#[tokio::test]
async fn tunnels_and_upgrades_are_answered_here() {
    let upstream = Recorder::start().await;
    let gateway = start(&upstream.url);
    for (method, target) in [("CONNECT", "evil.example:443"), ("CONNECT", "localhost:80"), ("TRACE", "/v1/models")] {
        let (status, _, body) = raw(&gateway, &request(method, target, "", "")).await;
        assert_eq!((status, code(&body).as_str()), (405, "method_not_allowed"), "{method}");
    }
    let stream = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let tunnel = Request::connect("evil.example:443").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(tunnel).await.unwrap().status(), 405);
    let socket = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (status, _, body) = raw(&gateway, &request("GET", "/v1/chat/completions", socket, "")).await;
    assert_eq!((status, code(&body).as_str()), (400, "upgrade_not_supported"));
    assert_eq!(raw(&gateway, &request("GET", "/v1/realtime", socket, "")).await.0, 404);
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
    // Clients in Java offer this with every request.
    let offer = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n";
    assert_eq!(raw(&gateway, &request("POST", "/v1/chat/completions", offer, "{}")).await.0, 200);
    for name in ["connection", "upgrade", "http2-settings"] {
        assert!(upstream.header(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn headers_of_one_connection_go_no_further() {
    let answer = format!(
        "{JSON}connection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nx-stays: 1\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let upstream = Recorder::answering(answer.into_bytes()).await;
    let gateway = start(&upstream.url);
    let headers = "connection: keep-alive, X-Hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nte: trailers\r\n\
                   proxy-authorization: Basic YTpi\r\nproxy-connection: keep-alive\r\nx-stays: 1\r\n";
    let (status, head, _) = raw(&gateway, &request("POST", "/v1/chat/completions", headers, "{}")).await;
    assert_eq!(status, 200);
    for name in ["connection", "x-hop", "keep-alive", "te", "proxy-authorization", "proxy-connection"] {
        assert!(upstream.header(name).is_empty(), "{name}");
    }
    assert_eq!(upstream.header("x-stays"), ["1"]);
    for name in ["x-hop", "keep-alive", "proxy-authenticate"] {
        assert!(!head.to_ascii_lowercase().contains(&format!("\r\n{name}:")), "{head}");
    }
    assert!(head.contains("x-stays: 1"), "{head}");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_errors() {
    let body = gzip(RESPONSE);
    let zipped =
        [format!("{JSON}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nmore".to_vec();
    let kind = "content-type: application/json\r\n";
    for answer in [zipped.clone(), switching] {
        let upstream = Recorder::answering(answer).await;
        let gateway = start(&upstream.url);
        for (method, target, body) in
            [("POST", "/v1/responses", BODY), ("POST", "/v1/chat/completions", "{}"), ("GET", "/v1/files", "")]
        {
            let (status, _, body) = raw(&gateway, &request(method, target, kind, body)).await;
            assert_eq!((status, code(&body).as_str()), (502, "upstream_error"), "{target}");
        }
        // The layers read the answer to this, so they ask for none.
        let asking = format!("{kind}accept-encoding: gzip\r\n");
        assert_eq!(raw(&gateway, &request("POST", "/v1/responses", &asking, BODY)).await.0, 502);
    }
    // What was asked for is passed.
    let upstream = Recorder::answering(zipped).await;
    let gateway = start(&upstream.url);
    let request = Request::get(format!("{}/v1/files", gateway.url)).header("accept-encoding", "br, gzip");
    let answer = send(request.body(Full::default()).unwrap()).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-encoding"]), (200, &"gzip".parse().unwrap()));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
}

#[tokio::test]
async fn an_encoding_that_is_not_known_is_refused_in_words() {
    let upstream = Recorder::start().await;
    let gateway = start(&upstream.url);
    for encoding in ["compress", "gzip, zstd", "aws-chunked", "\u{fc}"] {
        for target in ["/v1/responses", "/v1/chat/completions"] {
            let headers = format!("content-type: application/json\r\ncontent-encoding: {encoding}\r\n");
            let (status, head, body) = raw(&gateway, &request("POST", target, &headers, BODY)).await;
            assert_eq!((status, code(&body).as_str()), (415, "unsupported_media_type"), "{target} {encoding}");
            assert!(head.contains("accept-encoding: gzip, deflate, br, zstd"), "{head}");
        }
    }
    assert!(upstream.seen().is_empty());
    for (encoding, body) in [("GZip", gzip(BODY)), ("x-gzip", gzip(BODY)), ("identity", BODY.as_bytes().to_vec())] {
        let head = format!(
            "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (status, _, answer) = raw(&gateway, &[head.as_bytes(), &body].concat()).await;
        assert_eq!(status, 200, "{encoding}: {answer}");
        assert!(upstream.header("content-encoding").is_empty());
    }
}

/// What is wrong with a body is the client's fault, also where nobody here reads it.
#[tokio::test]
async fn an_upload_that_is_broken_is_not_the_upstreams_fault() {
    let upstream = Recorder::start().await;
    let gateway = start(&upstream.url);
    let head = |more: &str| format!("POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
    let chunked = |body: &[u8]| [head("transfer-encoding: chunked\r\n").as_bytes(), body].concat();
    let encoded = |encoding: &str, body: &[u8]| {
        let lengths = format!("content-encoding: {encoding}\r\ncontent-length: {}\r\n", body.len());
        [head(&lengths).as_bytes(), body].concat()
    };
    let long = "a long text ".repeat(10_000) + &format!("{:?}", (0..5000).collect::<Vec<_>>());
    let (gzip, zstd) = (gzip(&long), zstd::encode_all(long.as_bytes(), 0).unwrap());
    let corrupt = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 16].fill(0xff);
        bytes
    };
    let uploads = [
        ("a chunk without a size", chunked(b"5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n")),
        ("a chunk that is too long", chunked(b"5\r\nhello world\r\n0\r\n\r\n")),
        ("no gzip", encoded("gzip", b"no gzip at all")),
        ("half a gzip", encoded("gzip", &gzip[..gzip.len() / 2])),
        ("a corrupt gzip", encoded("gzip", &corrupt(&gzip))),
        ("no zstd", encoded("zstd", b"no zstd at all")),
        ("half a zstd", encoded("zstd", &zstd[..zstd.len() / 2])),
        ("a corrupt zstd", encoded("zstd", &corrupt(&zstd))),
    ];
    for (what, upload) in uploads {
        let (status, _, body) = raw(&gateway, &upload).await;
        assert_eq!((status, code(&body).as_str()), (400, "incomplete_body"), "{what}: {body}");
    }
    // Whole ones pass.
    assert_eq!(raw(&gateway, &chunked(b"5\r\nhello\r\n0\r\n\r\n")).await.0, 200);
    assert_eq!(raw(&gateway, &encoded("gzip", &gzip)).await.0, 200);
    assert_eq!(raw(&gateway, &encoded("zstd", &zstd)).await.0, 200);
    assert_eq!(upstream.seen().len(), 3, "the others never came to their end there");
}
