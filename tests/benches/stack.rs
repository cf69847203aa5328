//! What the whole stack costs, without a socket: a request goes in, the scripted answer of a vLLM
//! 0.32 comes back, and all of it is read. `bare` is that service without the stack.
//!
//! `cargo bench --bench stack`

use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value as Json, json};
use tower::{Layer, Service, service_fn, util::BoxCloneService};
use tower_responses::{
    RequestBody, ResponseBody, ResponsesStack,
    call_restore::CallRestoreLayer,
    model_alias::{Aliases, ModelAliasLayer},
    model_catalog::ModelCatalogLayer,
    response_store::{MemoryStore, ResponseStoreLayer},
    tool_normalize::ToolNormalizeLayer,
    upstream_quirks::{Profile, UpstreamQuirksLayer},
};
use tower_responses_testing::{ScriptedBody, long_request, sse, vllm};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The services that are compared.
const SERVICES: [&str; 2] = ["bare", "stack"];

type Boxed = BoxCloneService<Request<RequestBody>, Response<ResponseBody>, Infallible>;

/// The scripted upstream, with the stack around it or without.
fn service(kind: &str, answer: Answer) -> Boxed {
    let upstream = service_fn(move |request: Request<RequestBody>| {
        let answer = answer.clone();
        async move {
            request.into_body().collect().await.expect("a whole request");
            Ok::<_, Infallible>(answer.response())
        }
    });
    if kind == "bare" {
        return BoxCloneService::new(upstream);
    }
    let store = std::sync::Arc::new(MemoryStore::new(1 << 30, std::time::Duration::from_secs(3600)));
    BoxCloneService::new(
        ResponsesStack::new()
            .store(ResponseStoreLayer::new(store))
            .catalog(ModelCatalogLayer::new())
            .alias(ModelAliasLayer::new(Aliases::new().with("codex-auto-review", "m")))
            .tools(ToolNormalizeLayer::new(), CallRestoreLayer::new())
            .quirks(UpstreamQuirksLayer::new(Profile::Vllm))
            .layer(upstream),
    )
}

#[derive(Clone)]
enum Answer {
    Object(Bytes),
    Events(Vec<Bytes>),
}

impl Answer {
    fn response(&self) -> Response<ResponseBody> {
        let (kind, body) = match self {
            Self::Object(text) => ("application/json", ResponseBody::from(text.clone())),
            Self::Events(chunks) => (
                "text/event-stream",
                ResponseBody::new(chunks.iter().cloned().fold(ScriptedBody::new(), ScriptedBody::data)),
            ),
        };
        Response::builder().header("content-type", kind).body(body).expect("a response")
    }
}

/// A request and what comes back. Nothing waits for anything but for what has been said to leave.
fn exchange(service: &mut Boxed, body: Bytes) -> usize {
    let request = Request::post("/v1/responses").header("content-type", "application/json");
    let request = request.body(RequestBody::new(Full::new(body))).expect("a request");
    let response = service.call(request).now_or_never().expect("ready").expect("an answer");
    let mut answer = pin!(response.into_body().collect());
    loop {
        if let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return answer.expect("a whole answer").to_bytes().len();
        }
    }
}

#[divan::bench(args = SERVICES)]
fn small_request_object(bencher: Bencher<'_, '_>, kind: &str) {
    bench(bencher, kind, &small(false), calling("get_weather"), 1);
}

#[divan::bench(args = SERVICES)]
fn stored_small_request(bencher: Bencher<'_, '_>, kind: &str) {
    bench(bencher, kind, &small(true), calling("get_weather"), 1);
}

#[divan::bench(args = SERVICES)]
fn long_request_object(bencher: Bencher<'_, '_>, kind: &str) {
    bench(bencher, kind, &long_request(true), calling("tool_01"), 1);
}

/// Per event.
#[divan::bench(args = SERVICES)]
fn text_one_event_a_chunk(bencher: Bencher<'_, '_>, kind: &str) {
    stream(bencher, kind, "text", 1);
}

/// Per event.
#[divan::bench(args = SERVICES)]
fn text_16_events_a_chunk(bencher: Bencher<'_, '_>, kind: &str) {
    stream(bencher, kind, "text", 16);
}

/// Per event.
#[divan::bench(args = SERVICES)]
fn custom_call_one_event_a_chunk(bencher: Bencher<'_, '_>, kind: &str) {
    stream(bencher, kind, "custom", 1);
}

fn stream(bencher: Bencher<'_, '_>, kind: &str, what: &str, events_a_chunk: usize) {
    let events = events(what);
    let chunks = events.chunks(events_a_chunk).map(|events| Bytes::from(sse(events))).collect();
    let mut request = small(false);
    request["stream"] = true.into();
    request["tools"] = json!([{"type": "custom", "name": "apply_patch", "description": "Patches."}]);
    bench(bencher, kind, &request, Answer::Events(chunks), events.len());
}

fn bench(bencher: Bencher<'_, '_>, kind: &str, request: &Json, answer: Answer, items: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let request = Bytes::from(request.to_string());
    let mut service = service(kind, answer);
    bencher.counter(ItemsCount::new(items)).bench_local(|| exchange(&mut service, request.clone()));
}

fn small(store: bool) -> Json {
    json!({
        "model": "m", "store": store,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is the weather in Paris?"}]}],
        "tools": [weather()],
    })
}

fn weather() -> Json {
    json!({
        "type": "function", "name": "get_weather", "description": "The weather in a city.", "strict": false,
        "parameters": {"type": "object", "required": ["city"], "additionalProperties": false,
            "properties": {"city": {"type": "string", "description": "Name of the city"}}},
    })
}

/// A response with a call of this function.
fn calling(name: &str) -> Answer {
    let call = vllm::function_call(name, r#"{"city":"Paris"}"#);
    Answer::Object(vllm::response(&[weather()], &[call]).to_string().into())
}

const DELTAS: usize = 500;

/// The events of a stream with one item, a text or a call of `apply_patch`, in 500 pieces.
fn events(what: &str) -> Vec<Json> {
    let custom = what == "custom";
    let piece = if custom { r#"let x = \"ö\";\n"# } else { "abcdefgh" };
    let text = piece.repeat(DELTAS);
    let item = if custom {
        vllm::function_call("apply_patch", &format!("{{\"input\":\"{text}\"}}"))
    } else {
        vllm::message(&text)
    };
    vllm::events(&vllm::response(&[weather()], &[item]), piece.chars().count())
}
