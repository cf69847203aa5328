//! The yardstick: a reverse proxy that reads nothing of what it passes on.
//!
//! `proxy PORT UPSTREAM_PORT`

use std::error::Error;

use http::{
    Request, Uri,
    uri::{Authority, Scheme},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, ResponseFuture, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut ports = std::env::args().skip(1);
    let (port, upstream) = ports.next().zip(ports.next()).ok_or("usage: proxy PORT UPSTREAM_PORT")?;
    let upstream: Authority = format!("127.0.0.1:{upstream}").parse()?;
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;

    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), upstream.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| pass(request, upstream.clone(), &client));
            // A client that hangs up is none of our concern.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn pass(
    mut request: Request<Incoming>,
    upstream: Authority,
    client: &Client<HttpConnector, Incoming>,
) -> ResponseFuture {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    (parts.scheme, parts.authority) = (Some(Scheme::HTTP), Some(upstream));
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    client.request(request)
}
