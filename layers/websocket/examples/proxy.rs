//! A WebSocket in front of any server that answers `POST /v1/responses`:
//!
//! ```text
//! cargo run -p tower-responses-websocket --example proxy -- http://127.0.0.1:8000 127.0.0.1:8080
//! ```

use std::{env, error::Error};

use http::{Request, Uri, header::HOST, uri::PathAndQuery};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_responses_core::RequestBody;
use tower_responses_websocket::WebSocketLayer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [_, upstream, address] = <[String; 3]>::try_from(env::args().collect::<Vec<_>>())
        .map_err(|_| "usage: proxy http://UPSTREAM:PORT LISTEN:PORT")?;
    let upstream: Uri = upstream.parse()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<RequestBody>();
    let to_upstream = client.map_request(move |mut request: Request<RequestBody>| {
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let mut uri = upstream.clone().into_parts();
        uri.path_and_query = Some(path);
        *request.uri_mut() = Uri::from_parts(uri).expect("a base and a path");
        request.headers_mut().remove(HOST);
        request
    });
    let service = WebSocketLayer::new().layer(to_upstream);

    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
                eprintln!("{error}");
            }
        });
    }
}
