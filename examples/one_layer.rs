//! One layer alone, around a service of one's own: here a small reverse proxy on hyper's client,
//! which knows nothing of this crate beside the type of the body that it is given.
//!
//! ```sh
//! UPSTREAM=http://127.0.0.1:8000 LISTEN=127.0.0.1:8080 cargo run --example one_layer --features upstream
//! ```

use std::env;

use http::{Request, Response, Uri, header::HOST};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use tower_responses::{
    BoxError, RequestBody,
    model_alias::{Aliases, ModelAliasLayer},
};

/// Sends a request on to `upstream`.
async fn proxy(
    client: Client<HttpConnector, RequestBody>,
    upstream: Uri,
    mut request: Request<RequestBody>,
) -> Result<Response<Incoming>, BoxError> {
    let mut uri = upstream.into_parts();
    uri.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(uri)?;
    request.headers_mut().remove(HOST);
    Ok(client.request(request).await?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let upstream: Uri = env::var("UPSTREAM").unwrap_or("http://127.0.0.1:8000".to_owned()).parse()?;
    let client: Client<_, RequestBody> = Client::builder(TokioExecutor::new()).build_http();

    // Clients ask for `coder` and read `coder`; the upstream is asked for `qwen3`. The service may
    // fail as it likes: the layer has no errors of its own.
    let service = ServiceBuilder::new()
        .layer(ModelAliasLayer::new(Aliases::new().with("coder", "qwen3")))
        .service(service_fn(move |request| proxy(client.clone(), upstream.clone(), request)));

    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                eprintln!("a connection ended with an error: {error}");
            }
        });
    }
}
