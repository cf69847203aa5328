use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::Either;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_layer::Layer;
use tower_responses_core::{RequestBody, ResponseBody};
use tower_service::Service;

use super::access::AccessLayer;
use crate::{
    response_store::{Owner, ResponseId, ResponseStore},
    upstream::Upstream,
};

/// `/health`, `/ready` and `/metrics`.
#[derive(Clone)]
pub(super) struct AdminLayer {
    pub(super) upstream: Upstream,
    pub(super) store: Option<Arc<dyn ResponseStore>>,
    pub(super) metrics: Option<PrometheusHandle>,
    /// Who is told more than `/health`.
    pub(super) internal: Internal,
}

/// Who is told more than whether the gateway runs.
#[derive(Clone)]
pub(super) enum Internal {
    /// Those whom this lets in.
    Shown(AccessLayer),
    /// Nobody here: there is a listener for that.
    Elsewhere,
}

impl<S> Layer<S> for AdminLayer {
    type Service = Admin<S>;

    fn layer(&self, inner: S) -> Admin<S> {
        Admin { inner, admin: Arc::new(self.clone()) }
    }
}

#[derive(Clone)]
pub(super) struct Admin<S> {
    inner: S,
    admin: Arc<AdminLayer>,
}

/// Longer than this nobody waits for an upstream that is asked whether it is there.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

impl AdminLayer {
    fn answers<B>(&self, request: &Request<B>) -> bool {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return false;
        }
        match (request.uri().path(), &self.internal) {
            ("/health", _) => true,
            ("/ready" | "/metrics", Internal::Shown(access)) => access.lets_in(request.headers()),
            _ => false,
        }
    }

    async fn answer(&self, path: &str) -> Response<ResponseBody> {
        match path {
            "/ready" => self.ready().await,
            "/metrics" => {
                let text = self.metrics.as_ref().map(PrometheusHandle::render).unwrap_or_default();
                plain(StatusCode::OK, "text/plain; version=0.0.4", text)
            }
            _ => plain(StatusCode::OK, "application/json", "{\"status\":\"ok\"}".to_owned()),
        }
    }

    async fn ready(&self) -> Response<ResponseBody> {
        let store = match &self.store {
            Some(store) => tokio::time::timeout(READY_TIMEOUT, store.exists(&Owner::anonymous(), ResponseId::root()))
                .await
                .is_ok_and(|answer| answer.is_ok()),
            None => true,
        };
        let upstream = match Request::get("/v1/models").body(RequestBody::empty()) {
            Ok(request) => match tokio::time::timeout(READY_TIMEOUT, self.upstream.clone().call(request)).await {
                Ok(Ok(response)) => !response.status().is_server_error(),
                Ok(Err(never)) => match never {},
                Err(_) => false,
            },
            Err(_) => false,
        };
        let status = if store && upstream { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        plain(status, "application/json", format!("{{\"store\":{store},\"upstream\":{upstream}}}"))
    }
}

fn plain(status: StatusCode, kind: &'static str, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(bytes::Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

impl<S, B> Service<Request<B>> for Admin<S>
where
    S: Service<Request<B>, Response = Response<ResponseBody>, Error = Infallible>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<S::Future, Answer>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.admin.answers(&request) {
            let (admin, path) = (self.admin.clone(), request.uri().path().to_owned());
            return Either::Right(Box::pin(async move { Ok(admin.answer(&path).await) }));
        }
        Either::Left(self.inner.call(request))
    }
}
