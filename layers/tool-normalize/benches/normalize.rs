//! How long it takes to normalize what a coding client sends late in a conversation: 450 KB, 300
//! items of all kinds, 25 tools of which 43 functions can be called.
//!
//! `cargo bench -p tower-responses-tool-normalize`

use divan::{Bencher, counter::BytesCount};
use tower_responses_core::json::Object;
use tower_responses_testing::long_request;
use tower_responses_tool_normalize::Normalizer;

fn main() {
    divan::main();
}

/// Parsed already, as by the first layer of a stack.
#[divan::bench(args = ["codex", "functions only"])]
fn normalize(bencher: Bencher<'_, '_>, kind: &str) {
    let text = bytes(kind);
    let normalizer = Normalizer::new();
    bencher
        .counter(BytesCount::new(text.len()))
        .with_inputs(|| Object::parse(text.clone()).expect("JSON"))
        .bench_values(|mut body| (normalizer.normalize(&mut body).expect("a good request"), body));
}

/// For comparison: all that is done to a request by this layer alone.
#[divan::bench(args = ["codex", "functions only"])]
fn parse_normalize_write(bencher: Bencher<'_, '_>, kind: &str) {
    let text = bytes(kind);
    let normalizer = Normalizer::new();
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let mut body = Object::parse(text.clone()).expect("JSON");
        (normalizer.normalize(&mut body).expect("a good request"), body.text())
    });
}

fn bytes(kind: &str) -> bytes::Bytes {
    long_request(kind == "codex").to_string().into()
}
