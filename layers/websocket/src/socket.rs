//! The socket of one connection: frames are read ahead while an answer is sent.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::{Interval, MissedTickBehavior, Sleep, interval, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::ProtocolError,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{counted::Counted, layer::Config};

#[cfg(test)]
mod tests;

/// What is read from the connection and written to it at once. It is allocated for every
/// connection, also for one that is idle.
const BUFFER: usize = 4 << 10;
/// How much of what is sent waits for more to be written together with it.
const WRITE_TOGETHER: usize = 8 << 10;
/// How often it is tried whether the client is still there while nothing is read from it.
const PROBE: Duration = Duration::from_millis(400);
/// How many pings are answered before the answers have to be on their way.
const MAX_ANSWERS: usize = 64;
/// How long a client that has got no further answer to its pings may take to read on.
const STALLED: Duration = Duration::from_secs(60);
/// How long a client may take to answer the close frame.
const CLOSING: Duration = Duration::from_secs(2);
/// A client that sends too large a frame may send so many times more than it should before the
/// connection is cut.
const DISCARD: u64 = 4;
/// How long it may take for that.
const DISCARDING: Duration = Duration::from_secs(30);

/// The client is not there any more, or nothing can be said to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// What came from the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Text(Bytes),
    Binary,
    /// A frame or a message over the limit; nothing can be read after it.
    TooLarge,
    /// Text that is not UTF-8; nothing may be read after it.
    NotUtf8,
    /// Something that the protocol rules out; nothing may be read after it.
    Violation,
}

/// Why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    Idle,
    GoingAway,
    TooLarge,
    NotUtf8,
    Violation,
}

impl Close {
    fn code(self) -> CloseCode {
        match self {
            Self::Idle => CloseCode::Normal,
            Self::GoingAway => CloseCode::Away,
            Self::TooLarge => CloseCode::Size,
            Self::NotUtf8 => CloseCode::Invalid,
            Self::Violation => CloseCode::Protocol,
        }
    }
}

pub(crate) struct Socket<T> {
    /// Boxed, since the socket moves from one future into the next, each of which has room for it.
    websocket: Box<WebSocketStream<Counted<T>>>,
    /// The bytes of all messages that came, each in one frame.
    received: u64,
    /// Frames that came while others were being answered.
    queue: VecDeque<Incoming>,
    queued: usize,
    max_queue: usize,
    max_frame: usize,
    /// Whether nothing more can be read.
    ended: bool,
    probe: Option<Pin<Box<Interval>>>,
    /// The pings that came since all was written last: the library has as many pongs in its buffer
    /// at most.
    answers: usize,
    /// When the client is given up unless it reads, and what was written to it before.
    stalled: Option<(Pin<Box<Sleep>>, u64)>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    pub(crate) async fn new(io: T, config: &Config) -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(WRITE_TOGETHER)
            .max_message_size(Some(config.max_frame))
            .max_frame_size(Some(config.max_frame));
        let websocket = WebSocketStream::from_raw_socket(Counted::new(io), Role::Server, Some(limits)).await;
        Self {
            websocket: Box::new(websocket),
            received: 0,
            queue: VecDeque::new(),
            queued: 0,
            max_queue: config.max_pipelined,
            max_frame: config.max_frame,
            ended: false,
            probe: None,
            answers: 0,
            stalled: None,
        }
    }

    /// Gives up the buffers, which have grown to the largest message in either direction. To be
    /// called when all is flushed.
    ///
    /// The library says nothing of what it has read ahead. But if all that was read from the
    /// socket is accounted for by the messages that came, it has read nothing ahead. Where a
    /// message came in several frames, more was read, and the buffers stay.
    pub(crate) async fn shrink(mut self) -> Self {
        if self.received == self.websocket.get_ref().read() && !self.ended {
            let limits = *self.websocket.get_config();
            let io = self.websocket.into_inner();
            let renewed = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
            self.websocket = Box::new(renewed);
        }
        self
    }

    /// The next frame, in the order in which they came.
    pub(crate) async fn next(&mut self) -> Result<Incoming, Gone> {
        poll_fn(|cx| {
            if self.queue.is_empty() {
                self.poll_receive(cx)?;
            }
            match self.queue.pop_front() {
                Some(incoming) => {
                    self.queued -= incoming.len();
                    Poll::Ready(Ok(incoming))
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Does `work`, and meanwhile watches over the client: frames are read ahead, pings are
    /// answered. If the client goes, `work` is dropped.
    pub(crate) async fn attend<F: Future>(&mut self, work: F) -> Result<F::Output, Gone> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => {
                self.poll_attend(cx)?;
                Poll::Pending
            }
        })
        .await
    }

    /// Takes a text frame as soon as those before it are on their way. What is sent goes out with
    /// what follows, or when there is nothing else to do.
    pub(crate) async fn send(&mut self, text: Bytes) -> Result<(), Gone> {
        let text = utf8(text);
        poll_fn(|cx| match Pin::new(&mut *self.websocket).poll_ready(cx) {
            Poll::Ready(ready) => Poll::Ready(ready.map_err(gone)),
            Poll::Pending => {
                self.poll_attend(cx)?;
                Poll::Pending
            }
        })
        .await?;
        Pin::new(&mut *self.websocket).start_send(Message::Text(text)).map_err(gone)
    }

    /// Sends what waits to be sent.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        poll_fn(|cx| match self.poll_flush(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => {
                self.poll_attend(cx)?;
                Poll::Pending
            }
        })
        .await
    }

    /// Sends what is said before the connection is closed, to a client that reads it.
    pub(crate) async fn send_last(&mut self, text: Bytes) -> Result<(), Gone> {
        let sent = async {
            self.send(text).await?;
            self.flush().await
        };
        timeout(CLOSING, sent).await.unwrap_or(Err(Gone))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        ready!(Pin::new(&mut *self.websocket).poll_flush(cx)).map_err(gone)?;
        self.answers = 0;
        self.stalled = None;
        Poll::Ready(Ok(()))
    }

    /// Says goodbye, and waits for a while until the client has heard it.
    pub(crate) async fn close(mut self, why: Close) {
        let frame = CloseFrame { code: why.code(), reason: Utf8Bytes::default() };
        let goodbye = async {
            poll_fn(|cx| Pin::new(&mut *self.websocket).poll_ready(cx)).await?;
            Pin::new(&mut *self.websocket).start_send(Message::Close(Some(frame)))?;
            poll_fn(|cx| Pin::new(&mut *self.websocket).poll_flush(cx)).await
        };
        if !matches!(timeout(CLOSING, goodbye).await, Ok(Ok(()))) {
            return;
        }
        if self.ended {
            // What the client is still sending has to be read: else its system tells it of a
            // broken connection before it has seen why.
            let rest = (self.max_frame as u64).saturating_mul(DISCARD);
            let mut io = self.websocket.into_inner().take(rest);
            let mut buffer = vec![0; 16 << 10];
            let discard = async { while let Ok(Ok(1..)) = timeout(CLOSING, io.read(&mut buffer)).await {} };
            let _ = timeout(DISCARDING, discard).await;
            return;
        }
        let heard =
            async { while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut *self.websocket).poll_next(cx)).await {} };
        let _ = timeout(CLOSING, heard).await;
    }

    /// Reads ahead and writes what waits. Ready only if the client is gone.
    fn poll_attend(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        self.poll_receive(cx)?;
        if let Poll::Ready(done) = self.poll_flush(cx) {
            done?;
        }
        if self.ended || self.is_full() {
            return self.poll_probe(cx);
        }
        self.probe = None;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= self.max_queue || self.queued >= self.max_frame
    }

    /// Takes what has come, as far as there is room for it.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        while !self.ended && !self.is_full() && self.poll_answered(cx)?.is_ready() {
            let Poll::Ready(message) = Pin::new(&mut *self.websocket).poll_next(cx) else { break };
            if let Some(Ok(message)) = &message {
                self.received += on_the_wire(message.len());
            }
            let incoming = match message {
                Some(Ok(Message::Text(text))) => Incoming::Text(text.into()),
                Some(Ok(Message::Binary(_))) => Incoming::Binary,
                // Answered by the library.
                Some(Ok(Message::Ping(_))) => {
                    self.answers += 1;
                    continue;
                }
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) | None => return self.left(cx),
                Some(Err(Error::Capacity(_))) => Incoming::TooLarge,
                Some(Err(Error::Utf8(_))) => Incoming::NotUtf8,
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => return Err(Gone),
                Some(Err(Error::Protocol(_))) => Incoming::Violation,
                Some(Err(_)) => return Err(Gone),
            };
            self.ended = incoming.is_last();
            self.queued += incoming.len();
            self.queue.push_back(incoming);
        }
        Ok(())
    }

    /// Ready if a ping may come. The library has a pong ready for each, however many there are: from
    /// a client that does not read them nothing more is taken, and it is given up after a while.
    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Gone> {
        if self.answers < MAX_ANSWERS {
            return Ok(Poll::Ready(()));
        }
        if let Poll::Ready(done) = self.poll_flush(cx) {
            return done.map(Poll::Ready);
        }
        let written = self.websocket.get_ref().written();
        let (timer, _) = match &mut self.stalled {
            Some(stalled) if stalled.1 == written => stalled,
            stalled => stalled.insert((Box::pin(sleep(STALLED)), written)),
        };
        if timer.as_mut().poll(cx).is_ready() {
            tracing::debug!("a WebSocket client sends pings and does not read the answers");
            return Err(Gone);
        }
        Ok(Poll::Pending)
    }

    /// The client has said goodbye: the library has an answer to it ready.
    fn left(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        let _ = Pin::new(&mut *self.websocket).poll_flush(cx);
        Err(Gone)
    }

    /// Where nothing is read, only writing shows whether there is anybody.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        let probe = self.probe.get_or_insert_with(|| {
            let mut probe = interval(PROBE);
            probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Box::pin(probe)
        });
        while probe.poll_tick(cx).is_ready() {
            match Pin::new(&mut *self.websocket).poll_ready(cx) {
                Poll::Pending => continue,
                Poll::Ready(ready) => ready.map_err(gone)?,
            }
            Pin::new(&mut *self.websocket).start_send(Message::Ping(Bytes::new())).map_err(gone)?;
            if let Poll::Ready(sent) = Pin::new(&mut *self.websocket).poll_flush(cx) {
                sent.map_err(gone)?;
            }
        }
        Ok(())
    }
}

impl Incoming {
    fn len(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::TooLarge | Self::NotUtf8 | Self::Violation)
    }
}

/// The bytes that a client's message takes in one frame: a mask and its length in 0, 2 or 8 bytes
/// more come before it.
fn on_the_wire(length: usize) -> u64 {
    let header = match length {
        0..=125 => 6,
        126..=0xFFFF => 8,
        _ => 14,
    };
    length as u64 + header
}

fn utf8(text: Bytes) -> Utf8Bytes {
    Utf8Bytes::try_from(text.clone()).unwrap_or_else(|_| String::from_utf8_lossy(&text).into_owned().into())
}

fn gone(error: Error) -> Gone {
    tracing::debug!(%error, "a WebSocket client can not be written to any more");
    Gone
}
