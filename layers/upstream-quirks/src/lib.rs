//! A tower Layer that makes what a model server says true and usable.
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_responses_core::RequestBody;
//! use tower_responses_upstream_quirks::{Fix, Profile, UpstreamQuirksLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // A server that dies in the middle of a call.
//! let upstream = service_fn(async |_: Request<RequestBody>| {
//!     let events = concat!(
//!         "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"output\":[]}}\n\n",
//!         "data: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":",
//!         "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"c\",\"name\":\"shell\",\"arguments\":\"\"}}\n\n",
//!         "data: {\"type\":\"response.function_call_arguments.delta\",\"sequence_number\":2,\"output_index\":0,",
//!         "\"item_id\":\"fc_1\",\"delta\":\"{\\\"cmd\\\":\\\"rm -rf /\"}\n\n",
//!     );
//!     let response = Response::builder().header("content-type", "text/event-stream");
//!     Ok::<_, std::convert::Infallible>(response.body(Full::<bytes::Bytes>::from(events)).unwrap())
//! });
//!
//! let service = UpstreamQuirksLayer::new(Profile::Vllm).without(Fix::ErrorCode).layer(upstream);
//! let request = Request::post("/v1/responses").body(Full::from(r#"{"input":"hi","stream":true}"#)).unwrap();
//! let response = service.oneshot(request).await.unwrap();
//! let events = response.into_body().collect().await.unwrap().to_bytes();
//! let events = std::str::from_utf8(&events).unwrap();
//! assert!(events.contains("event: response.failed\n"));
//! assert!(!events.contains("output_item.done"), "half a call is not done, so nobody runs it");
//! # }
//! ```
//!
//! Its place is directly outside of the service that speaks to the upstream, and inside of all
//! else: what restores calls and what stores responses sees what has been put right. It needs
//! nothing of either, and works alone.
//!
//! # What is put right
//!
//! Each [`Fix`] has a name, says what it does and on which server it was seen to be needed, can be
//! switched, and is counted as `tower_responses_quirk_fixed_total{fix=…}`. A [`Profile`] says which
//! are on. Only what is wrong is touched: everything else leaves byte for byte.
//!
//! - **Ends.** A stream that stops, breaks off or says `error` ends with `response.failed`. What
//!   was open is closed as incomplete, except for calls: a client runs a call as soon as it is
//!   done, so one that is not stands in the final object alone. A response that was cut is
//!   `response.incomplete`.
//! - **Errors.** A prompt that is too long has the code `context_length_exceeded`; every error is
//!   an error object; a key of the gateway's that is refused is the gateway's fault.
//! - **Silence.** A stream that is silent repeats `response.in_progress` with the same id, which
//!   clients count as life where they do not count comments. A stream whose headers are late is
//!   opened with a `response.created` of our own; what goes wrong after that is `response.failed`,
//!   and the upstream's later events bear our id.
//! - **Shapes.** Statuses, ids, indices, numbers, `added` and `done` events, arrays and fields that
//!   clients require.
//! - **Requests.** What the server is known to refuse, or to lose without a word.
//!
//! # What is held
//!
//! Of each stream: the small members of its response, and the items as far as they came, for a
//! `response.failed` that says what came of them. All of it is copied, so no chunk is kept alive,
//! and bounded (1 MiB). A text delta is looked at, its text is added to what is held, and it goes
//! on as the bytes that came.
//!
//! # What is not done here
//!
//! Connecting, retrying, timeouts and hop-by-hop headers are matters of the service inside. It has
//! to answer what happens before the upstream's first byte as an error of its own or as a
//! response; an error in the body of a stream becomes `response.failed` here.

mod answer;
mod early;
mod failure;
mod fix;
mod layer;
mod profile;
mod quirks;
mod request;
mod shape;
mod stream;

pub use self::{
    answer::Answer,
    early::{EarlyFuture, EarlyStream},
    fix::{Direction, Fix, Fixes, UnknownFix},
    layer::{UpstreamQuirks, UpstreamQuirksLayer},
    profile::{Profile, UnknownProfile},
    quirks::Quirks,
};
