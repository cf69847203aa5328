//! Servers that close a kept connection without saying so: what was sent over it is sent once more.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{body::Frame, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};
use tower::ServiceExt;
use tower_responses::{
    RequestBody,
    upstream::{TrustedRoots, Upstream, UpstreamConfig},
};

use support::{Gateway, TempDir, send};

/// What a server does with a request on one of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Answer,
    AnswerAndClose,
    /// Says this much, and closes.
    Close(&'static str),
    /// Resets the connection after it has read the request.
    Reset,
    /// Resets it when it has read a part of the request.
    ResetEarly,
}

const COMPLETED: &str = "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"output\":[]}}\n\n\
    data: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}\n\n";

/// Answers by a script: what it does with the request of this number on the connection of that.
struct Server {
    url: String,
    /// Connection, and what was asked: the whole request.
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

type Script = fn(usize, usize) -> Act;

impl Server {
    async fn start(script: Script) -> Self {
        Self::start_with(script, None).await
    }

    async fn start_with(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let url = format!("{scheme}:{}", listener.local_addr().unwrap().port());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = seen.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (seen, tls) = (all.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            let _ = serve(tls.accept(stream).await.unwrap(), connection, script, &seen).await;
                        }
                        None => {
                            let mut stream = stream;
                            if serve(&mut stream, connection, script, &seen).await == Some(Act::Reset) {
                                stream.set_zero_linger().unwrap();
                            }
                        }
                    }
                });
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<(usize, String)> {
        self.seen.lock().unwrap().clone()
    }

    /// The connections that requests came over.
    fn connections(&self) -> Vec<usize> {
        self.seen().iter().map(|(connection, _)| *connection).collect()
    }
}

/// Serves until the connection is to be closed; how.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    script: Script,
    seen: &Mutex<Vec<(usize, String)>>,
) -> Option<Act> {
    for number in 0.. {
        let act = script(connection, number);
        let request = read_request(&mut stream, act == Act::ResetEarly).await?;
        let answer = answer(&request);
        seen.lock().unwrap().push((connection, request));
        match act {
            Act::Answer | Act::AnswerAndClose => stream.write_all(answer.as_bytes()).await.ok()?,
            Act::Close(said) => stream.write_all(said.as_bytes()).await.ok()?,
            Act::Reset | Act::ResetEarly => return Some(Act::Reset),
        }
        stream.flush().await.ok()?;
        if act == Act::AnswerAndClose {
            // Before the next request comes, when it does, or after it: unread, it resets the connection.
            tokio::time::sleep(Duration::from_millis(connection as u64 % 5)).await;
        }
        if act != Act::Answer {
            return Some(act);
        }
    }
    None
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin), part: bool) -> Option<String> {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let is_chunked = head.contains("transfer-encoding: chunked");
            let ended = if is_chunked { body.ends_with("0\r\n\r\n") } else { body.len() >= length.unwrap_or(0) };
            if ended || part {
                return Some(text);
            }
        }
        match stream.read(&mut chunk).await {
            Ok(length) if length > 0 => read.extend_from_slice(&chunk[..length]),
            _ => return None,
        }
    }
}

fn answer(request: &str) -> String {
    if request.contains("\"stream\":true") {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        return format!("{head}{:x}\r\n{COMPLETED}\r\n0\r\n\r\n", COMPLETED.len());
    }
    let body = r#"{"object":"response","id":"r","status":"completed","output":[],"data":[]}"#;
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn gateway(url: &str) -> Gateway {
    Gateway::start(&["--upstream", url, "--store", "memory"])
}

async fn stream(gateway: &Gateway) -> String {
    let body = json!({"model": "m", "input": "hi", "stream": true}).to_string();
    let request = Request::post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
    let answer = send(request.body(Full::from(body)).unwrap()).await;
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&text).into_owned()
}

async fn retries(gateway: &Gateway) -> f64 {
    let request = Request::get(format!("{}/metrics", gateway.url)).body(Full::default()).unwrap();
    let text = send(request).await.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&text).into_owned();
    let name = "tower_responses_upstream_dead_connection_retries_total ";
    text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or(0.0)
}

/// A turn that follows a stream at once, as with llama.cpp, which closes then.
#[tokio::test]
async fn a_turn_that_follows_a_stream_is_asked_once_more() {
    let scripts: [Script; 3] = [
        |connection, number| if (connection, number) == (0, 1) { Act::Close("") } else { Act::Answer },
        |connection, number| if (connection, number) == (0, 1) { Act::Reset } else { Act::Answer },
        |connection, number| if (connection, number) == (0, 1) { Act::ResetEarly } else { Act::Answer },
    ];
    for script in scripts {
        // As long as a request of Codex: it does not fit into the buffers of the connection.
        for input in ["hi".to_owned(), "long ".repeat(200_000)] {
            let server = Server::start(script).await;
            let gateway = gateway(&server.url);
            assert!(stream(&gateway).await.contains("response.completed"));
            let (status, answer) = gateway.post(&json!({"model": "m", "input": input, "tools": []})).await;
            assert_eq!(status, 200, "{answer}");
            assert_eq!(server.connections(), [0, 0, 1]);
            let seen = server.seen();
            if script(0, 1) != Act::ResetEarly {
                assert_eq!(seen[1].1, seen[2].1, "the same request");
            }
            assert!(seen[2].1.contains(&input));
            assert_eq!(retries(&gateway).await, 1.0);
        }
    }
}

/// Whether the end of the connection is seen before the next request is sent, or after, is a race.
#[tokio::test]
async fn a_server_that_closes_after_every_answer_loses_no_turn() {
    let server = Server::start(|_, _| Act::AnswerAndClose).await;
    let gateway = gateway(&server.url);
    for _ in 0..100 {
        let text = stream(&gateway).await;
        assert!(text.contains("response.completed"), "{text}");
        let (status, answer) = gateway.post(&json!({"model": "m", "input": "hi"})).await;
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(server.seen().len(), 200, "none was answered twice");
}

#[tokio::test]
async fn it_is_asked_once_more_and_not_twice() {
    // A new connection is the server's word.
    let script: Script = |connection, number| if (connection, number) == (0, 0) { Act::Answer } else { Act::Close("") };
    let server = Server::start(script).await;
    let gateway = gateway(&server.url);
    assert_eq!(gateway.post(&json!({"model": "m", "input": "hi"})).await.0, 200);
    let (status, answer) = gateway.post(&json!({"model": "m", "input": "hi"})).await;
    assert_eq!((status, &answer["error"]["code"]), (502, &json!("upstream_error")), "{answer}");
    assert_eq!(server.connections(), [0, 0, 1]);
    let (status, _) = gateway.post(&json!({"model": "m", "input": "hi"})).await;
    assert_eq!((status, server.connections().len()), (502, 4), "there is none to be used again");
}

#[tokio::test]
async fn it_is_not_asked_again_where_it_must_not() {
    let closes: Script = |connection, number| if (connection, number) == (0, 1) { Act::Close("") } else { Act::Answer };
    let body = json!({"model": "m", "input": "hi"});

    // Forbidden.
    let server = Server::start(closes).await;
    let dir = TempDir::new();
    let config = dir.0.join("config.toml");
    let text = format!("store = 'none'\n[upstream]\nurl = '{}'\nretry_dead_connections = false\n", server.url);
    std::fs::write(&config, text).unwrap();
    let forbidden = Gateway::start(&["--config", config.to_str().unwrap()]);
    assert_eq!(forbidden.post(&body).await.0, 200);
    assert_eq!(forbidden.post(&body).await.0, 502);
    assert_eq!(server.connections(), [0, 0]);

    // The server has begun to answer.
    let begun: [Script; 2] = [
        |connection, number| if (connection, number) == (0, 1) { Act::Close("HTTP/1.1 20") } else { Act::Answer },
        |connection, number| match (connection, number) {
            (0, 1) => Act::Close("HTTP/1.1 103 Early Hints\r\n\r\n"),
            _ => Act::Answer,
        },
    ];
    for script in begun {
        let server = Server::start(script).await;
        let gateway = gateway(&server.url);
        assert_eq!(gateway.post(&body).await.0, 200);
        assert_eq!(gateway.post(&body).await.0, 502);
        assert_eq!(server.connections(), [0, 0]);
    }

    // A body that the client is still sending, and a method that is not idempotent.
    let server = Server::start(closes).await;
    let gateway = gateway(&server.url);
    assert_eq!(gateway.post(&body).await.0, 200);
    let request = Request::post(format!("{}/v1/chat/completions", gateway.url));
    let request = request.header("content-type", "application/json").body(Full::from("{}")).unwrap();
    assert_eq!(send(request).await.status(), 502);
    assert_eq!(server.connections(), [0, 0]);
}

#[tokio::test]
async fn other_methods_that_are_harmless_are_asked_once_more() {
    let server =
        Server::start(|connection, number| if (connection, number) == (0, 1) { Act::Reset } else { Act::Answer }).await;
    let gateway = gateway(&server.url);
    assert_eq!(gateway.get("/v1/files").await.0, 200);
    assert_eq!(gateway.get("/v1/files").await.0, 200);
    assert_eq!(server.connections(), [0, 0, 1]);
}

fn request() -> Request<RequestBody> {
    let request = Request::post("/v1/responses").header("content-type", "application/json");
    request.body(RequestBody::from(Bytes::from_static(b"{\"input\":\"hi\"}"))).unwrap()
}

/// Asks and reads the answer to its end, so that the connection is free.
async fn ask(upstream: &Upstream) -> u16 {
    ask_with(upstream, request()).await
}

async fn ask_with(upstream: &Upstream, request: Request<RequestBody>) -> u16 {
    let answer = upstream.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    // The task of the connection has to give it back.
    tokio::time::sleep(Duration::from_millis(50)).await;
    status
}

fn tls(folder: &TempDir) -> (TlsAcceptor, TrustedRoots) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let file = folder.0.join("roots.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), TrustedRoots::from_pem_file(&file).unwrap())
}

#[tokio::test]
async fn with_tls_it_is_the_same() {
    let folder = TempDir::new();
    let scripts: [(Script, u16, &[usize]); 2] = [
        (
            |connection, number| if (connection, number) == (0, 1) { Act::Close("") } else { Act::Answer },
            200,
            &[0, 0, 1],
        ),
        (
            |connection, number| if (connection, number) == (0, 1) { Act::Close("HTTP/1.") } else { Act::Answer },
            502,
            &[0, 0],
        ),
    ];
    for (script, status, connections) in scripts {
        let (acceptor, roots) = tls(&folder);
        let server = Server::start_with(script, Some(acceptor)).await;
        let config = UpstreamConfig { roots, ..UpstreamConfig::default() };
        let upstream = Upstream::with_config(server.url.parse().unwrap(), config);
        // Whatever the connection was used for before.
        let first = Request::post("/v1/chat/completions").body(RequestBody::empty()).unwrap();
        assert_eq!(ask_with(&upstream, first).await, 200);
        assert_eq!(ask(&upstream).await, status);
        assert_eq!(server.connections(), connections);
    }
}

/// How the second request on an HTTP/2 connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The TCP connection is closed, without a word of HTTP/2.
    Cut,
    /// The stream is reset, as by a handler that panicked. The connection stays.
    Stream,
}

async fn http2_server(end: End) -> (String, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = seen.clone();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve_http2(stream, connection, end, all.clone()));
        }
    });
    (url, seen)
}

async fn serve_http2(stream: TcpStream, connection: usize, end: End, seen: Arc<Mutex<Vec<usize>>>) {
    let cut = Arc::new(tokio::sync::Notify::new());
    let answer = service_fn(|request: Request<hyper::body::Incoming>| {
        let (seen, cut) = (seen.clone(), cut.clone());
        async move {
            request.into_body().collect().await.unwrap();
            let number = {
                let mut seen = seen.lock().unwrap();
                seen.push(connection);
                seen.iter().filter(|&&other| other == connection).count()
            };
            if connection == 0 && number == 2 {
                match end {
                    End::Cut => cut.notify_one(),
                    End::Stream => return Err(std::io::Error::other("a fault")),
                }
                std::future::pending::<()>().await;
            }
            let frames = futures_util::stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from("{}")))]);
            Ok(Response::new(StreamBody::new(frames)))
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        _ = connection => {}
        () = cut.notified() => {}
    }
}

#[tokio::test]
async fn over_http2_the_end_of_a_connection_counts_and_not_that_of_a_stream() {
    for (end, status, connections) in [(End::Cut, 200, &[0, 0, 1][..]), (End::Stream, 502, &[0, 0])] {
        let (url, seen) = http2_server(end).await;
        let config = UpstreamConfig { http2: true, ..UpstreamConfig::default() };
        let upstream = Upstream::with_config(url.parse().unwrap(), config);
        assert_eq!(ask(&upstream).await, 200);
        assert_eq!(ask(&upstream).await, status, "{end:?}");
        assert_eq!(*seen.lock().unwrap(), connections, "{end:?}");
        // It goes on as if nothing had been.
        assert_eq!(ask(&upstream).await, 200);
    }
}
