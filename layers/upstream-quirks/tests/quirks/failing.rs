//! A service inside that fails with an error of its own, which need not be one to anybody else.

use std::time::Duration;

use http::{Request, Response};
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_responses_testing::{body_text, create, parse_sse};
use tower_responses_upstream_quirks::{Profile, UpstreamQuirksLayer};

#[derive(PartialEq)]
struct Plain;

async fn ask(after: Duration) -> Result<Response<ResponseBody>, Plain> {
    let fails = service_fn(move |_: Request<RequestBody>| async move {
        tokio::time::sleep(after).await;
        Err::<Response<ResponseBody>, _>(Plain)
    });
    let layer = UpstreamQuirksLayer::new(Profile::Vllm).heartbeat(Duration::from_secs(1));
    layer.layer(fails).oneshot(create(&json!({"input": "hi", "stream": true}))).await
}

#[tokio::test(start_paused = true)]
async fn an_error_passes_unless_the_stream_was_opened_before() {
    assert!(ask(Duration::ZERO).await.is_err_and(|error| error == Plain));
    let Ok(response) = ask(Duration::from_secs(2)).await else { panic!("it was opened") };
    let events = parse_sse(&body_text(response.into_body()).await);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["error"]["message"], "the upstream did not answer");
}
