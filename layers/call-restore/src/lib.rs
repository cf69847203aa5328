//! A tower layer that turns the function calls of an upstream back into the calls that the client
//! declared.
//!
//! Clients declare tools in more shapes than most model servers know: functions within a
//! namespace, custom tools that take free text, a search for further tools. Towards the upstream
//! they are all functions. Here the calls become again what the client can run, in JSON answers
//! and, event by event, in streams:
//!
//! - `function_call` gets its `namespace` and its own `name`, wherever the name occurs;
//! - `custom_tool_call` gets its text as `input`, decoded while it streams, in events of its own;
//! - `tool_search_call` gets its `arguments` as an object;
//! - every call has an `id`, a `call_id` and a `status`;
//! - a call that was cut is listed as incomplete and never shown as done: clients run what is done;
//! - `tools` and `tool_choice` are echoed as the client declared them.
//!
//! What an upstream has restored itself stays, and what is unknown passes, byte for byte.
//!
//! What was made of which tool says the [`ToolMap`](tower_responses_core::ToolMap) in the
//! extensions of the request. The layer that normalizes the request puts it there, further out;
//! so can you:
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt};
//! use tower_responses_call_restore::CallRestoreLayer;
//! use tower_responses_core::{ClientTool, ToolKind, ToolMap};
//! # use http_body_util::{BodyExt, Full};
//! # use bytes::Bytes;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!
//! // An upstream that knows a function `apply_patch`.
//! let upstream = tower::service_fn(async |_: Request<Full<Bytes>>| {
//!     let body = r#"{"output":[{"type":"function_call","id":"fc_1","call_id":"call_1","status":"completed",
//!         "name":"apply_patch","arguments":"{\"input\":\"*** Begin Patch\"}"}]}"#;
//!     let response = Response::builder().header("content-type", "application/json");
//!     Ok::<_, std::convert::Infallible>(response.body(Full::from(body)).unwrap())
//! });
//! let service = CallRestoreLayer::new().layer(upstream);
//!
//! // A client that has declared a custom tool.
//! let mut tools = ToolMap::builder();
//! tools.tool("apply_patch", ClientTool::new(ToolKind::Custom, None, "apply_patch"));
//! let request = Request::post("/v1/responses").extension(tools.build()).body(Full::from("{}"))?;
//!
//! let body = service.oneshot(request).await?.into_body().collect().await?.to_bytes();
//! let body = std::str::from_utf8(&body)?;
//! assert!(body.contains(r#""type":"custom_tool_call""#));
//! assert!(body.contains(r#""input":"*** Begin Patch""#));
//! # Ok(())
//! # }
//! ```
//!
//! Without tower, take a [`Restorer`] for objects and a [`StreamRestorer`] for chunks and frames.

mod calls;
mod custom_input;
mod echo;
mod events;
mod item;
mod layer;
mod restorer;
mod stream;
mod string;

pub use self::{
    custom_input::{Input, InputDecoder, InputForm, decode_cut_input, decode_input},
    layer::{CallRestore, CallRestoreLayer},
    restorer::Restorer,
    stream::StreamRestorer,
    string::StringDecoder,
};
