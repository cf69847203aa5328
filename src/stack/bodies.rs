use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_responses_core::{BoxError, RequestBody, ResponseBody};
use tower_service::Service;

/// Takes requests with any body for a service that takes a [`RequestBody`].
#[derive(Debug, Clone)]
pub struct AnyRequestBody<S> {
    inner: S,
}

impl<S> AnyRequestBody<S> {
    /// Wraps `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for AnyRequestBody<S>
where
    S: Service<Request<RequestBody>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.inner.call(request.map(RequestBody::new))
    }
}

/// Gives the responses of a service a [`ResponseBody`], whatever body they have.
#[derive(Debug, Clone)]
pub struct SharedResponseBody<S> {
    inner: S,
}

impl<S> SharedResponseBody<S> {
    /// Wraps `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, ResBody> Service<Request<B>> for SharedResponseBody<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = SharedResponseBodyFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        SharedResponseBodyFuture { future: self.inner.call(request) }
    }
}

pin_project! {
    /// Future of [`SharedResponseBody`].
    pub struct SharedResponseBodyFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F, ResBody, E> Future for SharedResponseBodyFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().future.poll(cx))?;
        Poll::Ready(Ok(response.map(ResponseBody::new)))
    }
}

impl<F> fmt::Debug for SharedResponseBodyFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedResponseBodyFuture").finish_non_exhaustive()
    }
}
