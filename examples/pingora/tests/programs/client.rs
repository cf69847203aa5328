use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

/// For what has to come at all, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    Http1,
    H2c,
}

/// One connection, which closes when it is dropped.
pub struct Client {
    sender: Sender,
    authority: String,
    connection: JoinHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    H2c(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub async fn connect(address: SocketAddr, protocol: Protocol) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (sender, connection) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.unwrap();
                (Sender::Http1(sender), tokio::spawn(async { drop(connection.await) }))
            }
            Protocol::H2c => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
                (Sender::H2c(sender), tokio::spawn(async { drop(connection.await) }))
            }
        };
        Self { sender, authority: address.to_string(), connection }
    }

    /// `POST /v1/responses`.
    pub async fn post(&mut self, body: &Value) -> Answer {
        self.send("/v1/responses", &[], &body.to_string()).await
    }

    pub async fn send(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let body = Full::from(body.to_owned());
        let mut request = Request::post(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request.header("host", &self.authority).body(body).unwrap()).await
            }
            Sender::H2c(sender) => {
                let mut request = request.body(body).unwrap();
                *request.uri_mut() = format!("http://{}{path}", self.authority).parse().unwrap();
                sender.send_request(request).await
            }
        };
        let (head, body) = response.unwrap().into_parts();
        Answer { status: head.status, body, text: String::new(), broken: false }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// An answer that is read as it comes.
pub struct Answer {
    status: StatusCode,
    body: Incoming,
    text: String,
    broken: bool,
}

impl Answer {
    /// The whole of it.
    pub async fn json(self) -> (StatusCode, Value) {
        let body = self.body.collect().await.unwrap().to_bytes();
        (self.status, serde_json::from_slice(&body).unwrap())
    }

    /// The next event, or `None` at the end.
    pub async fn event(&mut self) -> Option<Value> {
        self.try_event().await.unwrap()
    }

    /// The same, where the stream may break off.
    pub async fn try_event(&mut self) -> Result<Option<Value>, hyper::Error> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = tower_responses_testing::parse_sse(&format!("{event}\n\n")).remove(0);
                self.text = rest.to_owned();
                return Ok(Some(event));
            }
            match timeout(PATIENCE, self.body.frame()).await.expect("an event or the end") {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.text.push_str(std::str::from_utf8(&data).unwrap());
                }
                Some(Err(error)) => {
                    self.broken = true;
                    return Err(error);
                }
            }
        }
    }

    pub fn is_broken(&self) -> bool {
        self.broken
    }
}

/// Sends a head, waits for "100 Continue", and sends the body then.
pub async fn post_after_continue(address: SocketAddr, body: &Value) -> String {
    let body = body.to_string();
    let head = format!(
        "POST /v1/responses HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 1024];
    let length = timeout(PATIENCE, stream.read(&mut first)).await.expect("100 Continue").unwrap();
    let first = String::from_utf8_lossy(&first[..length]).into_owned();
    assert_eq!(first, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    answer
}

/// Opens a WebSocket, sends this frame, and reads until `last` has come.
pub async fn frame(address: SocketAddr, frame: &Value, last: &str) -> String {
    let head = format!(
        "GET /v1/responses HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let payload = frame.to_string();
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    // A whole text frame with a mask of zeros, which changes nothing.
    let mut bytes = vec![0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    bytes.extend_from_slice(payload.as_bytes());
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = async {
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&answer).contains(last) {
            let length = stream.read(&mut chunk).await.unwrap();
            assert!(length > 0, "it ended early: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&chunk[..length]);
        }
    };
    timeout(PATIENCE, read).await.expect("the last event");
    String::from_utf8_lossy(&answer).into_owned()
}
