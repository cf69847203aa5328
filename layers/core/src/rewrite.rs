//! A layer that reads a request, changes it, and changes the response to it.
//!
//! Say what is to be changed with [`RewriteRequest`] and [`RewriteResponse`]; [`Rewrite`] is the
//! service around it. Our own layers are made this way, and so can be yours:
//!
//! ```
//! use http::{Method, Request, Response, request, response};
//! use tower_layer::layer_fn;
//! use tower_responses_core::{
//!     ApiError, RequestBody,
//!     json::Object,
//!     rewrite::{Rewrite, RewriteRequest, RewriteResponse},
//!     sse::{Event, EventFilter, Events},
//! };
//!
//! /// Hides how many tokens there were.
//! #[derive(Clone)]
//! struct HideUsage;
//!
//! impl RewriteRequest for HideUsage {
//!     type Response = Self;
//!
//!     fn rewrite(&self, _: &mut request::Parts, body: &mut Object) -> Result<Option<Self>, ApiError> {
//!         body.remove("user");
//!         Ok(Some(HideUsage))
//!     }
//! }
//!
//! impl EventFilter for HideUsage {
//!     fn event(&mut self, mut event: Event, next: &mut Events) {
//!         if event.kind() == "response.completed"
//!             && let Some(response) = event.object_mut().and_then(|event| event.object_mut("response"))
//!         {
//!             response.remove("usage");
//!         }
//!         next.push(event);
//!     }
//! }
//!
//! impl RewriteResponse for HideUsage {
//!     fn object(&mut self, _: &mut response::Parts, object: &mut Object) -> Result<(), ApiError> {
//!         object.remove("usage");
//!         Ok(())
//!     }
//! }
//!
//! # async fn upstream(_: Request<RequestBody>) -> Result<Response<String>, std::convert::Infallible> {
//! #     let body = r#"{"id":"resp_1","usage":{"total_tokens":3}}"#.to_owned();
//! #     Ok(Response::builder().header("content-type", "application/json").body(body).unwrap())
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # use tower::{Layer, ServiceExt};
//! # use http_body_util::{BodyExt, Full};
//! let layer = layer_fn(|inner| Rewrite::new(inner, HideUsage));
//! let service = layer.layer(tower::service_fn(upstream));
//! let request = Request::post("/v1/responses").body(Full::from(r#"{"input":"hi","user":"me"}"#)).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), r#"{"id":"resp_1"}"#);
//! # }
//! ```

mod future;
mod response;
mod service;

#[cfg(test)]
mod tests;

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{request, response as head};

use crate::{ApiError, json::Object, sse::EventFilter};

pub use self::{
    future::RewriteFuture,
    response::{ResponseFuture, RewriteResponseBody},
    service::Rewrite,
};
pub use crate::create::{is_create, is_create_request};

/// Reads and changes requests.
pub trait RewriteRequest {
    /// What changes the response.
    type Response: RewriteResponse + 'static;

    /// Whether a request with this head is read at all. All others pass untouched, streaming.
    fn applies(&self, head: &request::Parts) -> bool {
        is_create(&head.method, head.uri.path())
    }

    /// Changes the request. `None` leaves the response as it comes.
    ///
    /// # Errors
    /// What the client gets instead of an answer of the upstream, which is not asked then.
    fn rewrite(&self, head: &mut request::Parts, body: &mut Object) -> Result<Option<Self::Response>, ApiError>;
}

/// Changes the response to one request: the events if it is a stream, else the object.
pub trait RewriteResponse: EventFilter {
    /// Called whenever the response has been asked for and is not there: time for what takes some
    /// and does not need it. What takes long does a step of it, and wakes the task for the next.
    fn waiting(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Sees the status and the headers of every response first.
    fn head(&mut self, head: &mut head::Parts) {
        let _ = head;
    }

    /// Changes a JSON object, which may be an error: the status tells.
    ///
    /// # Errors
    /// What the client gets instead.
    fn object(&mut self, head: &mut head::Parts, object: &mut Object) -> Result<(), ApiError>;

    /// Changes a body that was announced as JSON and is no object. The `content-length` is that of
    /// the body that came.
    fn text(&mut self, head: &mut head::Parts, text: Bytes) -> Bytes {
        let _ = head;
        text
    }

    /// Asked after [`object`](Self::object) until it is ready: what the object waits for (a write
    /// to a store), as [`EventFilter::poll_flush`] is for events.
    fn poll_object(&mut self, cx: &mut Context<'_>, object: &mut Object) -> Poll<()> {
        let _ = (cx, object);
        Poll::Ready(())
    }
}

/// Bounds on what is held in memory of one exchange, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body. Over it: 413.
    pub request: usize,
    /// The largest JSON response, and the largest event of a stream. Over it: 502, or a stream
    /// that breaks off.
    pub response: usize,
}

impl Default for Limits {
    /// 64 MiB each.
    fn default() -> Self {
        Self { request: 64 << 20, response: 64 << 20 }
    }
}
