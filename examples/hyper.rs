//! The whole stack on a bare hyper server.
//!
//! ```sh
//! UPSTREAM=http://127.0.0.1:8000 LISTEN=127.0.0.1:8080 cargo run --example hyper --features upstream
//! ```

use std::{env, sync::Arc};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_responses::{
    BoxError, ResponsesStack,
    call_restore::CallRestoreLayer,
    model_alias::{Aliases, ModelAliasLayer},
    model_catalog::ModelCatalogLayer,
    response_store::{MemoryStore, ResponseStoreLayer},
    tool_normalize::ToolNormalizeLayer,
    upstream::Upstream,
    upstream_quirks::{Profile, UpstreamQuirksLayer},
    websocket::WebSocketLayer,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let upstream = Upstream::new(env::var("UPSTREAM").unwrap_or("http://127.0.0.1:8000".to_owned()).parse()?);
    let aliases = Aliases::new().with("coder", "qwen3");
    let websocket = WebSocketLayer::new();
    // A connection that became a WebSocket is no longer hyper's: this counts and ends them.
    let connections = websocket.connections();

    // The order of the calls does not matter: the stack knows which layer goes where.
    let service = ResponsesStack::new()
        .websocket(websocket)
        .store(ResponseStoreLayer::new(Arc::new(MemoryStore::default())))
        .catalog(ModelCatalogLayer::new().aliases(aliases.names()))
        .alias(ModelAliasLayer::new(aliases))
        .tools(ToolNormalizeLayer::new(), CallRestoreLayer::new())
        .quirks(UpstreamQuirksLayer::new(Profile::Vllm))
        .layer(upstream);

    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let http = Builder::new(TokioExecutor::new());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = tokio::signal::ctrl_c() => break,
        };
        // Events are small, and each of them is waited for.
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("a connection ended with an error: {error}");
            }
        });
    }
    connections.shutdown().await;
    Ok(())
}
