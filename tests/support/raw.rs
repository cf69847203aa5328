//! HTTP/1 byte by byte: an upstream that keeps what it was sent, and a client that sends what no
//! library would.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::Gateway;

/// Answers every request with the same, once its head is there, and closes.
pub struct Recorder {
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

pub const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/// What a response object is at least.
pub const RESPONSE: &str = r#"{"object":"response","id":"r","status":"completed","output":[],"data":[]}"#;

impl Recorder {
    pub async fn start() -> Self {
        Self::answering(format!("{JSON}content-length: {}\r\n\r\n{RESPONSE}", RESPONSE.len()).into_bytes()).await
    }

    pub async fn answering(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (all, answer) = (all.clone(), answer.clone());
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    all.lock().expect("a lock").push(request);
                    let _ = stream.write_all(&answer).await;
                    // Not reset, whatever else has come.
                    let _ = stream.shutdown().await;
                    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
                });
            }
        });
        Self { url, seen }
    }

    /// What it was asked, each request as it came.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("a lock").clone()
    }

    /// The values of a header in the last request.
    pub fn header(&self, name: &str) -> Vec<String> {
        let last = self.seen().pop().expect("a request");
        let head = last.split("\r\n\r\n").next().unwrap_or_default().to_owned();
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
    }
}

/// A request to the end of its body; of one that breaks off, nothing.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let is_chunked = head.contains("transfer-encoding: chunked");
            if if is_chunked { body.ends_with("0\r\n\r\n") } else { body.len() >= length.unwrap_or(0) } {
                return Some(text);
            }
        }
        match stream.read(&mut chunk).await {
            Ok(length) if length > 0 => read.extend_from_slice(&chunk[..length]),
            _ => return None,
        }
    }
}

/// What a gateway answers to these bytes, until it closes or is silent: status, head and body.
pub async fn raw(gateway: &Gateway, bytes: &[u8]) -> (u16, String, String) {
    raw_at(gateway.url.strip_prefix("http://").expect("a URL"), bytes).await
}

/// The same for whoever listens at the address.
pub async fn raw_at(address: &str, bytes: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(bytes).await.expect("sent");
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    let ended = async {
        loop {
            let text = String::from_utf8_lossy(&read).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                if length.is_some_and(|length| body.len() >= length) || head.starts_with("HTTP/1.1 101") {
                    return;
                }
            }
            match stream.read(&mut chunk).await {
                Ok(length) if length > 0 => read.extend_from_slice(&chunk[..length]),
                _ => return,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("an answer");
    let text = String::from_utf8_lossy(&read).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

/// The code of an error in OpenAI's shape.
pub fn code(body: &str) -> String {
    #[allow(clippy::disallowed_methods, reason = "a test may parse what it pleases")]
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {body}"));
    let error = body["error"].as_object().unwrap_or_else(|| panic!("an error in OpenAI's shape: {body}"));
    for key in ["message", "type", "param", "code"] {
        assert!(error.contains_key(key), "{key} is missing: {body}");
    }
    error["code"].as_str().unwrap_or_default().to_owned()
}
