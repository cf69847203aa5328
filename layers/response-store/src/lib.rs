//! `previous_response_id` in front of an upstream that keeps nothing.
//!
//! [`ResponseStoreLayer`] gives each response an id of its own, keeps what it adds to its
//! conversation in a [`ResponseStore`], and sends the upstream the whole conversation when a
//! client continues it. A response is stored before its client sees the end of it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{Layer, ServiceExt};
//! use tower_responses_core::{RequestBody, json::Object};
//! use tower_responses_response_store::{MemoryStore, ResponseStoreLayer};
//!
//! /// An upstream that understands whole conversations only.
//! async fn upstream(request: Request<RequestBody>) -> Result<Response<String>, std::convert::Infallible> {
//!     let body = request.into_body().collect().await.unwrap().to_bytes();
//!     let items = Object::parse(body).unwrap().get("input").unwrap().elements().map_or(1, |items| items.count());
//!     let answer = format!(
//!         r#"{{"object":"response","status":"completed","output":[{{"type":"message","content":"{items} items"}}]}}"#
//!     );
//!     Ok(Response::builder().header("content-type", "application/json").body(answer).unwrap())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let layer = ResponseStoreLayer::new(Arc::new(MemoryStore::default()));
//! let service = layer.layer(tower::service_fn(upstream));
//!
//! let request = Request::post("/v1/responses").body(Full::from(r#"{"input":"hi"}"#)).unwrap();
//! let first = service.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap();
//! let first = Object::parse(first.to_bytes()).unwrap();
//! let id = first.get_str("id").unwrap();
//!
//! let body = format!(r#"{{"input":"go on","previous_response_id":"{id}"}}"#);
//! let request = Request::post("/v1/responses").body(Full::from(body)).unwrap();
//! let second = service.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
//! assert!(std::str::from_utf8(&second).unwrap().contains("3 items"));
//! # }
//! ```
//!
//! # What is kept
//! A response is kept as what it adds: the items of its request, its own items, and what is
//! particular about its response object. Tools, instructions and the part of the object that is
//! the same each time are kept once. Everything is in the shapes in which the client sent and got
//! it, byte for byte.
//!
//! A conversation is kept for a time that counts from its last turn, 30 days by default, and goes
//! as a whole. What belongs to another [`Owner`] is answered like what does not exist.
//!
//! What a client deletes with `DELETE …/responses/{id}` can neither be read nor continued from then
//! on. Where other responses continue it, it stays part of them: it is kept, sent to the upstream
//! when they are continued, and listed among their input items, until the last of them was deleted
//! or has expired. Whoever wants all of a conversation gone deletes each of its responses.
//!
//! # Stores
//! [`open`] chooses by URL.
//!
//! | store | for | what survives the end of the process | what survives a power cut |
//! |---|---|---|---|
//! | `MemoryStore` | tests, demos | nothing | nothing |
//! | `SqliteStore` | one machine | all that a client has seen the end of | the file is whole; with `NORMAL` (the default) all but about the last second, with `FULL` everything |
//! | `PostgresStore` | many gateways | everything | with `synchronous_commit = on` (the server's default) everything |
//! | `RedisStore` | many gateways without a database | everything | what the server's persistence and replication keep |
//!
//! A store that is away costs no answer: what cannot be stored is delivered and says
//! `store: false`; what cannot be continued for now gets 503 with `Retry-After`. A history that is
//! damaged is an error, and never a shorter history.
//!
//! # Features
//! `memory` and `sqlite` (both default), `postgres`, `redis`, `tls` for the last two, `finish` for
//! `FinishLayer`, and `conformance` for the tests that every store has to pass.

mod aged;
mod answer;
mod cache;
#[cfg(feature = "conformance")]
pub mod conformance;
mod create;
#[cfg(feature = "finish")]
mod finish;
mod future;
mod hydrate;
mod id;
mod items;
mod keep;
mod keeper;
mod layer;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod leaves;
mod listing;
#[cfg(feature = "memory")]
mod memory;
mod open;
mod owner;
mod pace;
#[cfg(feature = "postgres")]
mod postgres;
mod recent;
#[cfg(feature = "redis")]
mod redis;
mod references;
mod route;
mod service;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod storing;
mod texts;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod time;
mod turn;

#[cfg(feature = "finish")]
pub use self::finish::{FinishFuture, FinishLayer, FinishService};
#[cfg(feature = "memory")]
pub use self::memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "redis")]
pub use self::redis::{RedisOptions, RedisStore};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteOptions, SqliteStore, Synchronous};
pub use self::{
    future::ResponseStoreFuture,
    id::{Conversation, InvalidId, ResponseId},
    items::{Calls, PendingCall, input_items, is_cut_call},
    layer::ResponseStoreLayer,
    open::{Access, DEFAULT_TTL, StoreOptions, open, open_with},
    owner::Owner,
    service::ResponseStoreService,
    store::{
        Digest, History, ItemKey, MAX_ITEMS, Page, Place, Record, Removed, ResponseStore, Shared, Stats, StoreError,
        StoreErrorKind, StoreFuture, Stored,
    },
    turn::{NewTurn, OutputItem, Turn, TurnInput},
};
