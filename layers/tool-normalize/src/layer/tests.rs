use std::{convert::Infallible, io, time::Duration};

use http_body_util::{BodyExt, Full};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::{Value as Json, json};
use tower::{ServiceExt, service_fn};
use tower_responses_core::{ToolMap, json::Object};
use tower_responses_testing::{ScriptedBody, body_json, body_text, create, json_response, sse, sse_response};

use super::*;
use crate::spec::{function, namespace};

/// Answers with what it saw: the body, and the names in the map if there was one.
async fn mirror(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let known = head.extensions.get::<ToolMap>().map(ToolMap::len);
    let length = http_body::Body::size_hint(&body).exact();
    let body = body.collect().await.unwrap().to_bytes();
    assert!(length.is_none_or(|length| length == body.len() as u64));
    let body = String::from_utf8(body.to_vec()).unwrap();
    Ok(json_response(200, &json!({"known": known, "path": head.uri.path(), "body": body})))
}

async fn answer<B>(layer: ToolNormalizeLayer, request: Request<B>) -> Response<ResponseBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    layer.layer(service_fn(mirror)).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_request_is_rewritten_and_the_map_goes_with_it() {
    let body = json!({"input": "hi", "tools": [namespace("n", &[function("m")]), {"type": "web_search"}]});
    let response = answer(ToolNormalizeLayer::new(), create(&body)).await;
    assert_eq!(response.headers()[DROPPED_TOOLS], "web_search");
    let seen = body_json(response.into_body()).await;
    assert_eq!(seen["known"], 1);
    let upstream: Json = serde_json::to_value(seen["body"].as_str().unwrap()).unwrap();
    assert!(upstream.as_str().unwrap().contains("\"n__m\""));
}

#[tokio::test]
async fn the_map_is_there_also_without_tools() {
    let body = json!({"input": "hi"});
    let response = answer(ToolNormalizeLayer::new(), create(&body)).await;
    assert!(!response.headers().contains_key(DROPPED_TOOLS));
    assert_eq!(body_json(response.into_body()).await["known"], 0);
}

/// What a layer can be told is what a normalizer can be told.
#[tokio::test]
async fn each_setting_reaches_the_request() {
    let deferred = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}],
        "encrypted_content": "secret"});
    let described = |name: &str| {
        json!({"type": "namespace", "name": name, "description": "About.",
        "tools": [function("a"), function("b")]})
    };
    let body = json!({
        "input": [
            {"type": "function_call", "call_id": "c", "name": "gone", "arguments": "{}"},
            {"type": "web_search_call", "id": "ws", "status": "completed"}, {"type": "unheard_of"}, deferred,
        ],
        "tools": [described("n"), {"type": "web_search"}],
    });
    let new = Normalizer::new;
    let layer = ToolNormalizeLayer::new;
    let rows = [
        (
            new().tools(ToolPolicies::new().set("web_search", Policy::Pass)),
            layer().tools(ToolPolicies::new().set("web_search", Policy::Pass)),
        ),
        (new().strict(Strict::Force), layer().strict(Strict::Force)),
        (
            new().namespace_descriptions(NamespaceDescriptions::Omit),
            layer().namespace_descriptions(NamespaceDescriptions::Omit),
        ),
        (new().undeclared_calls(UndeclaredCalls::Pass), layer().undeclared_calls(UndeclaredCalls::Pass)),
        (new().hosted_items(HostedItems::Drop), layer().hosted_items(HostedItems::Drop)),
        (new().unknown_items(Policy::Drop), layer().unknown_items(Policy::Drop)),
        (new().encrypted_reasoning(EncryptedReasoning::Pass), layer().encrypted_reasoning(EncryptedReasoning::Pass)),
        (new().hosted_items(HostedItems::Pass), layer().normalizer(new().hosted_items(HostedItems::Pass))),
    ];
    let seen = async |layer| body_json(answer(layer, create(&body)).await.into_body()).await["body"].clone();
    let by_default = seen(layer()).await;
    for (normalizer, layer) in rows {
        let mut expected = Object::parse(body.to_string().into()).unwrap();
        normalizer.normalize(&mut expected).unwrap();
        let expected = String::from_utf8(expected.text().to_vec()).unwrap();
        assert_ne!(by_default, json!(expected), "{normalizer:?} makes a difference");
        assert_eq!(seen(layer).await, json!(expected), "{normalizer:?}");
    }
}

#[test]
fn a_future_shows_nothing_of_its_request() {
    let calling = ToolNormalizeLayer::new().layer(service_fn(mirror)).call(create(&json!({"input": "secret"})));
    assert_eq!(format!("{calling:?}"), "ToolNormalizeFuture { .. }");
}

#[tokio::test]
async fn a_plain_request_leaves_byte_for_byte() {
    let text = "{ \"model\":\"m\",  \"temperature\": 1.0e0, \"input\":[ {\"role\":\"user\",\"content\":\"\\u00fc\"} ,{\"x\":1} ],\n\
        \"tools\": [ {\"type\":\"function\", \"name\":\"f\",\"parameters\":{ \"b\":1, \"a\":2 }} ],\"new\":[ ] }\n";
    let request = Request::post("/v1/responses").body(Full::from(text)).unwrap();
    let seen = body_json(answer(ToolNormalizeLayer::new(), request).await.into_body()).await;
    assert_eq!((&seen["body"], &seen["known"]), (&json!(text), &json!(1)));
}

#[tokio::test]
async fn any_chunking_of_the_request_is_the_same() {
    let body = json!({"input": "grüße 😀", "tools": [namespace("n", &[function("m")])]}).to_string();
    let whole =
        answer(ToolNormalizeLayer::new(), Request::post("/v1/responses").body(Full::from(body.clone())).unwrap());
    let whole = body_text(whole.await.into_body()).await;
    for size in 1..=17 {
        let chunks = ScriptedBody::new().chunks_of(body.clone(), size);
        let response = answer(ToolNormalizeLayer::new(), Request::post("/v1/responses").body(chunks).unwrap()).await;
        assert_eq!(body_text(response.into_body()).await, whole, "{size}");
    }
}

#[tokio::test]
async fn other_requests_pass() {
    let tools = json!({"tools": [{"type": "web_search"}]}).to_string();
    for (method, path) in
        [("POST", "/v1/chat/completions"), ("GET", "/v1/responses"), ("POST", "/v1/responses/r/cancel")]
    {
        let request = Request::builder().method(method).uri(path).body(Full::from(tools.clone())).unwrap();
        let seen = body_json(answer(ToolNormalizeLayer::new(), request).await.into_body()).await;
        assert_eq!((&seen["body"], &seen["known"], &seen["path"]), (&json!(tools), &Json::Null, &json!(path)));
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_told_before_the_upstream_is_asked() {
    let never = service_fn(|_: Request<RequestBody>| async {
        panic!("asked");
        #[allow(unreachable_code)]
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let rows = [
        ("{\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]}", 400, "item_not_found"),
        ("{\"tools\":[{\"type\":\"mcp\"}]}", 400, "unsupported_tool"),
        ("{\"tools\":", 400, "invalid_json"),
        ("[]", 400, "invalid_json"),
        (
            "{\"input\":\"01234567890123456789012345678901234567890123456789012345678901234567890123456789\"}",
            413,
            "request_too_large",
        ),
    ];
    for (body, status, code) in rows {
        let layer = ToolNormalizeLayer::new()
            .tools(ToolPolicies::new().set("mcp", Policy::Reject))
            .limits(Limits { request: 80, ..Limits::default() });
        let request = Request::post("/v1/responses").body(Full::from(body)).unwrap();
        let response = layer.layer(never).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{body}");
        assert_eq!(body_json(response.into_body()).await["error"]["code"], code);
    }
}

#[tokio::test]
async fn the_answer_is_the_upstreams_own() {
    let stream = sse(&[json!({"type": "response.created", "sequence_number": 0}), json!({"type": "x"})]);
    let body = stream.clone();
    let upstream = service_fn(move |_: Request<RequestBody>| {
        let body = ScriptedBody::new().chunks_of(body.clone(), 5);
        async move { Ok::<_, io::Error>(sse_response(body)) }
    });
    let request = create(&json!({"input": "hi", "tools": [{"type": "web_search"}]}));
    let response = ToolNormalize::new(upstream).oneshot(request).await.unwrap();
    assert_eq!(response.headers()[DROPPED_TOOLS], "web_search");
    assert_eq!(body_text(response.into_body()).await, stream);

    let broken = service_fn(|_: Request<RequestBody>| async { Err::<Response<String>, _>(io::Error::other("down")) });
    let error = ToolNormalize::new(broken).oneshot(create(&json!({"input": "hi"}))).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
}

#[tokio::test]
async fn readiness_and_cancellation_reach_the_upstream() {
    let limited = tower::ServiceBuilder::new().layer(ToolNormalizeLayer::new()).concurrency_limit(1).service_fn(mirror);
    let body = ScriptedBody::new().data("{\"input\":").hang();
    let watch = body.watch();
    let mut service = limited.clone();
    let service = ServiceExt::<Request<ScriptedBody>>::ready(&mut service).await.unwrap();
    let call = service.call(Request::post("/v1/responses").body(body).unwrap());
    let mut second = limited.clone();
    let refused =
        tokio::time::timeout(Duration::from_millis(20), ServiceExt::<Request<Full<Bytes>>>::ready(&mut second));
    assert!(refused.await.is_err(), "the one permit is taken");
    drop(call);
    assert!(watch.is_dropped());
    assert!(ServiceExt::<Request<Full<Bytes>>>::ready(&mut second).await.is_ok());
}

#[test]
fn what_is_dropped_is_counted_and_named_safely() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let odd = "téle\r\npathy".repeat(20);
    let tools = json!([{"type": "web_search_preview"}, {"type": odd}, {"type": "mcp"}, {"type": "mcp"}]);
    let response = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(answer(ToolNormalizeLayer::new(), create(&json!({"input": "hi", "tools": tools}))))
    });
    let header = response.headers()[DROPPED_TOOLS].to_str().unwrap();
    assert!(header.starts_with("web_search_preview, t?le??pathy") && header.ends_with(", mcp"), "{header}");
    assert!(header.len() < 100);
    let mut counted: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let label = key.key().labels().next().map(|label| label.value().to_owned());
            (key.key().name().to_owned(), label, value)
        })
        .collect();
    counted.sort_by(|a, b| a.1.cmp(&b.1));
    let row = |label: &str| {
        ("tower_responses_tools_dropped_total".to_owned(), Some(label.to_owned()), DebugValue::Counter(1))
    };
    assert_eq!(counted, [row("mcp"), row("unknown"), row("web_search")]);
}
