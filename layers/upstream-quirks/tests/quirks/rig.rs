//! An upstream that answers with the raw bytes of a fixture, and a client in front of the layer.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_responses_testing::parse_sse;
use tower_responses_upstream_quirks::UpstreamQuirksLayer;

/// What an upstream answers: bytes, with a pause before that part of them which starts with the
/// text.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) raw: Vec<u8>,
    pub(crate) pause: Option<(&'static str, Duration)>,
}

impl Reply {
    pub(crate) fn fixture(name: &str) -> Self {
        let path = format!("{}/tests/fixtures/{name}.http", env!("CARGO_MANIFEST_DIR"));
        Self { raw: std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")), pause: None }
    }
}

/// The bytes of a fixture after which the connection goes on: chunked, if its length is not said.
pub(crate) fn kept_alive(fixture: &str) -> Vec<u8> {
    let raw = String::from_utf8(Reply::fixture(fixture).raw).unwrap().replace("connection: close\r\n", "");
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    if head.contains("chunked") || head.contains("content-length") {
        return raw.into_bytes();
    }
    format!("{head}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()
}

pub(crate) type Script = Arc<dyn Fn(&Value) -> Reply + Send + Sync>;

/// A server on loopback that answers each request as the script says, and then closes.
pub(crate) async fn upstream(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let script = script.clone();
            tokio::spawn(async move {
                let _ = answer(connection, script).await;
            });
        }
    });
    address
}

async fn answer(mut connection: TcpStream, script: Script) -> std::io::Result<()> {
    let body = read_request(&mut connection).await?;
    let reply = script(&serde_json::from_slice(&body).unwrap_or(Value::Null));
    let at = reply.pause.map_or(reply.raw.len(), |(text, _)| {
        reply.raw.windows(text.len()).position(|window| window == text.as_bytes()).expect("the text of the pause")
    });
    connection.write_all(&reply.raw[..at]).await?;
    if let Some((_, pause)) = reply.pause {
        connection.flush().await?;
        sleep(pause).await;
        connection.write_all(&reply.raw[at..]).await?;
    }
    connection.shutdown().await
}

/// The body of a request with a `content-length`; empty if there is no request any more.
pub(crate) async fn read_request(connection: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = connection.read(&mut buffer).await?;
        read.extend_from_slice(&buffer[..count]);
        if count == 0 {
            return Ok(Vec::new());
        }
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        if read.len() >= end + 4 + length.unwrap_or(0) {
            return Ok(read.split_off(end + 4));
        }
    }
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// How the body ended: `None` if it had not when the client lost patience.
    pub(crate) end: Option<Result<(), String>>,
    /// When the head came.
    pub(crate) head_after: Duration,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a JSON body")
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        parse_sse(&self.text)
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.events().iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The last event.
    pub(crate) fn last(&self) -> Value {
        self.events().pop().expect("an event")
    }

    /// The events of a type.
    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["type"] == kind).collect()
    }
}

/// How long a client waits for the end of a body.
const PATIENCE: Duration = Duration::from_millis(1_500);

pub(crate) fn client() -> Client<HttpConnector, RequestBody> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Sends one request through the layer, with a client of its own.
pub(crate) async fn exchange(layer: &UpstreamQuirksLayer, upstream: SocketAddr, body: &Value) -> Seen {
    let begun = Instant::now();
    see(ask(layer, client(), upstream, body).await, begun, PATIENCE).await
}

/// Sends one request through the layer. An upstream that cannot be spoken to is a 502, as the
/// service inside of the layer has to make it.
pub(crate) async fn ask(
    layer: &UpstreamQuirksLayer,
    client: Client<HttpConnector, RequestBody>,
    upstream: SocketAddr,
    body: &Value,
) -> Response<ResponseBody> {
    let upstream = service_fn(move |mut request: Request<RequestBody>| {
        *request.uri_mut() = format!("http://{upstream}/v1/responses").parse().unwrap();
        let answer = client.request(request);
        async move {
            Ok::<_, Infallible>(answer.await.map_or_else(
                |error| {
                    let gone = Response::builder().status(StatusCode::BAD_GATEWAY);
                    gone.body(ResponseBody::new(Full::from(error.to_string()))).unwrap()
                },
                |response| response.map(ResponseBody::new),
            ))
        }
    });
    let request = Request::post("/v1/responses").header("content-type", "application/json");
    let request = request.body(Full::from(body.to_string())).unwrap();
    let Ok(response) = layer.layer(upstream).oneshot(request).await;
    response
}

/// Reads an answer to its end, for as long as the client has patience.
pub(crate) async fn see(response: Response<ResponseBody>, begun: Instant, patience: Duration) -> Seen {
    let head_after = begun.elapsed();
    let (head, mut body) = response.into_parts();
    let mut text = Vec::new();
    let patience = Instant::now() + patience;
    let end = loop {
        match timeout_at(patience, body.frame()).await {
            Err(_) => break None,
            Ok(None) => break Some(Ok(())),
            Ok(Some(Err(error))) => break Some(Err(error.to_string())),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    text.extend_from_slice(&data);
                }
            }
        }
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    Seen { status: head.status, headers: head.headers, text, end, head_after }
}
