use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{Limits, RewriteFuture, RewriteRequest};
use crate::{BoxError, RequestBody, ResponseBody};

/// A service that changes requests and responses as an [`RewriteRequest`] says.
#[derive(Debug, Clone)]
pub struct Rewrite<S, R> {
    inner: S,
    rewrite: R,
    limits: Limits,
}

impl<S, R> Rewrite<S, R> {
    /// Wraps `inner`.
    pub fn new(inner: S, rewrite: R) -> Self {
        Self { inner, rewrite, limits: Limits::default() }
    }

    /// Sets the bounds of what is held in memory.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, R, B, ResBody> Service<Request<B>> for Rewrite<S, R>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone,
    R: RewriteRequest + Clone,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = RewriteFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let body = RequestBody::new(body);
        if !self.rewrite.applies(&head) {
            return RewriteFuture::calling(self.inner.call(Request::from_parts(head, body)), None, self.limits);
        }
        let body = match body.into_object() {
            // Read further out: there is nothing to wait for, and nobody to be cloned.
            Ok(object) => return RewriteFuture::begin(&mut self.inner, &self.rewrite, head, object, self.limits),
            Err(body) => body,
        };
        // The one that is ready answers; its clone is asked for readiness next time.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let read = body.read(&mut head, self.limits.request);
        RewriteFuture::reading(read, head, inner, self.rewrite.clone(), self.limits)
    }
}
