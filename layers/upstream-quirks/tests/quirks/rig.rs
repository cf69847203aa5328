//! An upstream that answers with the raw bytes of a fixture, and a client in front of the layer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

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

/// Sends one request through the layer.
pub(crate) async fn exchange(layer: &UpstreamQuirksLayer, upstream: SocketAddr, body: &Value) -> Seen {
    let client = client();
    let upstream = service_fn(move |mut request: Request<RequestBody>| {
        *request.uri_mut() = format!("http://{upstream}/v1/responses").parse().unwrap();
        client.request(request)
    });
    let request = Request::post("/v1/responses").header("content-type", "application/json");
    let request = request.body(Full::from(body.to_string())).unwrap();
    let begun = Instant::now();
    let response = layer.layer(upstream).oneshot(request).await.expect("an answer");
    see(response, begun, PATIENCE).await
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
