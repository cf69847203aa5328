//! What connections cost in memory. A process of its own, so that nothing else is measured.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tower::{Layer, service_fn};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_responses_testing::sse_response;
use tower_responses_websocket::WebSocketLayer;

const CONNECTIONS: usize = 1000;
const KB: usize = 1000;
/// The most that an idle connection may take.
const EACH: usize = 24 * KB;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Serves an upstream that never stops talking; counts what it says.
fn serve(layer: WebSocketLayer, said: Arc<AtomicUsize>) -> SocketAddr {
    let chunk = Bytes::from("data: {\"type\":\"a\",\"delta\":\"0123456789\"}\n\n".repeat(100));
    let upstream = service_fn(move |_: Request<RequestBody>| {
        let (chunk, said) = (chunk.clone(), said.clone());
        let events = futures_util::stream::repeat_with(move || {
            said.fetch_add(chunk.len(), Ordering::Relaxed);
            // A copy, as chunks from a network are.
            Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(&chunk)))
        });
        async move { Ok::<_, Infallible>(sse_response(ResponseBody::new(StreamBody::new(events)))) }
    });
    let service = layer.layer(upstream);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(service.clone());
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service).with_upgrades());
            }
        });
    });
    address
}

fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let headers: String = (0..12).map(|n| format!("x-codex-header-{n}: {}\r\n", "v".repeat(60))).collect();
    let request = format!(
        "GET /v1/responses HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream
}

/// A masked text frame; the mask is 0.
fn send(mut stream: &TcpStream, text: &str) {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    stream.write_all(&[&[0x81, 0xFE], &length[..], &[0; 4], text.as_bytes()].concat()).unwrap();
}

fn settle(is: impl Fn() -> bool) {
    for _ in 0..6000 {
        if is() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(is());
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn idle_connections_and_slow_readers_take_little() {
    let layer = WebSocketLayer::new();
    let connections = layer.connections();
    let said = Arc::new(AtomicUsize::new(0));
    let address = serve(layer, said.clone());
    // What is allocated once.
    drop((0..50).map(|_| connect(address)).collect::<Vec<_>>());
    settle(|| connections.open() == 0);

    let before = resident();
    let mut idle: Vec<_> = (0..CONNECTIONS).map(|_| connect(address)).collect();
    settle(|| connections.open() == CONNECTIONS);
    let each = (resident() - before) / CONNECTIONS;
    println!("an idle connection takes {each} bytes");
    assert!(each <= EACH, "{each} bytes");

    // Codex opens each connection with a frame that no model is asked for.
    let prewarm = format!(r#"{{"type":"response.create","generate":false,"input":[],"x":"{}"}}"#, "t".repeat(30 * KB));
    idle.iter().for_each(|stream| send(stream, &prewarm));
    for stream in &mut idle {
        assert!(stream.read(&mut [0; 8192]).unwrap() > 0);
    }
    let each = (resident() - before) / CONNECTIONS;
    println!("after a prewarm frame of 30 KB it takes {each} bytes");
    assert!(each <= EACH, "{each} bytes");
    drop(idle);
    settle(|| connections.open() == 0);

    let before = resident();
    let slow: Vec<_> = (0..10).map(|_| connect(address)).collect();
    slow.iter().for_each(|stream| send(stream, r#"{"type":"response.create","input":"x"}"#));
    let mut last = 0;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = said.load(Ordering::Relaxed);
        if now == last && now > 0 {
            break;
        }
        last = now;
    }
    let each = resident().saturating_sub(before) / slow.len();
    println!("a client that does not read takes {each} bytes, with {} bytes in the sockets", last / slow.len());
    assert!(each < 200 * KB, "{each} bytes");
}
