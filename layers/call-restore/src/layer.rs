use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, header::ACCEPT_ENCODING};
use http_body::Body;
use tower_layer::Layer;
use tower_responses_core::{
    BoxError, ResponseBody, ToolMap,
    rewrite::{Limits, ResponseFuture, is_create_request},
};
use tower_service::Service;

use crate::Restorer;

#[cfg(test)]
mod tests;

/// Turns the function calls of an upstream back into the calls that the client declared.
///
/// It goes by the [`ToolMap`] in the extensions of the request, which the normalization of
/// the request, further out, has put there. The request's body is not read.
#[derive(Debug, Clone, Default)]
pub struct CallRestoreLayer {
    limits: Limits,
    warned: Arc<AtomicBool>,
}

impl CallRestoreLayer {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how much of a response is held in memory; the bound for requests makes no difference
    /// here.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl<S> Layer<S> for CallRestoreLayer {
    type Service = CallRestore<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallRestore { inner, layer: self.clone() }
    }
}

/// The service of [`CallRestoreLayer`].
#[derive(Debug, Clone)]
pub struct CallRestore<S> {
    inner: S,
    layer: CallRestoreLayer,
}

impl<S> CallRestore<S> {
    /// Wraps `inner`.
    pub fn new(inner: S) -> Self {
        CallRestoreLayer::new().layer(inner)
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    fn restorer<B>(&self, request: &Request<B>) -> Option<Restorer> {
        if let Some(map) = request.extensions().get::<ToolMap>() {
            return Some(Restorer::new(map.clone()));
        }
        if is_create_request(request) {
            metrics::counter!("tower_responses_unmapped_requests_total").increment(1);
            if !self.layer.warned.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    "a request came without a ToolMap in its extensions: no call will be restored. \
                     The layer that normalizes tools has to stand outside of this one, and what is \
                     between them has to keep the extensions. This is said once and counted always."
                );
            }
        }
        None
    }
}

impl<S, B, ResBody> Service<Request<B>> for CallRestore<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, Restorer>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let restorer = self.restorer(&request);
        if restorer.is_some() {
            // What comes back compressed could not be read.
            request.headers_mut().remove(ACCEPT_ENCODING);
        }
        ResponseFuture::new(self.inner.call(request), restorer, self.layer.limits)
    }
}
