//! Connections to one upstream over HTTP/1, kept and used again.
//!
//! hyper-util's client can do more: it knows many hosts, and finds out what each speaks. For one
//! host without TLS that costs as much as all else that is done to ask it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{runtime::Handle, time::Instant};
use tower_responses_core::{BoxError, RequestBody};
use tower_service::Service;

use super::{connect::RetryConnect, failure::NoAnswer};

type Sender = http1::SendRequest<RequestBody>;

/// The connections to one upstream.
pub(super) struct Pool {
    connector: RetryConnect<HttpConnector>,
    upstream: Uri,
    idle_timeout: Duration,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The one that was used last comes last.
    connections: Vec<IdleConnection>,
    /// Whether a task waits to close what nobody uses.
    is_watched: bool,
}

struct IdleConnection {
    sender: Sender,
    since: Instant,
}

impl Pool {
    /// Without connections; they are made to the host of `upstream`.
    pub(super) fn new(connector: RetryConnect<HttpConnector>, upstream: Uri, idle_timeout: Duration) -> Self {
        Self { connector, upstream, idle_timeout, idle: Mutex::default() }
    }

    /// Sends a request whose target is a path, and which has a `Host`.
    ///
    /// Sent again, over another connection, is only what was not sent at all because the upstream
    /// has closed a connection that was kept.
    pub(super) async fn ask(
        self: Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<Response<PooledBody>, NoAnswer> {
        loop {
            let (mut sender, is_new) = match self.take() {
                Some(sender) => (sender, false),
                None => (self.connect().await?, true),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Some(Lease { pool: self, sender });
                    return Ok(response.map(|body| PooledBody { body, lease }));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(NoAnswer::Broken(error.into_error().into())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Sender, NoAnswer> {
        let stream = self.connector.clone().call(self.upstream.clone()).await;
        let stream = stream.map_err(|error| NoAnswer::Unreachable(error.into()))?;
        let (sender, connection) =
            http1::handshake(stream).await.map_err(|error| NoAnswer::Unreachable(error.into()))?;
        metrics::counter!("tower_responses_upstream_connections_total").increment(1);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the upstream ended with an error");
            }
        });
        Ok(sender)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that waits for a request: of those that do the one that was used last.
    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle();
        let now = Instant::now();
        for at in (0..idle.connections.len()).rev() {
            let connection = &idle.connections[at];
            if connection.is_over(now, self.idle_timeout) {
                idle.connections.swap_remove(at);
            } else if connection.sender.is_ready() {
                // What is not ready has just been used, and will be.
                return Some(idle.connections.remove(at).sender);
            }
        }
        None
    }

    fn give_back(self: Arc<Self>, sender: Sender) {
        // Outside of a runtime nothing can be done with connections any more.
        let Ok(runtime) = Handle::try_current() else { return };
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        let since = Instant::now();
        idle.connections.push(IdleConnection { sender, since });
        if !std::mem::replace(&mut idle.is_watched, true) {
            drop(idle);
            runtime.spawn(close_unused(Arc::downgrade(&self), since + self.idle_timeout));
        }
    }

    /// Closes what was not used for too long. When to look again, if there is something left.
    fn close_unused(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut idle = self.idle();
        idle.connections.retain(|connection| !connection.is_over(now, self.idle_timeout));
        let oldest = idle.connections.iter().map(|connection| connection.since).min();
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

impl IdleConnection {
    fn is_over(&self, now: Instant, idle_timeout: Duration) -> bool {
        self.sender.is_closed() || now.saturating_duration_since(self.since) >= idle_timeout
    }
}

/// The body of an answer. At its end the connection is kept for another request.
pub(super) struct PooledBody {
    body: Incoming,
    lease: Option<Lease>,
}

struct Lease {
    pool: Arc<Pool>,
    sender: Sender,
}

impl PooledBody {
    /// A body whose connection somebody else keeps.
    pub(super) fn elsewhere(body: Incoming) -> Self {
        Self { body, lease: None }
    }

    fn give_back(&mut self) {
        if let Some(Lease { pool, sender }) = self.lease.take() {
            pool.give_back(sender);
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
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
