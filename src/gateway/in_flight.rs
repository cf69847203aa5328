mod deadlines;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_layer::Layer;
use tower_responses_core::{ApiError, BoxError, RequestBody, ResponseBody};
use tower_service::Service;

use self::deadlines::Deadlines;
use crate::upstream::Deadline;

/// Lets so many requests be at the upstream at once, until the last byte of their responses.
/// Others wait in a queue; when that is full they get 429.
///
/// A response that has to be at its end by some time gives its place back then, also if its client
/// takes nothing of it.
#[derive(Debug, Clone)]
pub(super) struct InFlightLayer {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    deadlines: Arc<Deadlines>,
}

impl InFlightLayer {
    pub(super) fn new(in_flight: usize, queue: usize) -> Self {
        let free = Arc::new(Semaphore::new(in_flight.clamp(1, Semaphore::MAX_PERMITS)));
        Self { places: Arc::new(Places { free, waiting: AtomicUsize::new(0), queue, deadlines: Arc::default() }) }
    }

    /// As many as there are: only their times are seen to.
    pub(super) fn unbounded() -> Self {
        Self::new(usize::MAX, 0)
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, places: self.places.clone() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct InFlight<S> {
    inner: S,
    places: Arc<Places>,
}

type Acquire = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// A place in the queue, given up when dropped.
struct Waiting(Arc<Places>);

impl Places {
    fn wait(self: &Arc<Self>) -> Option<Waiting> {
        let waiting = Waiting(self.clone());
        // Counted before it is looked at, so that two cannot take the last place.
        (self.waiting.fetch_add(1, Ordering::Relaxed) < self.queue).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S, ResBody> Service<Request<RequestBody>> for InFlight<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = InFlightFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let state = if let Ok(permit) = self.places.free.clone().try_acquire_owned() {
            State::Calling { future: inner.call(request), permit: Some(permit) }
        } else if let Some(waiting) = self.places.wait() {
            let free = self.places.free.clone();
            let acquire = Box::pin(async move {
                let permit = free.acquire_owned().await.ok();
                drop(waiting);
                permit
            });
            State::Waiting { acquire, inner, request: Some(request) }
        } else {
            metrics::counter!("tower_responses_requests_refused_total").increment(1);
            State::Full
        };
        InFlightFuture { state, deadlines: self.places.deadlines.clone() }
    }
}

pin_project! {
    pub(super) struct InFlightFuture<S>
    where
        S: Service<Request<RequestBody>>,
    {
        #[pin]
        state: State<S>,
        deadlines: Arc<Deadlines>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S>
    where
        S: Service<Request<RequestBody>>,
    {
        Full,
        Waiting { acquire: Acquire, inner: S, request: Option<Request<RequestBody>> },
        Calling { #[pin] future: S::Future, permit: Option<OwnedSemaphorePermit> },
    }
}

impl<S, ResBody> Future for InFlightFuture<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut state = this.state;
        loop {
            match state.as_mut().project() {
                StateProj::Full => {
                    let error =
                        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "the gateway has as many requests as it takes")
                            .code("rate_limit_exceeded")
                            .retry_after(1);
                    return Poll::Ready(Ok(error.into_response()));
                }
                StateProj::Waiting { acquire, inner, request } => {
                    let permit = ready!(acquire.as_mut().poll(cx));
                    let Some(request) = request.take() else { return Poll::Pending };
                    let future = inner.call(request);
                    state.set(State::Calling { future, permit });
                }
                StateProj::Calling { future, permit } => {
                    let mut response = ready!(future.poll(cx))?;
                    let permit = permit.take();
                    let deadline = response.extensions_mut().remove::<Deadline>();
                    return Poll::Ready(Ok(response.map(|body| {
                        let held = Held { body: ResponseBody::new(body), permit };
                        match deadline {
                            Some(Deadline(end)) => ResponseBody::new(this.deadlines.bound(held, end)),
                            None => ResponseBody::new(held),
                        }
                    })));
                }
            }
        }
    }
}

impl<S> fmt::Debug for InFlightFuture<S>
where
    S: Service<Request<RequestBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlightFuture").finish_non_exhaustive()
    }
}

/// A body that holds its place until it ends or is dropped.
struct Held {
    body: ResponseBody,
    permit: Option<OwnedSemaphorePermit>,
}

impl Body for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() {
            self.permit = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
