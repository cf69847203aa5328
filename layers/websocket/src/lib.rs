//! Serves `GET /v1/responses` as a WebSocket on top of a service that answers
//! `POST /v1/responses`.
//!
//! Codex (with `supports_websockets`) and other clients hold one WebSocket for a conversation and
//! send only what is new, going on from a response that is stored nowhere. Each text frame of
//! theirs becomes one request to the service inside; each event of its answer leaves as one text
//! frame. So whatever stands further in, a store, the translation of tools, a log, sees
//! requests as any other and needs to know nothing of WebSockets. It is the outermost layer.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_responses_core::{RequestBody, ResponseBody};
//! use tower_responses_websocket::WebSocketLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let upstream = service_fn(|_: Request<RequestBody>| async {
//!     Ok::<_, Infallible>(Response::new(ResponseBody::from(bytes::Bytes::from("{}"))))
//! });
//! let layer = WebSocketLayer::new();
//! // To end the connections when the process does.
//! let connections = layer.connections();
//! let service = layer.layer(upstream);
//!
//! // A handshake is answered with 101; without one there is 426, after which Codex uses HTTP.
//! let request = Request::get("/v1/responses").body(ResponseBody::empty()).unwrap();
//! assert_eq!(service.oneshot(request).await.unwrap().status(), 426);
//! connections.shutdown().await;
//! # }
//! ```
//!
//! # The server around it
//! It has to let connections be upgraded: `axum::serve` does, with hyper it is
//! `with_upgrades` or
//! `serve_connection_with_upgrades` of hyper-util. Once upgraded, a connection has a task of its
//! own, which the server knows nothing of: [`Connections`] counts and ends them.
//!
//! In axum the layer stands around a router, which then is the
//! [`fallback_service`](https://docs.rs/axum/latest/axum/struct.Router.html#method.fallback_service)
//! of another: `Router::layer` would put it around each handler by itself, and a frame that came
//! in by `GET` could not reach the handler of `POST`.
//!
//! # The protocol
//! As real clients use it, measured with Codex 0.169:
//! - A frame `{"type":"response.create", …}` is the body of a POST. With `"generate": false` it is
//!   answered here, without an upstream; its input and tools are what the next frame goes on from.
//! - `previous_response_id` may name any response of this connection since the last frame without
//!   one ([`Conversation`]); any other id is left to the layers further in.
//! - Frames may be sent ahead; they are answered in order.
//! - Pings are answered. From a client that does not read the answers to 64 of them nothing more is
//!   taken, and after a minute in which it reads nothing its connection is closed.
//! - Events are the JSON that would stand in the SSE stream. Errors that HTTP would tell with a
//!   status are `{"type":"error","status":…,"error":{…}}`, and the connection stays. If the service
//!   inside fails, whatever its error is, the status is 502.
//! - An idle connection is told `websocket_connection_limit_reached` and closed; a server that
//!   ends closes with 1001. permessage-deflate is declined.
//!
//! # Metrics
//! `tower_responses_websocket_connections` (gauge), `tower_responses_websocket_connections_total`,
//! `tower_responses_websocket_requests_total` by `outcome` (`completed`, `failed`, `refused`,
//! `prewarmed`, `client_left`), `tower_responses_websocket_states_forgotten_total`.

mod answer;
mod connection;
mod connections;
mod conversation;
mod counted;
mod frame;
mod handshake;
mod layer;
mod origins;
mod outcome;
mod prewarm;
mod service;
mod socket;

pub use self::{
    connections::Connections,
    conversation::{Begun, Conversation},
    frame::{Create, error_frame, error_frame_from},
    layer::WebSocketLayer,
    outcome::{End, Outcome},
    service::{WebSocket, WebSocketFuture},
};
