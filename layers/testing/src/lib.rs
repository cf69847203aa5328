//! Scripted bodies and upstreams for the tests of the layers.
//!
//! ```
//! use tower_responses_testing::{ScriptedBody, body_text, sse};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let stream = sse(&[serde_json::json!({"type": "response.created", "sequence_number": 0})]);
//! let body = ScriptedBody::new().chunks_of(stream.clone(), 7);
//! assert_eq!(body_text(body).await, stream);
//! # }
//! ```

#![allow(clippy::disallowed_methods, reason = "tests parse what they please")]

mod events;
mod long_request;
mod scripted_body;
pub mod servers;
pub mod vllm;

pub use self::{
    events::{parse_sse, read_events, sse},
    long_request::long_request,
    scripted_body::{ScriptedBody, Watch},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};

/// A `POST /v1/responses` with this JSON.
pub fn create(body: &serde_json::Value) -> Request<Full<Bytes>> {
    let request = Request::post("/v1/responses").header("content-type", "application/json");
    request.body(Full::from(body.to_string())).expect("a valid request")
}

/// A response with JSON.
pub fn json_response(status: u16, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::from(body.to_string())).expect("a valid response")
}

/// A response with a stream of events.
pub fn sse_response<B>(body: B) -> Response<B> {
    let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
    response.body(body).expect("a valid response")
}

/// All that a body holds, as text.
///
/// # Panics
/// If the body breaks off or is not UTF-8.
pub async fn body_text<B>(body: B) -> String
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let bytes = body.collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// All that a body holds, as JSON.
///
/// # Panics
/// If the body breaks off or is not JSON.
pub async fn body_json<B>(body: B) -> serde_json::Value
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    serde_json::from_str(&body_text(body).await).expect("JSON")
}
