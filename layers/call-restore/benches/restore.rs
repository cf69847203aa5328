//! What restoration costs per event: a stream of text, which it leaves alone, and streams of calls
//! in 1,000 pieces, as vLLM 0.32 writes them. Events come one in a chunk.
//!
//! `cargo bench -p tower-responses-call-restore`

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use serde_json::{Value, json};
use tower_responses_call_restore::{Restorer, StreamRestorer};
use tower_responses_core::{ClientTool, ToolKind, ToolMap};
use tower_responses_testing::sse;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const PIECES: usize = 1_000;

fn map() -> ToolMap {
    let mut tools = ToolMap::builder();
    tools.tool("get_weather", ClientTool::new(ToolKind::Function, None, "get_weather"));
    tools.tool("mcp__fs__read", ClientTool::new(ToolKind::Function, Some("mcp__fs"), "read"));
    tools.tool("apply_patch", ClientTool::new(ToolKind::Custom, None, "apply_patch"));
    tools.build()
}

fn call_events(name: &str) -> Vec<Value> {
    let piece = r#"let x = \"ö\";\n"#;
    let arguments = format!("{{\"input\":\"{}\"}}", piece.repeat(PIECES));
    let item = |status: &str, arguments: &str| json!({"arguments": arguments, "call_id": "call_1", "name": name, "type": "function_call", "id": "fc_1", "status": status});
    let delta = |delta: &str| json!({"delta": delta, "item_id": "fc_1", "output_index": 0, "type": "response.function_call_arguments.delta"});
    let mut events = vec![
        json!({"item": item("in_progress", ""), "output_index": 0, "type": "response.output_item.added"}),
        delta("{\"input\":\""),
    ];
    events.extend((0..PIECES).map(|_| delta(piece)));
    events.extend([
        delta("\"}"),
        json!({"arguments": arguments, "item_id": "fc_1", "output_index": 0, "name": name, "type": "response.function_call_arguments.done"}),
        json!({"item": item("completed", &arguments), "output_index": 0, "type": "response.output_item.done"}),
    ]);
    events
}

fn text_events() -> Vec<Value> {
    let delta = json!({"content_index": 0, "delta": "abcdefgh", "item_id": "msg_1", "logprobs": [], "output_index": 0, "type": "response.output_text.delta"});
    vec![delta; PIECES]
}

#[divan::bench(args = ["text", "get_weather", "mcp__fs__read", "apply_patch"])]
fn restore(bencher: Bencher<'_, '_>, what: &str) {
    let mut events = if what == "text" { text_events() } else { call_events(what) };
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    let chunks: Vec<_> = events.iter().map(|event| Bytes::from(sse(std::slice::from_ref(event)))).collect();
    let map = map();
    bencher
        .counter(ItemsCount::new(chunks.len()))
        .with_inputs(|| StreamRestorer::new(Restorer::new(map.clone()), 1 << 20))
        .bench_local_values(|mut restorer| {
            let mut bytes = 0;
            for chunk in &chunks {
                bytes += restorer.push(chunk.clone()).expect("a small event").len();
            }
            bytes + restorer.end().len()
        });
}
