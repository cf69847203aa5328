//! In front of an OpenAI-compatible proxy that runs already, such as LiteLLM, and that keeps doing
//! what it does: keys, budgets, routing. It only gets to see tools that it understands.
//!
//! ```sh
//! UPSTREAM=http://127.0.0.1:4000 LISTEN=127.0.0.1:8080 cargo run --example existing_proxy --features upstream
//! ```

use std::env;

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
    model_catalog::ModelCatalogLayer,
    tool_normalize::ToolNormalizeLayer,
    upstream::Upstream,
    upstream_quirks::{Profile, UpstreamQuirksLayer},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // The client's Authorization goes on to the proxy, whose keys they are.
    let proxy = Upstream::new(env::var("UPSTREAM").unwrap_or("http://127.0.0.1:4000".to_owned()).parse()?);

    // No aliases and no store: names and conversations are the proxy's business. Every other
    // route of the proxy passes through as it is.
    let service = ResponsesStack::new()
        .catalog(ModelCatalogLayer::new())
        .tools(ToolNormalizeLayer::new(), CallRestoreLayer::new())
        // Nothing is known of what stands behind the proxy.
        .quirks(UpstreamQuirksLayer::new(Profile::Generic))
        .layer(proxy);

    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("a connection ended with an error: {error}");
            }
        });
    }
}
