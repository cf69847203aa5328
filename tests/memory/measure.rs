//! What a request takes while it is answered: through all layers, with a store in memory.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use peak_alloc::PeakAlloc;
use tokio::runtime::Runtime;
use tower::{Layer, Service, service_fn};
use tower_responses::{
    RequestBody, ResponseBody, ResponsesStack,
    call_restore::CallRestoreLayer,
    model_alias::{Aliases, ModelAliasLayer},
    model_catalog::ModelCatalogLayer,
    response_store::{MemoryStore, ResponseStoreLayer},
    tool_normalize::ToolNormalizeLayer,
    upstream_quirks::{Profile, UpstreamQuirksLayer},
    websocket::WebSocketLayer,
};

/// A request takes at most so many bytes for each of its own …
pub(crate) const PER_BYTE: usize = 16;
/// … and so many beside, whatever it is.
pub(crate) const BESIDE: usize = 256 << 10;

/// The most that a request of so many bytes may take.
pub(crate) fn most(bytes: usize) -> usize {
    PER_BYTE * bytes + BESIDE
}

const ANSWER: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[]}"#;

/// Bytes on the heap that came with the request, at the moment when they were most: the request's
/// own, what was made of it, and what the answer and its record took.
pub(crate) fn peak(runtime: &Runtime, request: &[u8]) -> usize {
    let upstream = service_fn(|request: Request<RequestBody>| async move {
        let _ = request.into_body().collect().await;
        let answer = Response::builder().header("content-type", "application/json");
        Ok::<_, Infallible>(answer.body(ResponseBody::from(Bytes::from_static(ANSWER.as_bytes()))).expect("a response"))
    });
    let store = Arc::new(MemoryStore::new(1 << 30, Duration::from_secs(3600)));
    let stack = ResponsesStack::new()
        .websocket(WebSocketLayer::new())
        .store(ResponseStoreLayer::new(store))
        .catalog(ModelCatalogLayer::new())
        .alias(ModelAliasLayer::new(Aliases::new().with("a", "b").with_default("m")))
        .tools(ToolNormalizeLayer::new(), CallRestoreLayer::new())
        .quirks(UpstreamQuirksLayer::new(Profile::Vllm));
    let mut service = stack.layer(upstream);

    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    runtime.block_on(async {
        let body = RequestBody::new(Full::new(Bytes::copy_from_slice(request)));
        let request = Request::post("/v1/responses").header("content-type", "application/json");
        let response = service.call(request.body(body).expect("a request")).await.expect("an answer");
        let _ = response.into_body().collect().await;
    });
    PeakAlloc.peak_usage().saturating_sub(before)
}
