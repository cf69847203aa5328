use std::{
    error::Error,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection on which one request is sent at a time.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    port: u16,
    body: Bytes,
}

/// An answer, and when it came.
pub struct Timed {
    pub status: StatusCode,
    pub body: Bytes,
    /// Until the first piece of the body.
    pub first: Duration,
    pub whole: Duration,
}

impl Timed {
    pub fn without_body(mut self) -> Self {
        self.body = Bytes::new();
        self
    }
}

impl Connection {
    pub async fn open(port: u16, body: Bytes) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Why it ended, the sender says.
        tokio::task::spawn_local(async { drop(connection.await) });
        Ok(Self { sender, port, body })
    }

    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    pub async fn exchange(&mut self) -> hyper::Result<Timed> {
        let request = Request::post("/v1/responses")
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("content-type", "application/json")
            .header("authorization", "Bearer compare")
            .body(Full::new(self.body.clone()))
            .expect("a good request");
        self.sender.ready().await?;
        let start = Instant::now();
        let response = self.sender.send_request(request).await?;
        let (head, mut body) = response.into_parts();
        let (mut first, mut read) = (None, BytesMut::new());
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                first.get_or_insert_with(|| start.elapsed());
                read.extend_from_slice(&data);
            }
        }
        let whole = start.elapsed();
        Ok(Timed { status: head.status, body: read.freeze(), first: first.unwrap_or(whole), whole })
    }
}
