//! Any bytes, in any chunks: a filter that changes nothing gives them back, and what restoration
//! makes of them does not depend on the chunks.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tower_responses_call_restore::Restorer;
use tower_responses_core::{
    ClientTool, ToolKind, ToolMap,
    json::Value,
    sse::{Event, EventFilter, Events, Pipe},
};

static MAP: LazyLock<ToolMap> = LazyLock::new(|| {
    let mut map = ToolMap::builder();
    map.tool("n__f", ClientTool::new(ToolKind::Function, Some("n"), "f"));
    map.tool("c", ClientTool::new(ToolKind::Custom, None, "c"));
    map.tool("n__c", ClientTool::new(ToolKind::Custom, Some("n"), "c"));
    map.tool("s", ClientTool::new(ToolKind::ToolSearch, None, "s"));
    map.build()
});

struct Nothing;

impl EventFilter for Nothing {
    fn event(&mut self, event: Event, next: &mut Events) {
        // Whatever is asked of an event, it stays what it is.
        let _ = (event.kind(), event.member("item"), event.sequence_number());
        next.push(event);
    }
}

const PRETTY: &str = "[\r\n  \"echo\"\r]";

/// Writes JSON on several lines into every event that is JSON.
struct Echo;

impl EventFilter for Echo {
    fn event(&mut self, mut event: Event, next: &mut Events) {
        if let Some(object) = event.object_mut() {
            object.set("echo", Value::from_text(PRETTY));
        }
        next.push(event);
    }
}

fn run(filter: impl EventFilter, text: &Bytes, chunk: usize) -> Vec<u8> {
    let mut pipe = Pipe::new(filter, 1 << 20);
    let mut out = Vec::new();
    let mut rest = text.clone();
    while !rest.is_empty() {
        let chunk = rest.split_to(chunk.min(rest.len()));
        out.extend(pipe.push(chunk).expect("no event is that large"));
    }
    out.extend(pipe.end());
    out
}

fuzz_target!(|data: &[u8]| {
    let Some((chunk, text)) = data.split_first() else { return };
    let (chunk, text) = (usize::from(*chunk) + 1, Bytes::copy_from_slice(text));

    let same = run(Nothing, &text, chunk);
    // A byte order mark belongs to no event.
    let came = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    let added = same.strip_prefix(came).expect("the bytes that came");
    // An event that lacks nothing but the blank line gets it.
    assert!(added.is_empty() || added == b"\n\n");
    assert_eq!(run(Nothing, &text, text.len().max(1)), same);

    // What is written into an event stays in its line of data.
    let echoed = run(Echo, &text, chunk);
    assert_eq!(run(Echo, &text, text.len().max(1)), echoed);
    assert!(!echoed.windows(PRETTY.len()).any(|part| part == PRETTY.as_bytes()));

    let restored = run(Restorer::new(MAP.clone()), &text, chunk);
    // Ids that are made up differ from response to response.
    if !restored.windows(5).any(|part| part == b"call_") {
        assert_eq!(run(Restorer::new(MAP.clone()), &text, text.len().max(1)), restored);
    }
});
