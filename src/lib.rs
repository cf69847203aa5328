//! tower Layers that make any function-only model server serve the clients people really use.
//!
//! Codex CLI, the OpenAI SDKs and agents speak the OpenAI Responses API with namespaces, custom
//! tools, tool search, `previous_response_id` and model names of their own. Model servers such as
//! vLLM understand `type: "function"` and keep no state. These layers stand between, around any
//! service that proxies to such a server:
//!
//! - [`model_alias`]: model names
//! - [`tool_normalize`]: every tool and history item becomes what the upstream accepts
//! - [`call_restore`]: function calls become again what the client declared
//! - [`response_store`]: `previous_response_id` and stored responses
//! - [`upstream_quirks`]: what an upstream says, made true
//! - [`websocket`]: the Responses API over a WebSocket
//! - [`model_catalog`]: the list of models, for OpenAI clients and for Codex
//!
//! Each works alone. [`ResponsesStack`] puts them on in the right order, and `upstream::Upstream`
//! is a service to put them around. The types that layers share come from
//! [`tower_responses_core`] and are exported here as well.

#[cfg(feature = "gateway")]
#[doc(hidden)]
pub mod demo;
#[cfg(feature = "gateway")]
#[doc(hidden)]
pub mod gateway;
#[cfg(feature = "upstream")]
mod shown;
#[cfg(feature = "stack")]
pub mod stack;
#[cfg(feature = "upstream")]
pub mod upstream;

#[cfg(feature = "call-restore")]
pub use tower_responses_call_restore as call_restore;
pub use tower_responses_core::*;
#[cfg(feature = "model-alias")]
pub use tower_responses_model_alias as model_alias;
#[cfg(feature = "model-catalog")]
pub use tower_responses_model_catalog as model_catalog;
#[cfg(feature = "response-store")]
pub use tower_responses_response_store as response_store;
#[cfg(feature = "tool-normalize")]
pub use tower_responses_tool_normalize as tool_normalize;
#[cfg(feature = "upstream-quirks")]
pub use tower_responses_upstream_quirks as upstream_quirks;
#[cfg(feature = "websocket")]
pub use tower_responses_websocket as websocket;

#[cfg(feature = "stack")]
pub use self::stack::ResponsesStack;

/// The code in the README compiles.
#[cfg(all(doctest, feature = "stack"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
