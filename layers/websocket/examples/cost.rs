//! What an event costs over the WebSocket and over SSE, through the same service:
//!
//! ```text
//! cargo run --release -p tower-responses-websocket --example cost
//! ```
//!
//! The time is that of the server's thread alone, as the system counts it (Linux).

use std::{
    convert::Infallible,
    future::Future,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tower::{Layer, service_fn};
use tower_responses_core::{
    RequestBody, ResponseBody,
    sse::{Event, EventFilter, Events},
};
use tower_responses_websocket::WebSocketLayer;

const EVENTS: usize = 4000;
/// Ends the answer, and nothing else of it.
const END: &[u8] = b"the end of it\"}}";

/// Chunks of so many events; the server has to wait for each, as for a model.
struct Script {
    chunk: Bytes,
    left: usize,
    waited: bool,
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.waited = !self.waited;
        if self.waited {
            // Through the scheduler, so that what is ready is written.
            let mut turn = std::pin::pin!(tokio::task::yield_now());
            let _ = turn.as_mut().poll(cx);
            return Poll::Pending;
        }
        let chunk = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.chunk.clone()
            }
            None if self.chunk.is_empty() => return Poll::Ready(None),
            None => {
                self.chunk = Bytes::new();
                let end = [
                    "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"x\":\"",
                    "the end of it\"}}\n\n",
                ];
                end.concat().into()
            }
        };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

/// What the layers further in amount to, at least.
struct Pass;

impl EventFilter for Pass {
    fn event(&mut self, event: Event, next: &mut Events) {
        next.push(event);
    }
}

fn answer(together: usize) -> Response<ResponseBody> {
    let event = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":123,\
        \"item_id\":\"msg_0123456789abcdef\",\"output_index\":0,\"content_index\":0,\"delta\":\" token\",\"logprobs\":[]}\n\n";
    let script = Script { chunk: event.repeat(together).into(), left: EVENTS / together, waited: false };
    let body = ResponseBody::new(script).with_filter(Box::new(Pass), 1 << 20);
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/event-stream"));
    response
}

/// Serves on a thread of its own; the path of what the system knows of it.
fn serve(together: usize) -> (SocketAddr, String) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let thread = std::fs::read_link("/proc/thread-self").expect("Linux");
            let address = listener.local_addr().expect("an address");
            tell.send((address, format!("/proc/{}/schedstat", thread.display()))).expect("heard");
            let upstream =
                service_fn(move |_: Request<RequestBody>| async move { Ok::<_, Infallible>(answer(together)) });
            let service = WebSocketLayer::new().layer(upstream);
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                stream.set_nodelay(true).ok();
                let service = TowerToHyperService::new(service.clone());
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service).with_upgrades());
            }
        });
    });
    told.recv().expect("the server has begun")
}

fn nanoseconds(thread: &str) -> u64 {
    let stat = std::fs::read_to_string(thread).expect("the thread");
    stat.split(' ').next().and_then(|time| time.parse().ok()).expect("a time")
}

fn read_until(stream: &mut TcpStream, end: &[u8]) {
    let mut buffer = vec![0; 64 << 10];
    let mut tail = Vec::new();
    while !tail.windows(end.len()).any(|window| window == end) {
        let length = stream.read(&mut buffer).expect("the answer");
        assert!(length > 0, "the answer ended");
        tail.drain(..tail.len().saturating_sub(end.len()));
        tail.extend_from_slice(&buffer[..length]);
    }
}

const BODY: &str = r#"{"type":"response.create","input":"x","stream":true}"#;

fn connect(address: SocketAddr, websocket: bool) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server");
    if websocket {
        let request = "GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a connection");
        read_until(&mut stream, b"\r\n\r\n");
    }
    stream
}

fn ask(stream: &mut TcpStream, websocket: bool) {
    let length = BODY.len();
    let request = if websocket {
        [&[0x81, 0x80 | u8::try_from(length).unwrap_or_default(), 0, 0, 0, 0], BODY.as_bytes()].concat()
    } else {
        format!("POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{BODY}").into_bytes()
    };
    stream.write_all(&request).expect("a connection");
    read_until(stream, END);
}

/// Nanoseconds of the server for an event.
fn measure(address: SocketAddr, thread: &str, connections: usize, websocket: bool) -> u64 {
    let rounds = if connections == 1 { 20 } else { 2 };
    let before = nanoseconds(thread);
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            std::thread::spawn(move || {
                let mut stream = connect(address, websocket);
                (0..rounds).for_each(|_| ask(&mut stream, websocket));
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("a client"));
    (nanoseconds(thread) - before) / (connections * rounds * EVENTS) as u64
}

fn main() {
    println!("ns of CPU for an event    connections    SSE    WebSocket");
    for together in [1, 16] {
        let (address, thread) = serve(together);
        for connections in [1, 64] {
            let mut rows: Vec<_> = (0..5)
                .map(|_| [false, true].map(|websocket| measure(address, &thread, connections, websocket)))
                .collect();
            rows.sort_unstable_by_key(|[_, websocket]| *websocket);
            let mut sse: Vec<_> = rows.iter().map(|[sse, _]| *sse).collect();
            sse.sort_unstable();
            println!("{together:>2} to a chunk            {connections:>11} {:>6} {:>12}", sse[2], rows[2][1]);
        }
    }
}
