use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{Sleep, sleep},
};

/// How the upstream answers each request.
#[derive(Clone)]
pub enum Answer {
    Json(Value),
    Error(StatusCode, Value),
    /// Events with pauses between them; then the end. With `seen`, each pause begins when the
    /// client has counted the event before it.
    Stream {
        events: Vec<Value>,
        pause: Duration,
        seen: Option<Arc<AtomicUsize>>,
    },
    /// The same; then nothing.
    Hangs(Box<Answer>),
    /// The same; then the connection breaks.
    Breaks(Box<Answer>),
    /// Not at all.
    Never,
}

impl Answer {
    pub fn stream(events: Vec<Value>, pause: Duration) -> Self {
        Self::Stream { events, pause, seen: None }
    }

    pub fn and_hang(self) -> Self {
        Self::Hangs(Box::new(self))
    }

    pub fn and_break(self) -> Self {
        Self::Breaks(Box::new(self))
    }
}

/// What the upstream got to see.
pub struct Seen {
    pub head: Parts,
    pub body: Value,
}

/// An upstream on hyper, whose calls tell when they are dropped before their end.
pub struct Upstream {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Seen>,
    drops: mpsc::UnboundedReceiver<()>,
}

impl Upstream {
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, requests) = mpsc::unbounded_channel();
        let (dropped, drops) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (answer, seen, dropped) = (answer.clone(), seen.clone(), dropped.clone());
                let service = service_fn(move |request| handle(request, answer.clone(), seen.clone(), dropped.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, requests, drops }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The next request that has arrived as a whole.
    pub async fn request(&mut self) -> Seen {
        self.requests.recv().await.unwrap()
    }

    /// Waits for a call that is dropped.
    pub async fn dropped(&mut self) {
        self.drops.recv().await.unwrap();
    }
}

async fn handle(
    request: Request<Incoming>,
    answer: Answer,
    seen: mpsc::UnboundedSender<Seen>,
    dropped: mpsc::UnboundedSender<()>,
) -> Result<Response<Script>, Infallible> {
    let (head, body) = request.into_parts();
    let mut guard = Guard { dropped: Some(dropped) };
    // A request that breaks off is no request.
    let Ok(body) = body.collect().await else { return Ok(Response::new(Script::text("", guard))) };
    let _ = seen.send(Seen { head, body: serde_json::from_slice(&body.to_bytes()).unwrap_or_default() });
    let (status, body) = match answer {
        Answer::Json(body) => (StatusCode::OK, body),
        Answer::Error(status, body) => (status, body),
        Answer::Never => {
            std::future::pending::<()>().await;
            guard.dropped = None;
            unreachable!()
        }
        stream => {
            let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
            return Ok(response.body(Script::events(stream, guard)).unwrap());
        }
    };
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Script::text(&body.to_string(), guard)).unwrap())
}

/// A body with a script.
struct Script {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    wait: Option<Pin<Box<Sleep>>>,
    sent: usize,
    confirmed: usize,
    seen: Option<Arc<AtomicUsize>>,
    end: End,
    guard: Guard,
}

enum End {
    Good,
    Hangs,
    Breaks,
}

impl Script {
    fn text(text: &str, guard: Guard) -> Self {
        let pieces = VecDeque::from([Bytes::from(text.to_owned())]);
        Self { pieces, pause: Duration::ZERO, wait: None, sent: 0, confirmed: 0, seen: None, end: End::Good, guard }
    }

    fn events(answer: Answer, guard: Guard) -> Self {
        let (answer, end) = match answer {
            Answer::Hangs(answer) => (*answer, End::Hangs),
            Answer::Breaks(answer) => (*answer, End::Breaks),
            answer => (answer, End::Good),
        };
        let Answer::Stream { events, pause, seen } = answer else { unreachable!() };
        let pieces = events.into_iter().map(|event| tower_responses_testing::sse(&[event]).into()).collect();
        Self { pieces, pause, wait: None, sent: 0, confirmed: 0, seen, end, guard }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        while let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
            if let Some(seen) = &self.seen
                && self.confirmed < self.sent
            {
                let is_seen = seen.load(Ordering::SeqCst) >= self.sent;
                let wait = if is_seen { self.pause } else { Duration::from_millis(1) };
                self.confirmed += usize::from(is_seen);
                self.wait = Some(Box::pin(sleep(wait)));
            }
        }
        match (self.pieces.pop_front(), &self.end) {
            (Some(piece), _) => {
                self.sent += 1;
                if !self.pause.is_zero() {
                    let wait = if self.seen.is_some() { Duration::ZERO } else { self.pause };
                    self.wait = Some(Box::pin(sleep(wait)));
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            (None, End::Good) => {
                self.guard.dropped = None;
                Poll::Ready(None)
            }
            (None, End::Hangs) => Poll::Pending,
            (None, End::Breaks) => Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
        }
    }
}

/// Tells if it is dropped while it still can.
struct Guard {
    dropped: Option<mpsc::UnboundedSender<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            let _ = dropped.send(());
        }
    }
}
