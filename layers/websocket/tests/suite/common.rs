//! A real server with a scripted upstream inside, and a client of it.
#![allow(dead_code, unreachable_pub)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, request::Parts};
use http_body_util::BodyExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};
use tower::{Layer, Service, service_fn};
use tower_responses_core::{BoxError, RequestBody, ResponseBody};
use tower_responses_testing::{sse, sse_response};
use tower_responses_websocket::{Connections, WebSocketLayer};

/// Longer than anything should take.
pub const SOON: Duration = Duration::from_secs(5);

/// The requests that reached the upstream.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<(Parts, Json)>>>);

impl Seen {
    pub fn bodies(&self) -> Vec<Json> {
        self.0.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    pub fn heads(&self) -> Vec<Parts> {
        self.0.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub connections: Connections,
    pub seen: Seen,
}

/// Serves with an upstream that answers request number n (from 1) with what `answer` says.
pub async fn serve<F>(layer: WebSocketLayer, answer: F) -> Server
where
    F: Fn(&Json, usize) -> Response<ResponseBody> + Clone + Send + Sync + 'static,
{
    let seen = Seen::default();
    let record = seen.clone();
    let upstream = service_fn(move |request: Request<RequestBody>| {
        let (record, answer) = (record.clone(), answer.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body: Json = serde_json::from_slice(&body).unwrap_or(Json::Null);
            let number = {
                let mut seen = record.0.lock().unwrap();
                seen.push((head, body.clone()));
                seen.len()
            };
            Ok::<_, Infallible>(answer(&body, number))
        }
    });
    serve_with(layer, upstream, seen).await
}

/// Serves with this service inside.
pub async fn serve_with<S>(layer: WebSocketLayer, upstream: S, seen: Seen) -> Server
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error: Into<BoxError>> + Clone + Send + 'static,
    S::Future: Send,
{
    let connections = layer.connections();
    let service = layer.layer(upstream);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                server.serve_connection_with_upgrades(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    Server { address, connections, seen }
}

/// A stream of a response that says one thing.
pub fn said(number: usize, text: &str) -> String {
    let id = format!("resp_{number}");
    let item = message(number, text);
    sse(&[
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": format!("other_{number}"), "output": []}}),
        json!({"type": "response.output_text.delta", "sequence_number": 1, "delta": text}),
        json!({"type": "response.output_item.done", "sequence_number": 2, "output_index": 0, "item": item}),
        json!({"type": "response.completed", "sequence_number": 3, "response": {"id": id, "status": "completed", "output": [item]}}),
    ])
}

pub fn message(number: usize, text: &str) -> Json {
    json!({"id": format!("msg_{number}"), "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

pub fn stream(text: impl Into<bytes::Bytes>) -> Response<ResponseBody> {
    sse_response(ResponseBody::from(text.into()))
}

/// Answers with "answer n".
pub fn answers(_: &Json, number: usize) -> Response<ResponseBody> {
    stream(said(number, &format!("answer {number}")))
}

pub fn create(more: Json) -> Json {
    let mut frame = json!({"type": "response.create", "model": "m", "store": false});
    for (name, value) in more.as_object().unwrap() {
        frame[name] = value.clone();
    }
    frame
}

pub fn user(text: &str) -> Json {
    json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
}

pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    pub response: tungstenite::handshake::client::Response,
}

impl Client {
    pub async fn new(server: &Server) -> Self {
        Self::with(server, &[]).await.unwrap()
    }

    pub async fn with(server: &Server, headers: &[(&'static str, &str)]) -> Result<Self, tungstenite::Error> {
        let mut request = format!("ws://{}/v1/responses", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (socket, response) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Self { socket, response })
    }

    pub async fn send(&mut self, frame: &Json) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// The next message; `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        timeout(SOON, self.socket.next()).await.expect("a message in time")?.ok()
    }

    /// The next text frame.
    pub async fn event(&mut self) -> Json {
        loop {
            match self.next().await.expect("no end yet") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The frames up to the last of a response.
    pub async fn answer(&mut self) -> Vec<Json> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let kind = event["type"].as_str().unwrap_or_default().to_owned();
            events.push(event);
            if matches!(&*kind, "response.completed" | "response.failed" | "response.incomplete" | "error") {
                return events;
            }
        }
    }

    /// Sends a request and gives the last frame of the answer.
    pub async fn ask(&mut self, frame: &Json) -> Json {
        self.send(frame).await;
        self.answer().await.pop().unwrap()
    }

    pub async fn closed(&mut self) -> Option<CloseCode> {
        loop {
            match self.next().await? {
                Message::Close(frame) => return frame.map(|frame| frame.code),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

pub fn code(frame: &Json) -> (u64, &str) {
    assert_eq!(frame["type"], "error", "{frame}");
    (frame["status"].as_u64().unwrap(), frame["error"]["code"].as_str().unwrap_or_default())
}

/// Sends bytes as they are and gives all that comes back.
pub async fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

/// Waits until something is so.
pub async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: still not so");
}
