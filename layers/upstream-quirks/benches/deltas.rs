//! What a text delta costs: a stream of 4,000 of them, as vLLM 0.32 writes them, in chunks of one
//! event and of many, through no filter, through one that lets all go by, and through the quirks.
//!
//! `cargo bench -p tower-responses-upstream-quirks`

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use http::Request;
use http_body_util::BodyExt;
use tower_responses_core::{
    ResponseBody,
    json::Object,
    rewrite::RewriteRequest,
    sse::{Event, EventFilter, Events},
};
use tower_responses_testing::ScriptedBody;
use tower_responses_upstream_quirks::{Profile, Quirks};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const DELTAS: usize = 4_000;

struct Pass;

impl EventFilter for Pass {
    fn event(&mut self, event: Event, next: &mut Events) {
        next.push(event);
    }
}

fn filter(kind: &str) -> Option<Box<dyn EventFilter>> {
    match kind {
        "quirks" => {
            let (mut head, ()) = Request::post("/v1/responses").body(()).expect("a request").into_parts();
            let mut body = Object::parse(r#"{"model":"m","input":"hi","stream":true}"#.into()).expect("JSON");
            let answer = Quirks::new(Profile::Vllm).rewrite(&mut head, &mut body).expect("a good request");
            answer.map(|answer| Box::new(answer) as _)
        }
        "pass" => Some(Box::new(Pass)),
        _ => None,
    }
}

fn stream() -> Bytes {
    let mut text = String::from(concat!(
        "event: response.created\ndata: {\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\",",
        "\"model\":\"m\",\"output\":[]},\"sequence_number\":0,\"type\":\"response.created\"}\n\n",
        "event: response.output_item.added\ndata: {\"item\":{\"id\":\"msg_1\",\"content\":[],\"role\":\"assistant\",",
        "\"status\":\"in_progress\",\"type\":\"message\"},\"output_index\":0,\"sequence_number\":1,",
        "\"type\":\"response.output_item.added\"}\n\n",
        "event: response.content_part.added\ndata: {\"content_index\":0,\"item_id\":\"msg_1\",\"output_index\":0,",
        "\"part\":{\"annotations\":[],\"text\":\"\",\"type\":\"output_text\",\"logprobs\":[]},",
        "\"sequence_number\":2,\"type\":\"response.content_part.added\"}\n\n",
    ));
    for number in 3..DELTAS + 3 {
        text += &format!(
            "event: response.output_text.delta\ndata: {{\"content_index\":0,\"delta\":\" word\",\"item_id\":\"msg_1\",\
             \"logprobs\":[],\"output_index\":0,\"sequence_number\":{number},\
             \"type\":\"response.output_text.delta\"}}\n\n"
        );
    }
    text.into()
}

#[divan::bench(args = ["none", "pass", "quirks"], consts = [192, 16_384])]
fn deltas<const CHUNK: usize>(bencher: Bencher<'_, '_>, kind: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let text = stream();
    bencher
        .counter(ItemsCount::new(DELTAS))
        .with_inputs(|| {
            let body = ResponseBody::new(ScriptedBody::new().chunks_of(text.clone(), CHUNK));
            match filter(kind) {
                Some(filter) => body.with_filter(filter, 1 << 20),
                None => body,
            }
        })
        .bench_values(|mut body| runtime.block_on(async { while let Some(Ok(_)) = body.frame().await {} }));
}
