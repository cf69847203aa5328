use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};

use super::{activity::Activity, patience::Patience};

/// A place among the connections of a server, until it is dropped.
pub(super) type Place = watch::Receiver<()>;

/// The stream of a client. It breaks off when the client does not take what is written to it.
pub(super) struct ClientStream {
    stream: TcpStream,
    /// What the client has said first, and was read already.
    said: Bytes,
    activity: Arc<Activity>,
    blocked: Option<Patience>,
    _place: Place,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, said: Bytes, activity: Arc<Activity>, place: Place) -> Self {
        Self { stream, said, activity, blocked: None, _place: place }
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.blocked.take().is_some() {
                self.activity.set_blocked(false);
            }
            return written;
        }
        let blocked = self.blocked.get_or_insert_with(|| {
            self.activity.set_blocked(true);
            Patience::default()
        });
        ready!(blocked.poll(cx, self.activity.limits.write_timeout, &self.activity));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take what is written to it")))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.said.is_empty() {
            let length = self.said.len().min(buffer.remaining());
            buffer.put_slice(&self.said.split_to(length));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
