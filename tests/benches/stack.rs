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
use tower_responses_testing::{ScriptedBody, long_request, sse};

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
    bench(bencher, kind, &small(false), Answer::Object(object(&[function_call("get_weather")]).to_string().into()), 1);
}

#[divan::bench(args = SERVICES)]
fn stored_small_request(bencher: Bencher<'_, '_>, kind: &str) {
    bench(bencher, kind, &small(true), Answer::Object(object(&[function_call("get_weather")]).to_string().into()), 1);
}

#[divan::bench(args = SERVICES)]
fn long_request_object(bencher: Bencher<'_, '_>, kind: &str) {
    bench(
        bencher,
        kind,
        &long_request(true),
        Answer::Object(object(&[function_call("tool_01")]).to_string().into()),
        1,
    );
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

fn function_call(name: &str) -> Json {
    json!({
        "arguments": "{\"city\":\"Paris\"}", "call_id": "call_1", "name": name, "type": "function_call", "id": "fc_1",
        "async": null, "caller": null, "namespace": null, "status": "completed",
    })
}

fn object(output: &[Json]) -> Json {
    let mut tool = weather();
    for name in ["allowed_callers", "async", "defer_loading", "output_schema"] {
        tool[name] = Json::Null;
    }
    json!({
        "id": "resp_1", "created_at": 1_795_261_662, "incomplete_details": null, "instructions": null, "metadata": null,
        "model": "m", "object": "response", "output": output, "parallel_tool_calls": true, "temperature": 1.0,
        "tool_choice": "auto", "tools": [tool], "top_p": 1.0, "background": false, "max_output_tokens": 65_525,
        "max_tool_calls": null, "previous_response_id": null, "prompt": null, "reasoning": null, "service_tier": "auto",
        "status": "completed", "text": null, "top_logprobs": null, "truncation": "disabled",
        "usage": {"input_tokens": 171, "output_tokens": 39, "total_tokens": 210,
            "input_tokens_details": {"cached_tokens": 128, "cache_write_tokens": 0, "input_tokens_per_turn": []},
            "output_tokens_details": {"reasoning_tokens": 0, "tool_output_tokens": 0, "output_tokens_per_turn": []}},
        "user": null, "presence_penalty": 0.0, "frequency_penalty": 0.0, "kv_transfer_params": null,
        "input_messages": null, "output_messages": null,
    })
}

const DELTAS: usize = 500;

/// The events of a stream with one item, a text or a call of `apply_patch`, in 500 pieces.
fn events(what: &str) -> Vec<Json> {
    let custom = what == "custom";
    let opening = |status| {
        let mut response = object(&[]);
        response["status"] = status;
        response["usage"] = Json::Null;
        response
    };
    let open = json!("in_progress");
    let mut events = vec![
        json!({"response": opening(open.clone()), "type": "response.created"}),
        json!({"response": opening(open), "type": "response.in_progress"}),
    ];
    let piece = if custom { r#"let x = \"ö\";\n"# } else { "abcdefgh" };
    let text = piece.repeat(DELTAS);
    let mut item = if custom {
        function_call("apply_patch")
    } else {
        json!({"id": "msg_1", "content": [], "role": "assistant", "type": "message", "phase": null})
    };
    item["status"] = "in_progress".into();
    let mut added = item.clone();
    if custom {
        added["arguments"] = "".into();
    }
    events.push(json!({"item": added, "output_index": 0, "type": "response.output_item.added"}));
    let part = |text: &str| json!({"annotations": [], "text": text, "type": "output_text", "logprobs": []});
    item["status"] = "completed".into();
    if custom {
        let delta = |delta: &str| json!({"delta": delta, "item_id": "fc_1", "output_index": 0, "type": "response.function_call_arguments.delta"});
        events.push(delta("{\"input\":\""));
        events.extend((0..DELTAS).map(|_| delta(piece)));
        events.push(delta("\"}"));
        item["arguments"] = format!("{{\"input\":\"{text}\"}}").into();
        events.push(json!({"arguments": item["arguments"], "item_id": "fc_1", "output_index": 0, "name": "apply_patch", "type": "response.function_call_arguments.done"}));
    } else {
        events.push(json!({"content_index": 0, "item_id": "msg_1", "output_index": 0, "part": part(""), "type": "response.content_part.added"}));
        events.extend((0..DELTAS).map(|_| json!({"content_index": 0, "delta": piece, "item_id": "msg_1", "logprobs": [], "output_index": 0, "type": "response.output_text.delta"})));
        events.push(json!({"content_index": 0, "item_id": "msg_1", "logprobs": [], "output_index": 0, "text": text, "type": "response.output_text.done"}));
        events.push(json!({"content_index": 0, "item_id": "msg_1", "output_index": 0, "part": part(&text), "type": "response.content_part.done"}));
        item["content"] = json!([part(&text)]);
    }
    events.push(json!({"item": item, "output_index": 0, "type": "response.output_item.done"}));
    events.push(json!({"response": object(&[item]), "type": "response.completed"}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    events
}
