use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, Sleep, sleep},
};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_service::Service;

use super::{
    ConnectionLimits,
    activity::{Activity, Requests},
    answer::{ClientService, Served},
    protocols::{Protocol, http2_builder},
    stream::{ClientStream, Place},
};

/// A client that was told to end an HTTP/2 connection has so long to hear of it.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that was accepted, and has said nothing yet.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) place: Place,
    pub(super) served: Served,
    pub(super) http1: Arc<http1::Builder>,
    pub(super) http2_requests: Arc<Requests>,
    pub(super) limits: ConnectionLimits,
    pub(super) shutdown: watch::Receiver<bool>,
}

impl Connection {
    pub(super) async fn serve<S>(mut self, service: S)
    where
        S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        // Events are small and each matters by itself.
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let told = tokio::select! {
            told = within(self.limits.header_timeout, Protocol::of(&self.stream)) => told,
            _ = self.shutdown.wait_for(|ending| *ending) => return,
        };
        let (protocol, said) = match told {
            Ok(told) => told,
            Err(error) => return tracing::debug!(%error, "a connection ended before it has said what it is"),
        };
        let Self { stream, place, served, http1, http2_requests, limits, shutdown } = self;
        // Over HTTP/1 there are no more requests than connections.
        let activity = Activity::new(limits, (protocol == Protocol::Http2).then_some(http2_requests));
        let stream = ClientStream::new(stream, said, activity.clone(), place);
        let service = ClientService::new(service, served, activity.clone());
        let ended = match protocol {
            Protocol::Http1 => serve_http1(&http1, stream, service, &activity, shutdown).await,
            Protocol::Http2 => Box::pin(serve_http2(stream, service, activity, shutdown)).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}

async fn within<T>(limit: Option<Duration>, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await?,
        None => future.await,
    }
}

async fn serve_http1<S>(
    http: &http1::Builder,
    stream: ClientStream,
    service: ClientService<S>,
    activity: &Activity,
    mut shutdown: watch::Receiver<bool>,
) -> hyper::Result<()>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut shutdown = pin!(shutdown.wait_for(|ending| *ending));
    let mut is_ending = false;
    poll_fn(|cx| {
        if !is_ending && shutdown.as_mut().poll(cx).is_ready() {
            is_ending = true;
            activity.end();
            Pin::new(&mut connection).graceful_shutdown();
        }
        let ended = Pin::new(&mut connection).poll(cx);
        // What is left is half the head of a request.
        if is_ending && ended.is_pending() && !activity.is_answering() && !activity.is_blocked() {
            return Poll::Ready(Ok(()));
        }
        ended
    })
    .await
}

async fn serve_http2<S>(
    stream: ClientStream,
    service: ClientService<S>,
    activity: Arc<Activity>,
    mut shutdown: watch::Receiver<bool>,
) -> hyper::Result<()>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut connection = http2_builder(&activity).serve_connection(TokioIo::new(stream), service);
    let mut shutdown = pin!(shutdown.wait_for(|ending| *ending));
    let mut idle = Idle::new(activity);
    poll_fn(|cx| {
        if !idle.activity.is_ending() && shutdown.as_mut().poll(cx).is_ready() {
            idle.activity.end();
            idle.say_goodbye();
            Pin::new(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(ended);
        }
        loop {
            match idle.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Step::Close) => return Poll::Ready(Ok(())),
                Poll::Ready(Step::SayGoodbye) => {
                    Pin::new(&mut connection).graceful_shutdown();
                    if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                        return Poll::Ready(ended);
                    }
                }
            }
        }
    })
    .await
}

/// Ends an HTTP/2 connection on which nothing is asked.
struct Idle {
    timer: Pin<Box<Sleep>>,
    /// The requests up to the last look.
    begun: usize,
    goodbye_said: bool,
    activity: Arc<Activity>,
}

enum Step {
    SayGoodbye,
    Close,
}

impl Idle {
    fn new(activity: Arc<Activity>) -> Self {
        let timer = Box::pin(sleep(activity.limits.header_timeout.unwrap_or(Duration::MAX)));
        Self { timer, begun: 0, goodbye_said: false, activity }
    }

    fn say_goodbye(&mut self) {
        self.goodbye_said = true;
        self.timer.as_mut().reset(Instant::now() + GOODBYE);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let begun = self.activity.begun();
            let is_idle = !self.activity.is_answering() && begun == self.begun;
            self.begun = begun;
            match (is_idle, self.goodbye_said) {
                (true, false) => {
                    self.say_goodbye();
                    return Poll::Ready(Step::SayGoodbye);
                }
                (true, true) if !self.activity.is_blocked() => return Poll::Ready(Step::Close),
                (_, true) => self.timer.as_mut().reset(Instant::now() + GOODBYE),
                // Nobody tells when the last answer is out.
                (false, false) => self.timer.set(sleep(self.activity.limits.header_timeout.unwrap_or(Duration::MAX))),
            }
        }
        Poll::Pending
    }
}
