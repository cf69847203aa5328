//! What the layers can be put around and into, for the compiler: any body that has bytes, any
//! error, every router and server that takes tower services, boxed or not. Each layer alone, and
//! the stack. What is written here needs no adapter.

#![cfg(feature = "stack")]
#![allow(dead_code, reason = "it is enough that it compiles")]

use std::{
    convert::Infallible,
    fmt,
    future::{Pending, pending},
    marker::PhantomData,
    task::{Context, Poll},
};

use axum::{Router, body::Body as AxumBody, routing::post};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{
    Full,
    combinators::{BoxBody, UnsyncBoxBody},
};
use hyper::body::Incoming;
use hyper_util::service::TowerToHyperService;
use tower::{
    Layer, Service, ServiceBuilder,
    util::{BoxCloneService, BoxCloneSyncService, BoxService},
};
use tower_responses::{
    BoxError, RequestBody, ResponseBody, ResponsesStack,
    call_restore::CallRestoreLayer,
    model_alias::{Aliases, ModelAliasLayer},
    model_catalog::ModelCatalogLayer,
    response_store::ResponseStoreLayer,
    tool_normalize::ToolNormalizeLayer,
    upstream_quirks::{Profile, UpstreamQuirksLayer},
    websocket::WebSocketLayer,
};

/// Somebody's service, with the body and the error that they like, for requests with ours.
struct Theirs<R, E>(PhantomData<fn() -> (R, E)>);

/// One for requests with any body.
struct Any<R, E>(PhantomData<fn() -> (R, E)>);

macro_rules! service {
    ($name:ident, $body:ty $(, $any:ident)?) => {
        impl<R, E> $name<R, E> {
            fn new() -> Self {
                Self(PhantomData)
            }
        }

        impl<R, E> Clone for $name<R, E> {
            fn clone(&self) -> Self {
                Self::new()
            }
        }

        impl<R, E $(, $any)?> Service<Request<$body>> for $name<R, E> {
            type Response = Response<R>;
            type Error = E;
            type Future = Pending<Result<Response<R>, E>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: Request<$body>) -> Self::Future {
                pending()
            }
        }
    };
}

service!(Theirs, RequestBody);
service!(Any, B, B);

/// An error that is nobody else's.
#[derive(Debug)]
struct OwnError;

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("own")
    }
}

impl std::error::Error for OwnError {}

/// One that is no error to anybody else, and cannot even be shown or sent.
struct PlainError(PhantomData<*const ()>);

/// Takes this body, gives ours, and fails as the service inside does.
fn takes<B, S, E>(_: &S)
where
    S: Service<Request<B>, Response = Response<ResponseBody>, Error = E> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
}

fn takes_every_body<S, E>(service: &S)
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = E, Future: Send>
        + Service<Request<Full<Bytes>>, Response = Response<ResponseBody>, Error = E, Future: Send>
        + Service<Request<Incoming>, Response = Response<ResponseBody>, Error = E, Future: Send>
        + Service<Request<AxumBody>, Response = Response<ResponseBody>, Error = E, Future: Send>
        + Service<Request<BoxBody<Bytes, Infallible>>, Response = Response<ResponseBody>, Error = E, Future: Send>
        + Service<Request<UnsyncBoxBody<Bytes, BoxError>>, Response = Response<ResponseBody>, Error = E, Future: Send>
        + Service<Request<UnsyncBoxBody<Bytes, OwnError>>, Response = Response<ResponseBody>, Error = E, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    takes::<Incoming, S, E>(service);
}

/// axum, hyper and boxes take it, with the error of a service that does not fail.
fn is_taken<L, S>(layer: L, service: S)
where
    L: Layer<axum::routing::Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request<AxumBody>, Response = Response<ResponseBody>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    S: Service<Request<AxumBody>, Response = Response<ResponseBody>, Error = Infallible, Future: Send>
        + Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let route = post(|| async {});
    let _: Router = Router::new().route("/v1/responses", route.clone()).layer(layer.clone());
    let _: Router = Router::new().route("/v1/responses", route.clone()).route_layer(layer.clone());
    let _: Router = Router::new().route("/v1/responses", route.clone().layer(layer.clone()));
    let in_a_builder = ServiceBuilder::new().layer(layer);
    let _: Router = Router::new().route("/v1/responses", route).layer(in_a_builder);
    let _: Router = Router::new().route_service("/v1/responses", service.clone()).fallback_service(service.clone());

    fn serves<S, B>(service: S)
    where
        S: hyper::service::Service<Request<Incoming>, Response = Response<B>>,
        B: Body,
    {
        drop(service);
    }
    serves(TowerToHyperService::new(service.clone()));
    let _ = BoxService::<Request<Incoming>, _, _>::new(service.clone());
    let _ = BoxCloneService::<Request<Incoming>, _, _>::new(service.clone());
    let _ = BoxCloneSyncService::<Request<Incoming>, _, _>::new(service);
}

/// What stands inside may have any body and any error, and may be boxed.
macro_rules! compose {
    ($layer:expr) => {{
        let layer = $layer;
        let boxed = BoxCloneSyncService::new(Theirs::<Full<Bytes>, OwnError>::new());
        takes_every_body::<_, OwnError>(&layer.layer(boxed));
        compose!(layer, Theirs);
    }};
    ($layer:expr, $inner:ident) => {{
        let layer = $layer;
        takes_every_body::<_, Infallible>(&layer.layer($inner::<Full<Bytes>, Infallible>::new()));
        takes_every_body::<_, BoxError>(&layer.layer($inner::<ResponseBody, BoxError>::new()));
        takes_every_body::<_, hyper::Error>(&layer.layer($inner::<Incoming, hyper::Error>::new()));
        takes_every_body::<_, OwnError>(&layer.layer($inner::<UnsyncBoxBody<Bytes, OwnError>, OwnError>::new()));
        takes_every_body::<_, OwnError>(&layer.layer($inner::<BoxBody<Bytes, BoxError>, OwnError>::new()));
        takes_every_body::<_, PlainError>(&layer.layer($inner::<Full<Bytes>, PlainError>::new()));
        takes_every_body::<_, Infallible>(&layer.layer($inner::<AxumBody, Infallible>::new()));
        let built = ServiceBuilder::new().layer(layer.clone()).service($inner::<Full<Bytes>, Infallible>::new());
        is_taken(layer, built);
    }};
}

fn quirks() -> UpstreamQuirksLayer {
    UpstreamQuirksLayer::new(Profile::Vllm)
}

fn alias() -> ModelAliasLayer {
    ModelAliasLayer::new(Aliases::new())
}

#[test]
fn each_layer_alone() {
    compose!(alias());
    compose!(ToolNormalizeLayer::new());
    // Does nothing to requests: the service inside takes what comes.
    compose!(CallRestoreLayer::new(), Any);
    compose!(ResponseStoreLayer::disabled());
    compose!(ModelCatalogLayer::new());
    compose!(quirks());
    compose!(WebSocketLayer::disabled());
}

#[test]
fn the_stack() {
    compose!(ResponsesStack::new());
    compose!(ResponsesStack::new().tools(ToolNormalizeLayer::new(), CallRestoreLayer::new()));
    compose!(
        ResponsesStack::new()
            .websocket(WebSocketLayer::disabled())
            .store(ResponseStoreLayer::disabled())
            .catalog(ModelCatalogLayer::new())
            .alias(alias())
            .tools(ToolNormalizeLayer::new(), CallRestoreLayer::new())
            .quirks(quirks())
    );
}

#[test]
fn the_stack_by_hand() {
    compose!(
        ServiceBuilder::new()
            .layer(WebSocketLayer::disabled())
            .layer(ResponseStoreLayer::disabled())
            .layer(ModelCatalogLayer::new())
            .layer(alias())
            .layer(ToolNormalizeLayer::new())
            .layer(CallRestoreLayer::new())
            .layer(quirks())
            .into_inner()
    );
}
