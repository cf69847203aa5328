//! Connections on which nothing happens, and too many of them.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};

use crate::raw::{Configured, Raw, SOON, head};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const GET: &str = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn connections_that_say_too_little_are_closed() {
    let gateway = Configured::start("[limits]\nheader_timeout = 1\n", &[]);
    let half_of_headers = [PREFACE, SETTINGS, b"\0\x10\0\x01\x04\0\0\0\x01\x82"].concat();
    let first = [&b""[..], b"P", b"PRI * HTTP/2", b"G", PREFACE, &[PREFACE, SETTINGS].concat(), &half_of_headers];
    let half = &head("/v1/responses", 10, "")[..40];
    let mut clients = Vec::new();
    for said in first.into_iter().chain([half.as_bytes(), GET.as_bytes()]) {
        let mut client = gateway.connect().await;
        client.say(said).await;
        clients.push((String::from_utf8_lossy(said).into_owned(), client));
    }
    for (said, client) in clients {
        let heard = client.rest().await;
        let answered = String::from_utf8_lossy(&heard).starts_with("HTTP/1.1 200");
        assert_eq!(answered, said == GET, "{said:?}: {}", String::from_utf8_lossy(&heard));
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let gateway = Configured::start("", &[]);
    let mut client = gateway.connect().await;
    let line = format!("x: {}\r\n", "x".repeat(1_000));
    client.say("GET / HTTP/1.1\r\nhost: localhost\r\n").await.say(line.repeat(66)).await;
    assert_eq!(client.answer().await.0, 431);
}

/// What goes on is not cut off, and what has ended is.
#[tokio::test]
async fn an_http2_connection_ends_when_nothing_is_asked_any_more() {
    let gateway = Configured::start("[limits]\nheader_timeout = 1\n", &[]);
    let stream = TcpStream::connect(gateway.gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let (mut sender, connection) =
        http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..8 {
        let request = Request::get("http://localhost/health").body(Full::default()).unwrap();
        let answer = sender.send_request(request).await.expect("the connection is in use");
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    timeout(SOON, connection).await.expect("the connection ends").unwrap().expect("it was told so");
}

/// One connection carries as many requests as there may be connections, and no more.
#[tokio::test]
async fn over_the_limit_of_requests_health_is_answered() {
    let gateway = Configured::start("[limits]\nconnections = 3\n", &[]);
    let stream = TcpStream::connect(gateway.gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let ask = |method: &str, path: &str| {
        let some = stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"{\"a\":")))]);
        let body = StreamBody::new(StreamExt::chain(some, stream::pending()));
        let request = Request::builder().method(method).uri(format!("http://localhost{path}"));
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let mut sender = sender.clone();
        async move { sender.send_request(request).await.unwrap() }
    };
    let mut stalled: Vec<_> = (0..3).map(|_| tokio::spawn(ask("POST", "/v1/responses"))).collect();
    let waited = timeout(SOON, async {
        while ask("GET", "/v1/responses/resp_1").await.status() != 503 {
            // One that comes before them takes the place of one of them.
            stalled.push(tokio::spawn(ask("POST", "/v1/responses")));
        }
    });
    waited.await.expect("it is refused once the others have come");
    assert_eq!(ask("GET", "/health").await.status(), 200);
    stalled.iter().for_each(JoinHandle::abort);
    let waited = timeout(SOON, async { while ask("GET", "/v1/responses/resp_1").await.status() != 404 {} });
    waited.await.expect("there is room when they are gone");
}

#[tokio::test]
async fn over_the_limit_of_connections_health_is_answered() {
    let gateway = Configured::start("[limits]\nconnections = 4\n", &[]);
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = gateway.connect().await;
        assert_eq!(client.say(GET).await.answer().await.0, 200);
        clients.push(client);
    }
    let mut client = gateway.connect().await;
    assert_eq!(client.say(GET).await.answer().await.0, 200);
    assert!(client.rest().await.is_empty(), "it is closed after that");
    let mut client = gateway.connect().await;
    let (status, error) = client.say("GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n").await.answer().await;
    assert_eq!((status, &error["error"]["code"]), (503, &"overloaded".into()), "{error}");

    // More than are kept for it say nothing.
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(gateway.connect().await);
    }
    let refused = silent.pop().unwrap().rest();
    assert!(refused.await.is_empty());
    let alive = timeout(SOON, async {
        loop {
            let mut client = gateway.connect().await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, GET.as_bytes()).await;
            if client.rest().await.starts_with(b"HTTP/1.1 200") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    alive.await.expect("those who say nothing make room");

    clients.pop();
    drop(silent);
    let served = timeout(SOON, async {
        loop {
            let mut client = gateway.connect().await;
            let asked = client.say("GET /v1/responses/resp_1 HTTP/1.1\r\nhost: localhost\r\n\r\n").await.answer().await;
            if asked.0 == 404 {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let _: Raw = served.await.expect("there is a place again");
}
