//! What every tower-responses layer stands on.
//!
//! - [`RequestBody`] and [`ResponseBody`]: bodies that are parsed once for a whole stack
//! - [`json`]: JSON that is opened only where it is read or changed
//! - [`sse`]: server-sent events, cut and filtered without a task and without a channel
//! - [`rewrite`]: a layer that changes requests and responses, for ours and for your own
//! - [`ToolMap`]: the names under which the upstream knows the client's tools
//! - [`ApiError`]: errors in OpenAI's shape
//! - [`read_bool`]: booleans of a request

mod body;
mod create;
mod error;
pub mod json;
mod read_bool;
pub mod rewrite;
pub mod sse;
mod tool_map;

pub use self::{
    body::{
        BodyBudget, BodyUse, CollectError, ElementError, ReadError, ReadObject, RequestBody, ReservedBytes,
        ResponseBody,
    },
    error::ApiError,
    read_bool::read_bool,
    tool_map::{ClientTool, ToolKind, ToolMap, ToolMapBuilder},
};

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Any body.
pub type BoxBody = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;
