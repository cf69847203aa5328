//! The layers around handlers of one's own, in an axum application with other routes and a state.
//!
//! ```sh
//! UPSTREAM=http://127.0.0.1:8000 LISTEN=127.0.0.1:8080 cargo run --example axum --features upstream
//! ```

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_responses::{
    BoxError, ResponsesStack,
    call_restore::CallRestoreLayer,
    model_alias::{Aliases, ModelAliasLayer},
    model_catalog::ModelCatalogLayer,
    response_store::{MemoryStore, ResponseStoreLayer},
    tool_normalize::ToolNormalizeLayer,
    upstream::Upstream,
    upstream_quirks::{Profile, UpstreamQuirksLayer},
};

/// The application's own.
#[derive(Clone)]
struct App {
    upstream: Upstream,
    asked: Arc<AtomicUsize>,
}

/// A handler like any other. What it gets is what the layers have made of the request, and what it
/// gives back they make into what the client expects.
async fn ask(State(app): State<App>, request: Request) -> Response {
    app.asked.fetch_add(1, Ordering::Relaxed);
    match app.upstream.oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

async fn asked(State(app): State<App>) -> String {
    app.asked.load(Ordering::Relaxed).to_string()
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let upstream = Upstream::new(env::var("UPSTREAM").unwrap_or("http://127.0.0.1:8000".to_owned()).parse()?);
    let app = App { upstream, asked: Arc::default() };
    let aliases = Aliases::new().with("coder", "qwen3");
    let stack = ResponsesStack::new()
        .store(ResponseStoreLayer::new(Arc::new(MemoryStore::default())))
        .catalog(ModelCatalogLayer::new().aliases(aliases.names()))
        .alias(ModelAliasLayer::new(aliases))
        .tools(ToolNormalizeLayer::new(), CallRestoreLayer::new())
        .quirks(UpstreamQuirksLayer::new(Profile::Vllm));

    // `Router::layer` puts the layers around each route by itself. That does for all of them but
    // the WebSocket, whose frames have to reach another route than the one they came in by: with
    // it, make the layered router the `fallback_service` of an outer one.
    let responses = Router::new()
        .route("/v1/responses", any(ask))
        .route("/v1/responses/{id}", any(ask))
        .route("/v1/models", get(ask))
        .route("/v1/models/{*id}", get(ask))
        .layer(ServiceBuilder::new().layer(stack));
    let router = Router::new().route("/asked", get(asked)).merge(responses).with_state(app);

    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
