#![allow(clippy::disallowed_methods)]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
};

use http_body_util::{BodyExt, Empty, Full};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use serde_json::{Value, json};
use tower::{ServiceExt, service_fn};
use tower_responses_core::{ClientTool, ToolKind};
use tower_responses_testing::{ScriptedBody, body_json, body_text, create, json_response, sse, sse_response};
use tracing::{Event, Metadata, Subscriber, span};

use super::*;

fn map() -> ToolMap {
    let mut map = ToolMap::builder();
    map.tool("mcp__fs__read", ClientTool::new(ToolKind::Function, Some("mcp__fs"), "read"));
    map.build()
}

fn call(name: &str, namespace: Option<&str>) -> Value {
    let mut call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": "{}",
        "status": "completed"});
    if let Some(namespace) = namespace {
        call["namespace"] = json!(namespace);
    }
    call
}

fn answer(item: &Value) -> Value {
    json!({"object": "response", "status": "completed", "output": [item]})
}

fn mapped<B>(mut request: Request<B>) -> Request<B> {
    request.extensions_mut().insert(map());
    request
}

/// An upstream that answers every request with this.
fn upstream(
    status: u16,
    body: Value,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send> + Clone {
    service_fn(move |_| {
        let response = json_response(status, &body);
        async move { Ok(response) }
    })
}

#[tokio::test]
async fn restores_what_the_map_says() {
    let service = CallRestore::new(upstream(200, answer(&call("mcp__fs__read", None))));
    let response = service.oneshot(mapped(create(&json!({})))).await.unwrap();
    assert_eq!(body_json(response.into_body()).await, answer(&call("read", Some("mcp__fs"))));
}

#[tokio::test]
async fn the_request_passes_as_it_is_but_for_the_encodings_it_accepts() {
    for (map, expected) in [(true, None), (false, Some("gzip"))] {
        let service = CallRestore::new(service_fn(async |request: Request<Full<Bytes>>| {
            let encoding = request.headers().get("accept-encoding").map(|value| value.to_str().unwrap().to_owned());
            let text = body_text(request.into_body()).await;
            Ok::<_, Infallible>(json_response(200, &json!([encoding, text])))
        }));
        let mut request = create(&json!({"input": "x"}));
        request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
        let request = if map { mapped(request) } else { request };
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(body_json(response.into_body()).await, json!([expected, r#"{"input":"x"}"#]));
    }
}

#[tokio::test]
async fn errors_and_what_cannot_be_read_pass() {
    for (status, kind, coding) in
        [(400, "application/json", None), (200, "text/plain", None), (200, "application/json", Some("gzip"))]
    {
        let body = answer(&call("mcp__fs__read", None)).to_string();
        let mut response = Response::builder().status(status).header("content-type", kind);
        if let Some(coding) = coding {
            response = response.header("content-encoding", coding);
        }
        let mut response = Some(response.body(body.clone()).unwrap());
        let service = CallRestore::new(service_fn(move |_: Request<Full<Bytes>>| {
            ready(Ok::<_, Infallible>(response.take().unwrap()))
        }));
        let response = service.oneshot(mapped(create(&json!({})))).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(body_text(response.into_body()).await, body);
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_not_held() {
    let body = answer(&call("mcp__fs__read", None));
    for (limit, status) in [(body.to_string().len(), 200), (20, 502)] {
        let layer = CallRestoreLayer::new().limits(Limits { response: limit, ..Limits::default() });
        let response = layer.layer(upstream(200, body.clone())).oneshot(mapped(create(&json!({})))).await.unwrap();
        assert_eq!(response.status(), status, "at most {limit} bytes");
    }
}

/// Counts what is logged.
#[derive(Clone, Default)]
struct Logged(Arc<std::sync::Mutex<Vec<tracing::Level>>>);

impl Subscriber for Logged {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_map_that_is_missing_is_counted_and_said_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let logged = Logged::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let layer = CallRestoreLayer::new();
    let body = answer(&call("mcp__fs__read", None));
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(logged.clone(), || {
            for (uri, said) in [("/v1/responses", 1), ("/v1/responses", 1), ("/v1/embeddings", 1)] {
                let mut request = create(&json!({}));
                *request.uri_mut() = uri.parse().unwrap();
                let response = runtime.block_on(layer.layer(upstream(200, body.clone())).oneshot(request)).unwrap();
                assert_eq!(runtime.block_on(body_json(response.into_body())), body);
                assert_eq!(logged.0.lock().unwrap().len(), said, "at once, and not again");
            }
            // An empty map is not a missing one.
            let mut request = create(&json!({}));
            request.extensions_mut().insert(ToolMap::default());
            runtime.block_on(layer.layer(upstream(200, body.clone())).oneshot(request)).unwrap();
        });
    });
    let counted = snapshotter.snapshot().into_vec();
    let unmapped =
        counted.iter().find(|(key, ..)| key.key().name() == "tower_responses_unmapped_requests_total").unwrap();
    assert_eq!(unmapped.3, DebugValue::Counter(2));
    assert_eq!(*logged.0.lock().unwrap(), [tracing::Level::ERROR]);
}

/// Ready only when asked a second time; answers with a body that it was given.
#[derive(Default)]
struct Slow {
    asked: usize,
}

impl Service<Request<Empty<Bytes>>> for Slow {
    type Response = Response<Empty<Bytes>>;
    type Error = &'static str;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.asked += 1;
        cx.waker().wake_by_ref();
        if self.asked == 1 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, _: Request<Empty<Bytes>>) -> Self::Future {
        assert_eq!(self.asked, 2, "called without being ready");
        ready(Err("its own error"))
    }
}

#[tokio::test]
async fn readiness_and_errors_are_those_of_the_inner_service() {
    let request = mapped(Request::post("/v1/responses").body(Empty::new()).unwrap());
    assert_eq!(CallRestore::new(Slow::default()).oneshot(request).await.unwrap_err(), "its own error");
}

#[tokio::test]
async fn events_leave_as_they_come_and_dropping_the_body_drops_the_upstream_s() {
    let event = sse(&[json!({"type": "response.output_text.delta", "delta": "x"})]);
    let body = ScriptedBody::new().data(event.clone()).hang();
    let watch = body.watch();
    let mut response = Some(sse_response(body));
    let service = CallRestore::new(service_fn(move |_: Request<Full<Bytes>>| {
        ready(Ok::<_, Infallible>(response.take().unwrap()))
    }));
    let mut body = service.oneshot(mapped(create(&json!({})))).await.unwrap().into_body();
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame, event);
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
    drop(body);
    assert!(watch.is_dropped());
}

#[tokio::test]
async fn over_a_real_client() {
    use hyper_util::{
        client::legacy::Client,
        rt::{TokioExecutor, TokioIo},
    };

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let item = |item: &Value| json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let stream = sse(&[item(&call("mcp__fs__read", None))]);
    let server = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let stream = stream.clone();
        async move {
            let text = request.into_body().collect().await.unwrap().to_bytes();
            let is_stream = serde_json::from_slice::<Value>(&text).unwrap()["stream"] == true;
            let answer = json_response(200, &answer(&call("mcp__fs__read", None)));
            Ok::<_, Infallible>(if is_stream { sse_response(Full::from(stream)) } else { answer })
        }
    });
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), server.clone());
            tokio::spawn(connection);
        }
    });

    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let service = CallRestore::new(client);
    for stream in [false, true] {
        let mut request = mapped(create(&json!({"stream": stream})));
        *request.uri_mut() = format!("http://{address}/v1/responses").parse().unwrap();
        let text = body_text(service.clone().oneshot(request).await.unwrap().into_body()).await;
        let restored = call("read", Some("mcp__fs"));
        if stream {
            assert_eq!(tower_responses_testing::parse_sse(&text), [item(&restored)]);
        } else {
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), answer(&restored));
        }
    }
}
