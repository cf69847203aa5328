//! Clients that do what no library does, and upstreams that say what became of them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{Gateway, TempDir};

/// For what has to happen soon, on a machine that has other things to do.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A gateway whose configuration file says this.
pub(crate) struct Configured {
    pub(crate) gateway: Gateway,
    _folder: TempDir,
}

impl Configured {
    pub(crate) fn start(config: &str, args: &[&str]) -> Self {
        let folder = TempDir::new();
        let file = folder.0.join("config.toml");
        std::fs::write(&file, config).unwrap();
        let args = [&["--store", "memory", "--config", file.to_str().unwrap()], args].concat();
        Self { gateway: Gateway::start(&args), _folder: folder }
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw::connect(self.gateway.url.strip_prefix("http://").unwrap()).await
    }

    /// In bytes, of what the process has now and has had at most.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.gateway.id())).unwrap();
        let value = |name: &str| -> usize {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_matches([':', ' ', '\t']).strip_suffix(" kB").unwrap().trim().parse().unwrap()
        };
        (value("VmRSS") << 10, value("VmHWM") << 10)
    }
}

/// A connection over which anything can be said.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    heard: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, heard: Vec::new() }
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self
    }

    /// Everything up to the end of the connection, which has to come soon.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        // It may be reset, which is an end too.
        let _ = timeout(SOON, self.stream.read_to_end(&mut self.heard)).await.expect("the connection ends");
        self.heard
    }

    /// The next answer: its status and its body, if that is JSON.
    pub(crate) async fn answer(&mut self) -> (u16, Value) {
        timeout(SOON, self.read_answer()).await.expect("an answer comes")
    }

    async fn read_answer(&mut self) -> (u16, Value) {
        loop {
            if let Some(end) = self.heard.windows(4).position(|part| part == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.heard[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
                let end_of_body = end + 4 + length.parse::<usize>().unwrap();
                if self.heard.len() >= end_of_body {
                    let body = serde_json::from_slice(&self.heard[end + 4..end_of_body]).unwrap_or_default();
                    self.heard.drain(..end_of_body);
                    return (head.split(' ').nth(1).unwrap().parse().unwrap(), body);
                }
            }
            let length = self.stream.read_buf(&mut self.heard).await.unwrap();
            assert!(length > 0, "the connection ended: {}", String::from_utf8_lossy(&self.heard));
        }
    }
}

/// The head of a request with a body of so many bytes.
pub(crate) fn head(path: &str, length: usize, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
    )
}

/// An upstream that counts the bytes of the bodies that come to it, and answers `{}`.
pub(crate) struct Counting {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl Counting {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, bytes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counting = Self { address, requests: requests.clone(), bytes: bytes.clone() };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (requests, bytes) = (requests.clone(), bytes.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    requests.fetch_add(1, Ordering::SeqCst);
                    count(request, bytes.clone())
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        counting
    }

    /// How many requests have begun, and how many bytes of their bodies have come.
    pub(crate) fn seen(&self) -> (usize, usize) {
        (self.requests.load(Ordering::SeqCst), self.bytes.load(Ordering::SeqCst))
    }
}

/// A response, so that layers that look for one find it.
const ANSWER: &str = r#"{"object":"response","status":"completed","output":[]}"#;

async fn count(request: Request<Incoming>, bytes: Arc<AtomicUsize>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        bytes.fetch_add(frame.data_ref().map_or(0, Bytes::len), Ordering::SeqCst);
    }
    let answer = Response::builder().header("content-type", "application/json").body(Full::from(ANSWER));
    Ok(answer.unwrap())
}

/// An upstream that answers every request with a stream that never ends, and says how many of its
/// connections are open.
pub(crate) struct Endless {
    pub(crate) address: SocketAddr,
    open: Arc<AtomicUsize>,
}

impl Endless {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::<AtomicUsize>::default();
        let count = open.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let count = count.clone();
                tokio::spawn(async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    speak_for_ever(stream).await;
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, open }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn speak_for_ever(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 65536]).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let created = "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\"}}\n\n";
    let text = "x".repeat(64 << 10);
    let delta = format!(
        "data: {{\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"item_id\":\"m\",\"output_index\":0,\
         \"content_index\":0,\"delta\":\"{text}\"}}\n\n"
    );
    let mut written = stream.write_all([head, created].concat().as_bytes()).await;
    while written.is_ok() {
        written = stream.write_all(delta.as_bytes()).await;
    }
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = timeout(SOON, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
