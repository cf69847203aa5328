//! What a body costs that is checked, looked into, changed and written, by its size; beside it what
//! a tree of it costs.
//!
//! `cargo bench -p tower-responses-core --bench json`

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, counter::BytesCount};
use tower_responses_core::{
    ClientTool, ToolKind, ToolMap,
    json::{Object, Value},
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const KILOBYTES: [usize; 4] = [1, 50, 500, 5_000];

/// A request of so many KB, in messages of about 500 bytes.
fn request(kilobytes: usize) -> Bytes {
    let words = "the file function returns a string path when an error of the build is \\\"found\\\" ".repeat(5);
    let mut text = String::from(r#"{"model":"m","stream":true,"input":["#);
    while text.len() < kilobytes * 1024 - 400 {
        if !text.ends_with('[') {
            text.push(',');
        }
        text += r#"{"type":"message","role":"user","content":[{"type":"input_text","text":""#;
        text += &words;
        text += r#""}]}"#;
    }
    text += r#"],"tools":[],"store":false}"#;
    text.into()
}

/// The one check of a request, and the split into its members.
#[divan::bench(args = KILOBYTES)]
fn parse(bencher: Bencher<'_, '_>, kilobytes: usize) {
    let text = request(kilobytes);
    bencher.counter(BytesCount::new(text.len())).bench(|| Object::parse(text.clone()).expect("JSON"));
}

/// For comparison: what parsing into a tree and writing it costs, once.
#[divan::bench(args = KILOBYTES)]
#[allow(clippy::disallowed_methods, reason = "a comparison")]
fn tree_and_back(bencher: Bencher<'_, '_>, kilobytes: usize) {
    let text = request(kilobytes);
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let tree: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        tree.to_string()
    });
}

/// A member is replaced; the rest is written as it came.
#[divan::bench(args = KILOBYTES)]
fn edit_member_and_write(bencher: Bencher<'_, '_>, kilobytes: usize) {
    let text = request(kilobytes);
    bencher
        .counter(BytesCount::new(text.len()))
        .with_inputs(|| Object::parse(text.clone()).expect("JSON"))
        .bench_values(|mut body| {
            body.set("model", "other");
            body.text()
        });
}

/// Each item of `input` is looked at, the last one is changed.
#[divan::bench(args = KILOBYTES)]
fn open_items_and_write(bencher: Bencher<'_, '_>, kilobytes: usize) {
    let text = request(kilobytes);
    bencher
        .counter(BytesCount::new(text.len()))
        .with_inputs(|| Object::parse(text.clone()).expect("JSON"))
        .bench_values(|mut body| {
            let items = body.array_mut("input").expect("items");
            let messages = items.iter().filter(|item| item.member_str("type").as_deref() == Some("message")).count();
            let last = items.get_mut(items.len() - 1).and_then(Value::as_object_mut).expect("an item");
            last.set("id", "msg_1");
            (messages, body.text())
        });
}

const TOOLS: [usize; 3] = [1, 43, 500];

fn names(tools: usize) -> Vec<String> {
    (0..tools).map(|number| format!("mcp__server__tool_{number}")).collect()
}

fn tool_map(names: &[String]) -> ToolMap {
    let mut builder = ToolMap::builder();
    for name in names {
        let own = name.trim_start_matches("mcp__server__");
        builder.tool(name.as_str(), ClientTool::new(ToolKind::Function, Some("mcp__server"), own));
    }
    builder.alternates_by(|_, tool, also| also(&format!("server.{}", tool.name())));
    builder.build()
}

#[divan::bench(args = TOOLS)]
fn tool_map_build(bencher: Bencher<'_, '_>, tools: usize) {
    let names = names(tools);
    bencher.bench(|| tool_map(&names));
}

/// The name the tool was given.
#[divan::bench(args = TOOLS)]
fn tool_map_get(bencher: Bencher<'_, '_>, tools: usize) {
    let names = names(tools);
    let (map, last) = (tool_map(&names), names.last().expect("a name"));
    bencher.bench(|| divan::black_box(&map).get(divan::black_box(last)).expect("a tool").kind());
}

/// A name that models mistake for it.
#[divan::bench(args = TOOLS)]
fn tool_map_get_misspelt(bencher: Bencher<'_, '_>, tools: usize) {
    let names = names(tools);
    let map = tool_map(&names);
    let last = names.last().expect("a name").replace("mcp__server__", "server.");
    bencher.bench(|| divan::black_box(&map).get(divan::black_box(&last)).expect("a tool").kind());
}
