//! The service at the bottom of the stack: it asks an upstream over HTTP.
//!
//! Connections are kept and used again, but not for as long as vLLM keeps them (5 seconds). A
//! connection that cannot be made is tried again a few times. A request that was sent over a new
//! connection is never sent twice. One that was sent over a kept connection is sent once more if
//! that ends before the first byte of an answer, unless
//! [`retry_dead_connections`](UpstreamConfig::retry_dead_connections) forbids it.
//!
//! ```no_run
//! use http::Request;
//! use tower::ServiceExt;
//! use tower_responses::{RequestBody, upstream::Upstream};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let upstream = Upstream::new("http://127.0.0.1:8000".parse()?);
//! let request = Request::get("/v1/models").body(RequestBody::empty())?;
//! let response = upstream.oneshot(request).await?;
//! # Ok(())
//! # }
//! ```

mod again;
mod answer;
mod any_client;
mod connect;
mod failure;
mod headers;
mod pool;
mod relay;
mod roots;
mod service;
mod target;
mod timed_body;
mod upload;
mod watched;

#[cfg(feature = "gateway")]
pub(crate) use self::{failure::Unanswered, service::Deadline};
pub use self::{
    roots::{BadRoots, TrustedRoots},
    service::{Upstream, UpstreamConfig, UpstreamFuture},
    target::{BadUrl, UpstreamUrl},
};
