use std::{io, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
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
    pub(super) http1: http1::Builder,
    /// HTTP/2, or whatever shows when more has come.
    pub(super) other: auto::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new() -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        let mut other = auto::Builder::new(TokioExecutor::new());
        other.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        Self { http1, other }
    }
}

/// Whether a client speaks HTTP/1, once it has said something.
pub(super) async fn is_http1(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    let length = tokio::time::timeout(HEADER_TIMEOUT, stream.peek(&mut first)).await??;
    Ok(length == 0 || first[..length] != PREFACE[..length])
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn the_first_bytes_tell_and_stay() {
        for (said, expected) in [
            (&b"POST /v1/responses HTTP/1.1\r\n"[..], true),
            (b"G", true),
            (b"PRI * HTTP/1.1\r\n\r\n", true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", false),
            (b"P", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
            client.write_all(said).await.expect("said");
            let (stream, _) = listener.accept().await.expect("accepted");
            assert_eq!(is_http1(&stream).await.expect("looked at"), expected, "{}", String::from_utf8_lossy(said));
            let mut rest = vec![0; said.len()];
            assert_eq!(stream.peek(&mut rest).await.expect("still there"), said.len());
        }
    }
}
