//! How often a stack parses a request, for each way to compose two layers that edit it.
//!
//! | composition | parsed |
//! |---|---|
//! | layers in one `ServiceBuilder`, over `Full<Bytes>`, hyper's `Incoming`, axum's `Body` | once |
//! | the same as one `Router::layer` | once |
//! | an inner service that takes axum's `Body` only, behind an adapter | once |
//! | two `Router::layer` calls: axum boxes the body at the `Route` between | twice, counted |
//! | axum's `from_fn` between (it takes axum's `Body` only, so it needs an adapter) | twice, counted |
//! | any other box between | twice, counted |
//! | an inner service that takes `Incoming` only | does not compile: nobody can make an `Incoming` |

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use axum::{Router, body::Body as AxumBody, middleware, routing::post};
use bytes::Bytes;
use http::{Extensions, Request, Response, request, response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, layer::layer_fn, service_fn};
use tower_responses_core::{
    ApiError, BodyUse, BoxError, RequestBody,
    json::Object,
    rewrite::{Rewrite, RewriteRequest, RewriteResponse},
    sse::{Event, EventFilter, Events},
};

const SENT: &str = r#"{ "model":"m", "input": [ {"n":1.0} ] }"#;
const ARRIVED: &str = r#"{ "model":"m", "input": [ {"n":1.0} ] ,"outer":true,"inner":true}"#;

/// Adds a member to the request.
#[derive(Debug, Clone, Copy)]
struct Mark(&'static str);

impl RewriteRequest for Mark {
    type Response = Self;

    fn rewrite(&self, _: &mut request::Parts, body: &mut Object) -> Result<Option<Self>, ApiError> {
        body.set(self.0, tower_responses_core::json::Value::bool(true));
        Ok(Some(*self))
    }
}

impl EventFilter for Mark {
    fn event(&mut self, event: Event, next: &mut Events) {
        next.push(event);
    }
}

impl RewriteResponse for Mark {
    fn object(&mut self, _: &mut response::Parts, _: &mut Object) -> Result<(), ApiError> {
        Ok(())
    }
}

fn mark<S>(name: &'static str) -> impl Layer<S, Service = Rewrite<S, Mark>> + Clone {
    layer_fn(move |inner| Rewrite::new(inner, Mark(name)))
}

/// Answers with how often the body was parsed, and the body.
async fn answer<B>(extensions: Extensions, body: B) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let uses = extensions.get::<BodyUse>().copied().unwrap_or_default();
    let body = body.collect().await.map_err(Into::into).unwrap().to_bytes();
    Response::new(Full::from([format!("{}:", uses.parsed).as_bytes(), &body[..]].concat()))
}

async fn upstream(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    Ok(answer(head.extensions, body).await)
}

async fn handler(request: Request<AxumBody>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    answer(head.extensions, body).await
}

async fn fixed(request: Request<AxumBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(handler(request).await)
}

async fn send<S, B, R>(service: S, body: B) -> String
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: std::fmt::Debug,
    R: Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    let request = Request::post("/v1/responses").header("content-type", "application/json").body(body).unwrap();
    let response = service.oneshot(request).await.unwrap();
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn once() -> String {
    format!("1:{ARRIVED}")
}

fn twice() -> String {
    format!("2:{ARRIVED}")
}

#[tokio::test]
async fn one_stack_over_full() {
    let stack = ServiceBuilder::new().layer(mark("outer")).layer(mark("inner")).service(service_fn(upstream));
    assert_eq!(send(stack, Full::from(SENT)).await, once());
}

#[tokio::test]
async fn one_stack_over_incoming() {
    let stack = ServiceBuilder::new().layer(mark("outer")).layer(mark("inner")).service(service_fn(upstream));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(stack);
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    });
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::post(format!("http://{address}/v1/responses")).body(Full::from(SENT)).unwrap();
    let body = client.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, once());
}

#[tokio::test]
async fn one_stack_over_axum() {
    let stack = ServiceBuilder::new().layer(mark("outer")).layer(mark("inner")).service(service_fn(upstream));
    assert_eq!(send(stack, AxumBody::from(SENT)).await, once());
}

#[tokio::test]
async fn one_router_layer() {
    let stack = ServiceBuilder::new().layer(mark("outer")).layer(mark("inner"));
    let router = Router::new().route("/v1/responses", post(handler)).layer(stack);
    assert_eq!(send(router, AxumBody::from(SENT)).await, once());
}

#[tokio::test]
async fn two_router_layers() {
    let router = Router::new().route("/v1/responses", post(handler)).layer(mark("inner")).layer(mark("outer"));
    assert_eq!(send(router, AxumBody::from(SENT)).await, twice());
}

#[tokio::test]
async fn from_fn_between() {
    async fn pass(request: axum::extract::Request, next: middleware::Next) -> axum::response::Response {
        next.run(request).await
    }
    let stack = ServiceBuilder::new()
        .layer(mark("outer"))
        .map_request(|request: Request<RequestBody>| request.map(AxumBody::new))
        .layer(middleware::from_fn(pass))
        .layer(mark("inner"));
    let router = Router::new().route("/v1/responses", post(handler)).layer(stack);
    assert_eq!(send(router, AxumBody::from(SENT)).await, twice());
}

#[tokio::test]
async fn a_box_between() {
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let stack = ServiceBuilder::new()
        .layer(mark("outer"))
        .map_request(|request: Request<RequestBody>| request.map(|body| body.boxed_unsync()))
        .layer(mark("inner"))
        .service(service_fn(upstream));
    assert_eq!(send(stack, Full::from(SENT)).await, twice());
    drop(guard);
    let counted = snapshotter.snapshot().into_vec();
    let counted = counted.iter().find(|(key, ..)| key.key().name() == "tower_responses_request_parsed_again_total");
    assert_eq!(counted.expect("the second parse is counted").3, metrics_util::debugging::DebugValue::Counter(1));
}

#[tokio::test]
async fn an_inner_service_of_a_fixed_body_behind_an_adapter() {
    let stack = ServiceBuilder::new()
        .layer(mark("outer"))
        .layer(mark("inner"))
        .map_request(|request: Request<RequestBody>| request.map(AxumBody::new))
        .service(service_fn(fixed));
    assert_eq!(send(stack, Full::from(SENT)).await, once());
}

/// "Written once": what no layer edits is still the client's own memory when it arrives.
#[tokio::test]
async fn untouched_members_arrive_in_the_memory_they_came_in() {
    let item = format!("{{\"text\":\"{}\"}}", "x".repeat(100_000));
    let sent = Bytes::from(format!("{{\"input\":[{item}],\"model\":\"m\"}}"));
    let memory = sent.as_ptr() as usize..sent.as_ptr() as usize + sent.len();
    let upstream = service_fn(move |request: Request<RequestBody>| {
        let memory = memory.clone();
        async move {
            let mut body = request.into_body();
            let mut shared = 0;
            while let Some(frame) = body.frame().await {
                let data = frame.unwrap().into_data().unwrap();
                if memory.contains(&(data.as_ptr() as usize)) {
                    shared += data.len();
                }
            }
            assert!(shared > 100_000, "{shared} bytes are shared");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let stack = ServiceBuilder::new().layer(mark("outer")).layer(mark("inner")).service(upstream);
    send(stack, Full::from(sent)).await;
}

/// What hyper, axum and pingora's `ServerApp` ask of a service that they share between connections.
#[test]
fn services_are_shareable() {
    fn check<T: Clone + Send + Sync + 'static>(_: &T) {}
    let stack = ServiceBuilder::new().layer(mark("outer")).layer(mark("inner")).service(service_fn(upstream));
    check(&stack);
    fn check_future<F: Future + Send>(_: F) {}
    check_future(stack.oneshot(Request::new(Full::<Bytes>::default())));
}

/// A body is measured when its length is asked for: what is changed after that counts.
#[tokio::test]
async fn a_body_that_was_measured_can_still_be_changed() {
    let mut body = RequestBody::from(Object::parse(r#"{"model":"a"}"#.into()).unwrap());
    body.object_mut().unwrap().set("model", "b");
    assert_eq!(body.size_hint().exact(), Some(13));
    body.object_mut().unwrap().set("model", "a longer one");
    assert_eq!(body.size_hint().exact(), Some(24));
    let text = body.collect().await.unwrap().to_bytes();
    assert_eq!(text, r#"{"model":"a longer one"}"#);
}
