//! What cutting a stream into events costs, and looking at each: 4,000 text deltas as vLLM 0.32
//! writes them, in chunks of one event, of many, and of a part of one.
//!
//! `cargo bench -p tower-responses-core --bench sse`

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use tower_responses_core::sse::{Event, Splitter};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const EVENTS: usize = 4_000;

/// All events are of the same length.
fn chunks(of: &str) -> Vec<Bytes> {
    let event = |number: usize| {
        format!(
            "event: response.output_text.delta\ndata: {{\"content_index\":0,\"delta\":\" word\",\"item_id\":\"msg_1\",\
             \"logprobs\":[],\"output_index\":0,\"sequence_number\":{number},\
             \"type\":\"response.output_text.delta\"}}\n\n"
        )
    };
    let text: Bytes = (1000..1000 + EVENTS).map(event).collect::<String>().into();
    let size = match of {
        "an event" => text.len() / EVENTS,
        "64 KB" => 65_536,
        _ => 50,
    };
    (0..text.len()).step_by(size).map(|start| text.slice(start..text.len().min(start + size))).collect()
}

const CHUNKS: [&str; 3] = ["an event", "64 KB", "50 bytes"];

#[divan::bench(args = CHUNKS)]
fn split(bencher: Bencher<'_, '_>, of: &str) {
    each(bencher, of, |text| text.len());
}

/// Split, and what every filter asks of an event.
#[divan::bench(args = CHUNKS)]
fn split_and_tell_kinds(bencher: Bencher<'_, '_>, of: &str) {
    each(bencher, of, |text| {
        let event = Event::from_text(text);
        assert!(event.is_delta());
        event.into_text().len()
    });
}

fn each(bencher: Bencher<'_, '_>, of: &str, mut work: impl FnMut(Bytes) -> usize) {
    let chunks = chunks(of);
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let (mut splitter, mut count, mut bytes) = (Splitter::new(1 << 20), 0, 0);
        for chunk in &chunks {
            splitter.push(chunk.clone());
            while let Some(event) = splitter.next() {
                bytes += work(event.expect("a small event"));
                count += 1;
            }
        }
        assert_eq!(count, EVENTS);
        bytes
    });
}
