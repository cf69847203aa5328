use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use tower_responses_core::{ApiError, BoxError, RequestBody, ResponseBody};
use tower_service::Service;

use crate::{
    Connections,
    connection::{Connection, serve},
    handshake::{RequestHead, accept, is_for_us, refusal, switching, upgrade_required},
    layer::Config,
};

/// The service of a [`WebSocketLayer`](crate::WebSocketLayer). All that is not `GET …/responses`
/// passes untouched.
#[derive(Debug, Clone)]
pub struct WebSocket<S> {
    inner: S,
    config: Arc<Config>,
    connections: Connections,
}

impl<S> WebSocket<S> {
    pub(crate) fn new(inner: S, config: Arc<Config>, connections: Connections) -> Self {
        Self { inner, config, connections }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, ResBody> WebSocket<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    /// Answers a handshake; from then on the connection has a task of its own.
    fn upgrade(&self, mut head: Parts) -> Result<Response<ResponseBody>, ApiError> {
        if !self.config.enabled {
            return Err(upgrade_required("WebSockets are not served here. Use POST."));
        }
        let accept = accept(&head, &self.config.origins)?;
        let Some(upgrade) = head.extensions.remove::<OnUpgrade>() else {
            tracing::warn!("the server does not let connections be upgraded: WebSockets can not be served");
            return Err(upgrade_required("WebSockets are not served here. Use POST."));
        };
        let unavailable = |message| {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
                .code("websocket_connection_limit_reached")
                .retry_after(5)
        };
        if self.connections.is_closing() {
            return Err(unavailable("The server is about to end."));
        }
        let place = self.connections.enter(self.config.max_connections);
        let place = place.ok_or_else(|| unavailable("Too many WebSockets are open."))?;
        let connection = Connection::new(self.inner.clone(), RequestHead::new(head), self.config.clone(), place);
        tokio::spawn(serve(upgrade, connection));
        Ok(switching(accept))
    }
}

impl<S, B, ResBody> Service<Request<B>> for WebSocket<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = WebSocketFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !is_for_us(request.method(), request.uri().path()) {
            return WebSocketFuture::Inner { future: self.inner.call(request.map(RequestBody::new)) };
        }
        let (head, _) = request.into_parts();
        let version = head.version;
        let response = self.upgrade(head).unwrap_or_else(|error| refusal(error, version));
        WebSocketFuture::Answer { response: Some(response) }
    }
}

pin_project! {
    /// Future of [`WebSocket`].
    #[project = FutureProj]
    #[allow(missing_docs, reason = "made here alone")]
    pub enum WebSocketFuture<F> {
        /// Passes.
        #[non_exhaustive]
        Inner { #[pin] future: F },
        /// Is answered here.
        #[non_exhaustive]
        Answer { response: Option<Response<ResponseBody>> },
    }
}

impl<F, ResBody, E> Future for WebSocketFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            FutureProj::Inner { future } => future.poll(cx).map_ok(|response| response.map(ResponseBody::new)),
            FutureProj::Answer { response } => Poll::Ready(Ok(response.take().expect("polled after it was ready"))),
        }
    }
}

impl<F> fmt::Debug for WebSocketFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketFuture").finish_non_exhaustive()
    }
}
