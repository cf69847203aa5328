//! JSON on several lines, in the events and in the answers of an upstream.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_responses_testing::{ScriptedBody, create, read_events};
use tower_responses_upstream_quirks::{Profile, UpstreamQuirksLayer};

/// The events that a client reads when the upstream answers with these bytes. Ids that are made up
/// differ each time, and are left out.
async fn events(kind: &'static str, body: &str, chunk: usize) -> Vec<Value> {
    let body = body.to_owned();
    let upstream = service_fn(move |_: Request<RequestBody>| {
        let body = ResponseBody::new(ScriptedBody::new().chunks_of(body.clone(), chunk));
        async move { Ok::<_, Infallible>(Response::builder().header("content-type", kind).body(body).unwrap()) }
    });
    let request = create(&json!({"model": "m", "input": "hi", "stream": true}));
    let Ok(response) = UpstreamQuirksLayer::new(Profile::Vllm).layer(upstream).oneshot(request).await;
    let text = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let json = |(_, data): &(String, String)| match serde_json::from_str(data) {
        Ok(json) => without_ids(json),
        Err(_) => panic!("no JSON: {data:?} in {text}"),
    };
    read_events(&text).iter().map(json).collect()
}

fn without_ids(json: Value) -> Value {
    match json {
        Value::Array(elements) => elements.into_iter().map(without_ids).collect(),
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, _)| !matches!(&**name, "id" | "item_id" | "created_at" | "completed_at"))
            .map(|(name, value)| (name, without_ids(value)))
            .collect(),
        other => other,
    }
}

/// The fixtures with a body of this type that ends as it should, and what is in them.
fn fixtures(kind: &str) -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let read = |path: std::path::PathBuf| {
        let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap_or_default();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_whole = head.starts_with("HTTP/1.1 200 ") && head.contains(kind) && !head.contains("chunked");
        is_whole.then(|| (name, body.to_owned()))
    };
    std::fs::read_dir(folder).unwrap().filter_map(|entry| read(entry.unwrap().path())).collect()
}

#[tokio::test]
async fn an_event_on_several_lines_is_put_right_as_one_on_one_line_is() {
    let fixtures = fixtures("text/event-stream");
    assert!(fixtures.len() > 20, "{}", fixtures.len());
    for (name, body) in fixtures {
        let plain = events("text/event-stream", &body, usize::MAX).await;
        for end in ["\n", "\r\n", "\r"] {
            let spelled: String = read_events(&body)
                .iter()
                .map(|(event, data)| {
                    let json: Option<Value> = serde_json::from_str(data).ok();
                    let data = json.map_or(data.clone(), |json| serde_json::to_string_pretty(&json).unwrap());
                    let lines: String = data.lines().map(|line| format!("data: {line}{end}")).collect();
                    format!("event: {event}{end}{lines}{end}")
                })
                .collect();
            for chunk in [usize::MAX, 7] {
                let read = events("text/event-stream", &spelled, chunk).await;
                assert_eq!(read, plain, "{name} with {end:?} in chunks of {chunk}");
            }
        }
    }
}

#[tokio::test]
async fn an_object_on_several_lines_becomes_events_on_one_line() {
    for (name, body) in fixtures("application/json") {
        let Ok(json) = serde_json::from_str::<Value>(&body) else { continue };
        let plain = events("application/json", &body, usize::MAX).await;
        for end in ["\n", "\r\n", "\r"] {
            let pretty = serde_json::to_string_pretty(&json).unwrap().replace('\n', end);
            assert_eq!(events("application/json", &pretty, usize::MAX).await, plain, "{name} with {end:?}");
        }
    }
}
