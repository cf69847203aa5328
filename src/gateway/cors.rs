//! Which pages of other sites may ask here. The list of the settings decides, over HTTP and over
//! WebSockets alike, and nobody else: what an upstream says of it does not pass.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::{
    TryFutureExt,
    future::{Either, MapOk, Ready, ready},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN},
};
use tower_http::cors::{Any, CorsLayer};
use tower_layer::Layer;
use tower_responses_core::{ApiError, ResponseBody};
use tower_service::Service;

use super::{ConfigError, Settings};
use crate::websocket::WebSocketLayer;

const ANY: &str = "*";

fn is_any(settings: &Settings) -> bool {
    settings.cors.iter().any(|origin| origin == ANY)
}

/// Answers preflights and says who may read the answers. `None` if no other origin is allowed.
///
/// # Errors
/// Where the settings name something that is no origin.
pub(super) fn layer(settings: &Settings) -> Result<Option<CorsLayer>, ConfigError> {
    // A wildcard does not stand for `Authorization`.
    let headers = [AUTHORIZATION, HeaderName::from_static(ANY)];
    let layer = CorsLayer::new().allow_methods(Any).allow_headers(headers).expose_headers(Any);
    if settings.cors.is_empty() {
        return Ok(None);
    }
    if is_any(settings) {
        return Ok(Some(layer.allow_origin(Any)));
    }
    let origins = settings.cors.iter().map(|origin| parse(origin)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(layer.allow_origin(origins)))
}

/// Reads an origin as browsers spell it: anything else would never be met.
fn parse(origin: &str) -> Result<HeaderValue, ConfigError> {
    let is_origin = origin == "null"
        || origin.split_once("://").is_some_and(|(scheme, authority)| {
            !scheme.is_empty() && !authority.is_empty() && !authority.contains(['/', '?', '#', '@', '*'])
        }) && origin.parse::<Uri>().is_ok();
    let value = HeaderValue::from_str(origin).ok().filter(|_| is_origin);
    value.ok_or_else(|| {
        ConfigError::new(format!("cors: '{origin}' is no origin: it has to be like https://app.example, or *"))
    })
}

/// Lets pages of the same origins open WebSockets.
pub(super) fn websocket(layer: WebSocketLayer, settings: &Settings) -> WebSocketLayer {
    if is_any(settings) { layer.any_origin() } else { layer.allow_origins(&settings.cors) }
}

/// Keeps upstreams from saying to browsers who may ask: no preflight reaches one, and none of its
/// CORS headers leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoUpstreamCorsLayer;

impl<S> Layer<S> for NoUpstreamCorsLayer {
    type Service = NoUpstreamCors<S>;

    fn layer(&self, inner: S) -> NoUpstreamCors<S> {
        NoUpstreamCors { inner }
    }
}

/// Service of [`NoUpstreamCorsLayer`].
#[derive(Debug, Clone)]
pub(super) struct NoUpstreamCors<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for NoUpstreamCors<S>
where
    S: Service<Request<B>, Response = Response<ResponseBody>, Error = Infallible>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future =
        Either<MapOk<S::Future, fn(S::Response) -> S::Response>, Ready<Result<Response<ResponseBody>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_preflight(request.method(), request.headers()) {
            let message = "pages of other origins may not ask here: --cors allows an origin";
            let error = ApiError::new(StatusCode::FORBIDDEN, message).code("origin_not_allowed");
            return Either::Right(ready(Ok(error.into_response())));
        }
        Either::Left(self.inner.call(request).map_ok(without_cors_headers))
    }
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn without_cors_headers(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    let is_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let headers = response.headers_mut();
    // Mostly there is none.
    while let Some(name) = headers.keys().find(is_cors).cloned() {
        headers.remove(name);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_spelled_as_browsers_do() {
        for origin in
            ["https://app.example", "http://localhost:3000", "http://[::1]:1", "chrome-extension://abc", "null"]
        {
            assert_eq!(parse(origin).unwrap(), origin);
        }
        for origin in
            ["", "app.example", "https://app.example/", "https://a@b", "https://*.example", "://a", "a://", "é"]
        {
            assert!(parse(origin).unwrap_err().to_string().starts_with("cors: "), "{origin}");
        }
    }

    #[test]
    fn one_wildcard_among_origins_allows_all() {
        let settings =
            |cors: &[&str]| Settings { cors: cors.iter().map(|o| (*o).to_owned()).collect(), ..Settings::default() };
        assert!(layer(&settings(&["https://app.example", "*"])).unwrap().is_some());
        assert!(layer(&settings(&[])).unwrap().is_none());
    }
}
