//! A tower Layer that turns every tool and history item into what a function-only upstream accepts.
//!
//! Clients of the Responses API declare namespaces, custom tools and a tool search, and send calls
//! of them back in their history. Most servers of one's own know `function` tools and nothing
//! else. [`ToolNormalizeLayer`] rewrites each request so that such a server understands it, and
//! leaves a [`ToolMap`](tower_responses_core::ToolMap) in the request's extensions, from which the
//! calls in the answer can be turned back into what the client declared.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_responses_core::{RequestBody, ToolMap};
//! use tower_responses_tool_normalize::ToolNormalizeLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let upstream = service_fn(|request: Request<RequestBody>| async move {
//!     let map = request.extensions().get::<ToolMap>().unwrap();
//!     assert_eq!(map.get("mcp__fs__read").unwrap().namespace(), Some("mcp__fs"));
//!     let body = request.into_body().collect().await.unwrap().to_bytes();
//!     assert_eq!(body, r#"{"input":"hi","tools":[{"type":"function","name":"mcp__fs__read"}]}"#);
//!     Ok::<_, Infallible>(Response::new(String::new()))
//! });
//! let service = ToolNormalizeLayer::new().layer(upstream);
//!
//! let tools = r#"[{"type":"namespace","name":"mcp__fs","tools":[{"type":"function","name":"read"}]},{"type":"web_search"}]"#;
//! let request = Request::post("/v1/responses").body(Full::from(format!(r#"{{"input":"hi","tools":{tools}}}"#))).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! assert_eq!(response.headers()["x-tower-responses-dropped-tools"], "web_search");
//! # }
//! ```
//!
//! What is not a tool and not a history item is not touched: a request that has only `function`
//! tools leaves byte for byte as it came. [`Normalizer`] does the same work without any IO.
//!
//! # The names of tools
//! A plain function keeps its own name, also where another tool of its list that has the same name
//! was declared before it. A namespaced tool is called `namespace__member` upstream where that is a
//! legal name (`[a-zA-Z0-9_-]`, at most 64) and free; else a readable part of it with a hash. Among
//! these who was declared first keeps the name. The same declarations always give the same names,
//! whatever the lists bring that come after them: the prefix caches of the upstream live from that.

mod catalog;
mod choice;
mod function;
mod future;
mod history;
mod include;
mod layer;
mod names;
mod normalizer;
mod policy;
mod recent;
mod schema;
#[cfg(test)]
mod spec;

pub use self::{
    future::ToolNormalizeFuture,
    layer::{DROPPED_TOOLS, ToolNormalize, ToolNormalizeLayer},
    normalizer::{Normalized, Normalizer},
    policy::{EncryptedReasoning, HostedItems, NamespaceDescriptions, Policy, Strict, ToolPolicies, UndeclaredCalls},
};
