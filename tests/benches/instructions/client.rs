use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::{Head, find_head};

/// Asks the same again and again over one connection.
pub(crate) struct Client {
    stream: TcpStream,
    request: Bytes,
}

impl Client {
    pub(crate) async fn connect(address: std::net::SocketAddr, body: &[u8]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let head = format!(
            "POST /v1/responses HTTP/1.1\r\nhost: {address}\r\naccept: */*\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        Self { stream, request: [head.as_bytes(), body].concat().into() }
    }

    /// The answer is what `answer` holds then, its head included.
    pub(crate) async fn exchange(&mut self, answer: &mut Vec<u8>) {
        answer.clear();
        self.stream.write_all(&self.request).await.unwrap();
        let mut head = None;
        loop {
            assert!(self.stream.read_buf(answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(answer));
            head = head.or_else(|| find_head(answer));
            match head {
                Some(Head { end, length: Some(length) }) if answer.len() >= end + length => return,
                Some(Head { length: None, .. }) if answer.ends_with(b"\r\n0\r\n\r\n") => return,
                _ => {}
            }
        }
    }
}
