use std::{io, sync::Arc};

use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;

use super::{ConnectionLimits, activity::Activity, stream_tasks::StreamTasks};

/// Bytes of the head of a request.
const HEAD: usize = 64 << 10;

/// Bytes of an answer over HTTP/2 that wait for the client.
const SEND_BUFFER: usize = 64 << 10;

/// What a client says first over HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// Finds out what a client speaks, once it has said something that tells. What had to be read
    /// for that is returned, and comes before the rest.
    ///
    /// Mostly nothing has to be read: what comes first is looked at where it is. To put it before
    /// the rest would make the buffer of every connection twice as large.
    pub(super) async fn of(stream: &TcpStream) -> io::Result<(Self, Bytes)> {
        let mut first = [0; PREFACE.len()];
        let length = stream.peek(&mut first).await?;
        if let Some(protocol) = Self::told_by(&first[..length]) {
            return Ok((protocol, Bytes::new()));
        }
        let mut length = 0;
        loop {
            stream.readable().await?;
            match stream.try_read(&mut first[length..]) {
                // What is incomplete is for HTTP/1 to complain about.
                Ok(0) => return Ok((Self::Http1, Bytes::copy_from_slice(&first[..length]))),
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            if let Some(protocol) = Self::told_by(&first[..length]) {
                return Ok((protocol, Bytes::copy_from_slice(&first[..length])));
            }
        }
    }

    fn told_by(first: &[u8]) -> Option<Self> {
        if first.is_empty() || first != &PREFACE[..first.len()] {
            return Some(Self::Http1);
        }
        (first.len() == PREFACE.len()).then_some(Self::Http2)
    }
}

pub(super) fn http1_builder(limits: ConnectionLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_header_size(HEAD);
    http
}

pub(super) fn http2_builder(activity: &Arc<Activity>) -> http2::Builder<StreamTasks> {
    let mut http = http2::Builder::new(StreamTasks::new(activity.clone()));
    // A client that is not there any more does not answer to a ping.
    http.timer(TokioTimer::new()).keep_alive_interval(activity.limits.header_timeout);
    http.max_send_buf_size(SEND_BUFFER);
    http
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn the_first_bytes_tell_and_are_not_lost() {
        for (said, expected) in [
            (&b"POST /v1/responses HTTP/1.1\r\n"[..], Protocol::Http1),
            (b"G", Protocol::Http1),
            (b"PRI * HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", Protocol::Http2),
            (b"P", Protocol::Http1),
            (b"", Protocol::Http1),
        ] {
            for pause_at in [0, 1, 5] {
                let (now, later) = said.split_at(pause_at.min(said.len()));
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
                client.write_all(now).await.expect("said");
                let (stream, _) = listener.accept().await.expect("accepted");
                let (found, client) = tokio::join!(Protocol::of(&stream), async {
                    tokio::task::yield_now().await;
                    client.write_all(later).await.expect("said");
                    client.shutdown().await.expect("no more");
                    client
                });
                let (protocol, first) = found.expect("looked at");
                assert_eq!(protocol, expected, "{}", String::from_utf8_lossy(said));
                let mut rest = vec![0; said.len() + 1];
                stream.readable().await.expect("readable");
                let length = stream.try_read(&mut rest).expect("the rest");
                assert!(first.len() < said.len() || length == 0);
                // The client sends in two pieces, of which the second may still be on its way.
                assert!(said.starts_with(&[&first[..], &rest[..length]].concat()));
                drop(client);
            }
        }
    }
}
