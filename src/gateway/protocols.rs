use std::{io, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::net::TcpStream;

/// For the head of a request to arrive, so that idle halves of requests hold nothing for ever.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// What a client says first over HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How connections are served, by the protocol that they speak.
///
/// What finds it out by reading puts the bytes that it has read before the rest, which makes the
/// buffer of every connection twice as large. So they are looked at where they are.
#[derive(Debug)]
pub(super) struct Protocols {
    /// Has to find out.
    either: Builder<TokioExecutor>,
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new() -> Self {
        let mut either = Builder::new(TokioExecutor::new());
        either.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        Self { http1: either.clone().http1_only(), http2: either.clone().http2_only(), either }
    }

    /// What serves this connection, once its client has said something.
    pub(super) async fn of(&self, stream: &TcpStream) -> io::Result<&Builder<TokioExecutor>> {
        let mut first = [0; PREFACE.len()];
        let length = tokio::time::timeout(HEADER_TIMEOUT, stream.peek(&mut first)).await??;
        if first[..length] != PREFACE[..length] || length == 0 {
            return Ok(&self.http1);
        }
        Ok(if length == PREFACE.len() { &self.http2 } else { &self.either })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    async fn chosen(said: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        client.write_all(said).await.expect("said");
        let (stream, _) = listener.accept().await.expect("accepted");
        let protocols = Protocols::new();
        let chosen = protocols.of(&stream).await.expect("looked at");
        let all = [(&protocols.http1, "1"), (&protocols.http2, "2"), (&protocols.either, "?")];
        let name = all.iter().find(|(builder, _)| std::ptr::eq(*builder, chosen)).map(|(_, name)| *name);
        let mut rest = vec![0; said.len()];
        assert_eq!(stream.peek(&mut rest).await.expect("still there"), said.len());
        name.expect("one of them").to_owned()
    }

    #[tokio::test]
    async fn the_first_bytes_tell() {
        assert_eq!(chosen(b"POST /v1/responses HTTP/1.1\r\n").await, "1");
        assert_eq!(chosen(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0").await, "2");
        assert_eq!(chosen(b"PRI").await, "?");
        assert_eq!(chosen(b"P").await, "?");
    }
}
