//! Connections to one upstream over HTTP/1, kept and used again.
//!
//! hyper-util's client can do more: it knows many hosts, finds out what each speaks, and has a
//! task for every connection. For one host without TLS all that costs more than to ask it. Here
//! the task that asks drives the connection, so what has arrived is at hand without a turn of the
//! scheduler for each piece, and many events of a stream leave in one write.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{net::TcpStream, runtime::Handle, time::Instant};
use tower_responses_core::{BoxError, RequestBody};
use tower_service::Service;

use super::{
    UpstreamConfig,
    again::Again,
    connect::RetryConnect,
    failure::NoAnswer,
    relay::Relay,
    watched::{Traffic, Watched},
};

/// What a connection goes over.
type Io = TokioIo<Watched<TcpStream>>;

/// The connections to one upstream.
pub(super) struct Pool {
    connector: RetryConnect<HttpConnector>,
    upstream: Uri,
    idle_timeout: Duration,
    retry_dead_connections: bool,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The one that was used last comes last.
    connections: Vec<(Instant, Box<Connection>)>,
    /// Whether a task waits to close what nobody uses.
    is_watched: bool,
}

impl Pool {
    /// Without connections; they are made to the host of `upstream`.
    pub(super) fn new(connector: RetryConnect<HttpConnector>, upstream: Uri, config: &UpstreamConfig) -> Self {
        let UpstreamConfig { pool_idle_timeout: idle_timeout, retry_dead_connections, .. } = *config;
        Self { connector, upstream, idle_timeout, retry_dead_connections, idle: Mutex::default() }
    }

    /// Sends a request whose target is a path, and which has a `Host`.
    ///
    /// It is sent again if the upstream has closed a connection that was kept: over another one
    /// where nothing was sent, and once, over a new one, where it was and no byte has come back.
    pub(super) async fn ask(
        self: Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<Response<PooledBody>, NoAnswer> {
        let mut new_only = false;
        loop {
            let kept = if new_only { None } else { self.take() };
            let is_new = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let again = if is_new || !self.retry_dead_connections { None } else { Again::of(&mut request) };
            let received = connection.traffic.received();
            match connection.ask(request).await {
                Ok(response) => {
                    let lease = Some(Lease { pool: self, connection });
                    return Ok(response.map(|body| PooledBody { body, lease }));
                }
                Err(mut error) => match (error.take_message(), again) {
                    (Some(unsent), _) if !is_new => request = unsent,
                    (None, Some(again)) if connection.traffic.received() == received => {
                        request = again.request();
                        new_only = true;
                    }
                    _ => return Err(NoAnswer::Broken(error.into_error().into())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Box<Connection>, NoAnswer> {
        let stream = self.connector.clone().call(self.upstream.clone()).await;
        let stream = stream.map_err(|error| NoAnswer::Unreachable(error.into()))?;
        let stream = Watched::new(stream.into_inner());
        let traffic = stream.traffic().clone();
        let (sender, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| NoAnswer::Unreachable(error.into()))?;
        metrics::counter!("tower_responses_upstream_connections_total").increment(1);
        let relay = Relay::new();
        Ok(Box::new(Connection { sender, driver: Some(driver), traffic, relayed: relay.clone().into(), relay }))
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that waits for a request: of those that do the one that was used last.
    fn take(&self) -> Option<Box<Connection>> {
        loop {
            let (since, mut connection) = self.idle().connections.pop()?;
            if since.elapsed() < self.idle_timeout && connection.is_open() {
                return Some(connection);
            }
        }
    }

    fn give_back(self: Arc<Self>, mut connection: Box<Connection>) {
        // Outside of a runtime nothing can be done with connections any more.
        let Ok(runtime) = Handle::try_current() else { return };
        // One that is not ready may still be sending the request that was answered.
        if !connection.is_open() {
            return;
        }
        let mut idle = self.idle();
        let since = Instant::now();
        idle.connections.push((since, connection));
        if !std::mem::replace(&mut idle.is_watched, true) {
            drop(idle);
            runtime.spawn(close_unused(Arc::downgrade(&self), since + self.idle_timeout));
        }
    }

    /// Closes what was not used for too long. When to look again, if there is something left.
    fn close_unused(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut idle = self.idle();
        idle.connections.retain(|(since, _)| now.saturating_duration_since(*since) < self.idle_timeout);
        let oldest = idle.connections.iter().map(|(since, _)| *since).min();
        idle.is_watched = oldest.is_some();
        Some(oldest? + self.idle_timeout)
    }
}

async fn close_unused(pool: Weak<Pool>, mut next: Instant) {
    loop {
        tokio::time::sleep_until(next).await;
        match pool.upgrade().and_then(|pool| pool.close_unused()) {
            Some(later) => next = later,
            None => return,
        }
    }
}

/// A connection, driven by whoever holds it.
struct Connection {
    sender: http1::SendRequest<RequestBody>,
    /// `None` once the connection has ended.
    driver: Option<http1::Connection<Io, RequestBody>>,
    traffic: Arc<Traffic>,
    relay: Arc<Relay>,
    /// The relay, as what it is given to.
    relayed: Waker,
}

impl Connection {
    fn ask(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> {
        let mut answer = Box::pin(self.sender.try_send_request(request));
        poll_fn(move |cx| self.drive(cx, |cx| answer.as_mut().poll(cx)))
    }

    /// Waits for something that the connection brings.
    fn drive<T>(&mut self, cx: &mut Context<'_>, mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let Self { driver, relay, relayed, .. } = self;
        relay.poll(relayed, cx, |cx| {
            if let Poll::Ready(wanted) = wanted(cx) {
                return Poll::Ready(wanted);
            }
            poll_driver(driver, cx);
            wanted(cx)
        })
    }

    /// Whether a request can be sent, as far as is known now.
    fn is_open(&mut self) -> bool {
        self.relay.rest();
        poll_driver(&mut self.driver, &mut Context::from_waker(&self.relayed));
        self.driver.is_some() && self.sender.is_ready()
    }
}

fn poll_driver(driver: &mut Option<http1::Connection<Io, RequestBody>>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && let Poll::Ready(ended) = Pin::new(connection).poll(cx)
    {
        // What waits for something hears of it.
        *driver = None;
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the upstream ended with an error");
        }
    }
}

/// The body of an answer. At its end the connection is kept for another request.
pub(super) struct PooledBody {
    body: Incoming,
    lease: Option<Lease>,
}

struct Lease {
    pool: Arc<Pool>,
    connection: Box<Connection>,
}

impl PooledBody {
    /// A body whose connection somebody else keeps.
    pub(super) fn elsewhere(body: Incoming) -> Self {
        Self { body, lease: None }
    }

    fn give_back(&mut self) {
        if let Some(Lease { pool, connection }) = self.lease.take() {
            pool.give_back(connection);
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = match &mut this.lease {
            Some(lease) => lease.connection.drive(cx, |cx| Pin::new(&mut this.body).poll_frame(cx)),
            None => Pin::new(&mut this.body).poll_frame(cx),
        };
        let Poll::Ready(frame) = frame else { return Poll::Pending };
        match &frame {
            None => self.give_back(),
            Some(Err(_)) => self.lease = None,
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for PooledBody {
    fn drop(&mut self) {
        // Nobody asks for more of a body that is known to be at its end. To leave one before that
        // closes its connection.
        if self.body.is_end_stream() {
            self.give_back();
        }
    }
}
