//! The upstream service: what it does when an upstream is late, silent, away, or hangs up.

#![cfg(all(feature = "stack", feature = "upstream", feature = "memory"))]
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, ServiceExt};
use tower_responses::{
    RequestBody, ResponseBody, ResponsesStack,
    response_store::{MemoryStore, ResponseStoreLayer},
    upstream::{Upstream, UpstreamConfig},
    upstream_quirks::{Profile, UpstreamQuirksLayer},
};

const BODY: &str = r#"{"model":"m","input":"hi","stream":true}"#;
const CREATED: &str =
    "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"output\":[]}}\n\n";
const COMPLETED: &str = "data: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}\n\n";

fn request() -> Request<RequestBody> {
    let request = Request::post("/v1/responses").header("content-type", "application/json");
    request.body(RequestBody::from(bytes::Bytes::from_static(BODY.as_bytes()))).unwrap()
}

fn upstream(address: &str, config: UpstreamConfig) -> Upstream {
    Upstream::with_config(format!("http://{address}").parse().unwrap(), config)
}

async fn text(response: Response<ResponseBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(events: &str) -> String {
    format!("{:x}\r\n{events}\r\n", events.len())
}

/// Reads a request to the end of its body.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    while !read.windows(BODY.len()).any(|part| part == BODY.as_bytes()) {
        match stream.read(&mut chunk).await {
            Ok(length) if length > 0 => read.extend_from_slice(&chunk[..length]),
            _ => return false,
        }
    }
    true
}

#[tokio::test]
async fn an_upstream_that_does_not_begin_is_a_504() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = UpstreamConfig { first_byte_timeout: Some(Duration::from_millis(80)), ..UpstreamConfig::default() };
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), config);
    let response = upstream.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 504);
    assert!(text(response).await.contains("\"code\":\"upstream_timeout\""));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_told_as_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = UpstreamConfig { idle_timeout: Some(Duration::from_millis(120)), ..UpstreamConfig::default() };
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), config);
    let stack = ResponsesStack::new().quirks(UpstreamQuirksLayer::new(Profile::Vllm)).layer(upstream);
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(format!("{head}{CREATED}").as_bytes()).await.unwrap();
        // Silent, until the other side hangs up.
        while stream.read(&mut [0; 64]).await.unwrap_or(0) > 0 {}
    });
    let text = text(stack.oneshot(request()).await.unwrap()).await;
    assert!(text.contains("response.failed") && text.contains("silent"), "{text}");
    assert!(!text.contains("response.completed"), "{text}");
    tokio::time::timeout(Duration::from_secs(1), server).await.expect("the connection is given up").unwrap();
}

/// An upstream that never stops talking.
#[tokio::test]
async fn an_answer_may_have_a_limit_as_a_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = UpstreamConfig { total_timeout: Some(Duration::from_millis(300)), ..UpstreamConfig::default() };
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), config);
    let stack = ResponsesStack::new().quirks(UpstreamQuirksLayer::new(Profile::Vllm)).layer(upstream.clone());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(format!("{head}{CREATED}").as_bytes()).await.unwrap();
        while stream.write_all(b": still here\n\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The next one does not even begin.
        let (_stream, _) = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let text = text(stack.oneshot(request()).await.unwrap()).await;
    assert!(text.contains("response.failed") && text.contains("not done within 0.3 seconds"), "{text}");
    let response = upstream.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 504);
    server.abort();
    assert_eq!(UpstreamConfig::default().total_timeout, None, "a stream may take its time");
}

/// vLLM closes a connection that is idle for 5 seconds: a request that is sent then is lost.
#[tokio::test]
async fn an_idle_connection_is_closed_before_the_upstream_does_it() {
    assert!(UpstreamConfig::default().pool_idle_timeout < Duration::from_secs(5));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = UpstreamConfig { pool_idle_timeout: Duration::from_millis(100), ..UpstreamConfig::default() };
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), config);
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(read_request(&mut stream).await);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0, "the client hangs up first");
        }
    });
    for _ in 0..2 {
        assert_eq!(text(upstream.clone().oneshot(request()).await.unwrap()).await, "{}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    tokio::time::timeout(Duration::from_secs(5), server).await.expect("both are closed").unwrap();
}

/// What broke off is stored as that, and a call that was cut is none.
#[tokio::test]
async fn a_stream_that_is_cut_is_not_stored_as_complete() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), UpstreamConfig::default());
    let stack = ResponsesStack::new()
        .store(ResponseStoreLayer::new(Arc::new(MemoryStore::default())))
        .quirks(UpstreamQuirksLayer::new(Profile::Vllm))
        .layer(upstream);
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let added = r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"function_call","id":"fc","call_id":"c","name":"f","arguments":""}}"#;
        let delta = r#"{"type":"response.function_call_arguments.delta","sequence_number":2,"output_index":0,"item_id":"fc","delta":"{\"cmd\":\"rm"}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let cut = format!("{head}{CREATED}data: {added}\n\ndata: {delta}\n\n");
        stream.write_all(cut.as_bytes()).await.unwrap();
    });
    let events = text(stack.clone().oneshot(request()).await.unwrap()).await;
    server.await.unwrap();
    assert!(events.contains("response.failed") && !events.contains("output_item.done"), "{events}");
    let id = events.split(r#""id":""#).find_map(|part| part.split('"').next().filter(|id| id.starts_with("resp_")));
    let get = Request::get(format!("/v1/responses/{}", id.unwrap())).body(RequestBody::empty()).unwrap();
    let stored = text(stack.oneshot(get).await.unwrap()).await;
    assert!(stored.contains(r#""status":"failed""#) && stored.contains(r#""status":"incomplete""#), "{stored}");
    assert!(!stored.contains("completed\""), "{stored}");
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_tried_again() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let late = address.clone();
    let server = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(15)).await;
        let listener = TcpListener::bind(&late).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    let response = upstream(&address, UpstreamConfig::default()).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 200);
    server.await.unwrap();

    let never = UpstreamConfig { connect_retries: 0, ..UpstreamConfig::default() };
    let started = Instant::now();
    let response = upstream("127.0.0.1:9", never).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 502);
    assert!(started.elapsed() < Duration::from_millis(20), "no retry was asked for");
}

/// An upstream that closes each connection after one answer, without a word before.
#[tokio::test]
async fn a_connection_that_was_closed_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), UpstreamConfig::default());
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(read_request(&mut stream).await);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        }
    });
    for _ in 0..20 {
        assert_eq!(text(upstream.clone().oneshot(request()).await.unwrap()).await, "{}");
        // It takes a moment to see that it was closed.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.abort();
}

/// Who leaves a stream in the middle closes its connection, which tells the upstream to stop.
#[tokio::test]
async fn a_stream_that_is_left_is_cancelled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), UpstreamConfig::default());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        stream.write_all(format!("{STREAM}{}", chunk(CREATED)).as_bytes()).await.unwrap();
        stream.read(&mut [0; 64]).await.unwrap_or(0)
    });
    let mut body = upstream.clone().oneshot(request()).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    let read = tokio::time::timeout(Duration::from_secs(5), server).await.expect("the connection is closed").unwrap();
    assert_eq!(read, 0);
}

/// What has arrived together leaves together: no turn of the scheduler, and no write, for each
/// event.
#[tokio::test]
async fn events_that_are_there_come_without_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), UpstreamConfig::default());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut stream).await);
        let events = chunk(CREATED).repeat(50);
        stream.write_all(format!("{STREAM}{events}0\r\n\r\n").as_bytes()).await.unwrap();
    });
    let mut body = upstream.oneshot(request()).await.unwrap().into_body();
    server.await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Without a runtime that could do anything in between.
    let mut frames = 0;
    while let Some(Some(frame)) = body.frame().now_or_never() {
        frames += usize::from(frame.unwrap().is_data());
    }
    assert_eq!(frames, 50);
}

#[tokio::test]
async fn what_may_have_been_read_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), UpstreamConfig::default());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if read_request(&mut stream).await {
                count.fetch_add(1, Ordering::SeqCst);
            }
            // Hangs up without a byte of an answer.
        }
    });
    let response = upstream.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 502);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    server.abort();
}

/// A connection on which a stream has ended is used for the next one, also if the last chunk comes
/// a moment after the terminal event.
#[tokio::test]
async fn fifty_streams_need_two_connections_at_most() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&listener.local_addr().unwrap().to_string(), UpstreamConfig::default());
    // A machine that is busy may take its time to see the end.
    let quirks = UpstreamQuirksLayer::new(Profile::Vllm).linger(Duration::from_millis(500));
    let stack = ResponsesStack::new().quirks(quirks).layer(upstream);
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // As model servers do; else the last chunk would wait for the client's delayed ACK.
            stream.set_nodelay(true).unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                while read_request(&mut stream).await {
                    let events = chunk(&format!("{CREATED}{COMPLETED}"));
                    stream.write_all(format!("{STREAM}{events}").as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    stream.write_all(b"0\r\n\r\n").await.unwrap();
                }
            });
        }
    });
    for _ in 0..50 {
        let text = text(stack.clone().oneshot(request()).await.unwrap()).await;
        assert!(text.contains("response.completed"), "{text}");
    }
    let connections = connections.load(Ordering::SeqCst);
    assert!(connections <= 2, "{connections} connections");
    server.abort();
}
