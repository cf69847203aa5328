//! Responses whose clients have left.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tower_layer::Layer;
use tower_responses_core::{BoxError, ResponseBody, rewrite::is_create_request};
use tower_service::Service;

/// Lets a response come to its end, and so into the store, when its client leaves before.
///
/// Without this layer a client that leaves cancels its upstream call, and nothing is kept. With
/// it, outside of [`ResponseStoreLayer`](crate::ResponseStoreLayer), requests that make a
/// response run in a task of their own, and what is left of a body is read by another. At most
/// so many go on at the same time without their clients; of the others nothing is kept, as without
/// the layer.
///
/// Its services have to be called within a tokio runtime.
#[derive(Debug, Clone)]
pub struct FinishLayer {
    abandoned: Arc<Semaphore>,
}

impl FinishLayer {
    /// Finishes at most so many responses at once whose clients have left.
    pub fn new(max_abandoned: usize) -> Self {
        Self { abandoned: Arc::new(Semaphore::new(max_abandoned.min(Semaphore::MAX_PERMITS))) }
    }
}

impl<S> Layer<S> for FinishLayer {
    type Service = FinishService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FinishService { inner, abandoned: self.abandoned.clone() }
    }
}

/// The service of [`FinishLayer`].
#[derive(Debug, Clone)]
pub struct FinishService<S> {
    inner: S,
    abandoned: Arc<Semaphore>,
}

impl<S, B> Service<Request<B>> for FinishService<S>
where
    S: Service<Request<B>, Response = Response<ResponseBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = FinishFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let create = is_create_request(&request);
        let future = self.inner.call(request);
        if !create {
            return FinishFuture { state: State::Passing(Box::pin(future)) };
        }
        let place = Arc::new(Place { abandoned: self.abandoned.clone(), taken: Mutex::default() });
        let of_body = place.clone();
        let task = tokio::spawn(async move {
            let response = future.await?;
            // Held by the task until somebody takes it, so that it is read on if nobody does.
            Ok(response.map(|body| ResponseBody::new(Finishing { body: Some(body), place: of_body, done: false })))
        });
        FinishFuture { state: State::Running(Running { task, place }) }
    }
}

/// A place among the responses without a client, once it is taken.
#[derive(Debug)]
struct Place {
    abandoned: Arc<Semaphore>,
    taken: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Place {
    /// The place that was taken before, or one that is free.
    fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Some(taken) = self.taken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Some(taken);
        }
        let permit = self.abandoned.clone().try_acquire_owned().ok();
        let counter = match permit {
            Some(_) => metrics::counter!("tower_responses_abandoned_finished_total"),
            None => metrics::counter!("tower_responses_abandoned_dropped_total"),
        };
        counter.increment(1);
        permit
    }

    fn put(&self, permit: OwnedSemaphorePermit) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
    }
}

/// Future of [`FinishService`].
#[derive(Debug)]
pub struct FinishFuture<F, E> {
    state: State<F, E>,
}

#[derive(Debug)]
enum State<F, E> {
    Passing(Pin<Box<F>>),
    Running(Running<E>),
}

/// A response that has not begun. The task outlives this only if there is a place for it.
#[derive(Debug)]
struct Running<E> {
    task: JoinHandle<Result<Response<ResponseBody>, E>>,
    place: Arc<Place>,
}

impl<E> Drop for Running<E> {
    fn drop(&mut self) {
        if self.task.is_finished() {
            return;
        }
        match self.place.take() {
            // Kept for the body that the task ends with.
            Some(permit) => self.place.put(permit),
            None => self.task.abort(),
        }
    }
}

impl<F, E> Future for FinishFuture<F, E>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().state {
            State::Passing(future) => future.as_mut().poll(cx),
            State::Running(running) => match ready!(Pin::new(&mut running.task).poll(cx)) {
                Ok(response) => Poll::Ready(response),
                Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                // The runtime is shutting down, and nobody waits for an answer any more.
                Err(_) => Poll::Pending,
            },
        }
    }
}

/// A body that is read to its end if it is dropped before.
struct Finishing {
    body: Option<ResponseBody>,
    place: Arc<Place>,
    done: bool,
}

impl Body for Finishing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        self.done = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Finishing {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !self.done && !body.is_end_stream()) else { return };
        let (Ok(runtime), Some(permit)) = (Handle::try_current(), self.place.take()) else { return };
        runtime.spawn(read_on(body, permit));
    }
}

async fn read_on(mut body: ResponseBody, _permit: OwnedSemaphorePermit) {
    while let Some(Ok(_)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
}
