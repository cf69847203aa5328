//! The layer around a router of axum.

use axum::{Router, response::IntoResponse, routing};
use serde_json::json;
use tower::Layer;
use tower_responses_core::RequestBody;
use tower_responses_websocket::WebSocketLayer;

use crate::common::*;

async fn answer(body: String) -> impl IntoResponse {
    assert!(body.contains("\"stream\":true"), "{body}");
    stream(said(1, "from axum"))
}

#[tokio::test]
async fn a_router_can_be_inside() {
    let routes = Router::new().route("/v1/responses", routing::post(answer).get(|| async { "not reached" }));
    let layer = WebSocketLayer::new();
    let connections = layer.connections();
    let app = Router::new().fallback_service(layer.layer(routes.into_service::<RequestBody>()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let server = Server { address, connections, seen: Seen::default() };
    let mut client = Client::new(&server).await;
    let last = client.ask(&create(json!({"input": "x"}))).await;
    assert_eq!(last["response"]["output"][0], message(1, "from axum"));
    assert_eq!(server.connections.open(), 1);
}
