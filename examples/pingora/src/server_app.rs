//! The layers as a pingora service: a [`ServerApp`] that lets hyper speak HTTP on pingora's
//! connections.
//!
//! Pingora accepts, hands over its `Stream`, and says when to end; hyper serves the tower stack on
//! it, HTTP/1.1 and HTTP/2 alike. A client that leaves drops the call of the upstream, since
//! nothing between the two is spawned or queued.
//!
//! ```sh
//! cargo run --bin server_app -- --upstream http://127.0.0.1:8000
//! ```

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use pingora_core::{apps::ServerApp, protocols::Stream, server::ShutdownWatch, services::listening};
use tower::{Layer, Service, ServiceExt};
use tower_responses::{
    BodyUse, RequestBody, ResponseBody, ResponsesStack,
    call_restore::CallRestoreLayer,
    model_alias::{Aliases, ModelAliasLayer},
    response_store::{MemoryStore, ResponseStoreLayer},
    tool_normalize::ToolNormalizeLayer,
    upstream::Upstream,
    upstream_quirks::{Profile, UpstreamQuirksLayer},
    websocket::WebSocketLayer,
};

/// For the head of a request to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

fn main() {
    let (options, mut server) = tower_responses_example_pingora::start();
    let upstream = Upstream::new(options.upstream).map_request(tell_parses);
    let service = ResponsesStack::new()
        .websocket(WebSocketLayer::new())
        .store(ResponseStoreLayer::new(Arc::new(MemoryStore::default())))
        .alias(ModelAliasLayer::new(Aliases::new().with("coder", "qwen3")))
        .tools(ToolNormalizeLayer::new(), CallRestoreLayer::new())
        .quirks(UpstreamQuirksLayer::new(Profile::Vllm))
        .layer(upstream);
    let mut listening = listening::Service::new("responses".to_owned(), ResponsesApp::new(service));
    listening.add_tcp(&options.listen);
    server.add_service(listening);
    server.run_forever();
}

/// Stands for a layer of your own, innermost: it tells the upstream how often the layers around it
/// have parsed the body. That is once, however many they are.
fn tell_parses(mut request: Request<RequestBody>) -> Request<RequestBody> {
    let uses = request.extensions().get::<BodyUse>().copied().unwrap_or_default();
    request.headers_mut().insert(HeaderName::from_static("x-body-parses"), HeaderValue::from(uses.parsed));
    request
}

/// Serves any tower service that hyper could serve on pingora's connections.
struct ResponsesApp<S> {
    service: S,
    http: Builder<TokioExecutor>,
}

impl<S> ResponsesApp<S> {
    fn new(service: S) -> Self {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        Self { service, http }
    }
}

#[async_trait]
impl<S> ServerApp for ResponsesApp<S>
where
    S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let service = TowerToHyperService::new(self.service.clone());
        let mut connection = pin!(self.http.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let mut shutdown = shutdown.clone();
        let ending = async { drop(shutdown.wait_for(|ending| *ending).await) };
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = ending => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(error, "a connection ended with an error");
        }
        // Hyper has served all requests that came on it: there is nothing left to give back.
        None
    }
}
