#![allow(clippy::disallowed_methods)]

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use tokio::time::{Instant, advance};
use tower_responses_core::ResponseBody;
use tower_responses_testing::{ScriptedBody, body_text, parse_sse};

use super::*;
use crate::Fixes;

fn quirks() -> Quirks {
    Quirks::new(Profile::Vllm)
}

fn stream(quirks: &Quirks) -> Stream {
    Stream::new(quirks, Tally::new(quirks.fixes), Echo::default())
}

fn fixture(name: &str) -> Bytes {
    let path = format!("{}/tests/fixtures/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(path).unwrap();
    let head = text.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    Bytes::from(text).slice(head + 4..)
}

/// The fixtures whose body is not chunked.
const PLAIN: [&str; 24] = [
    "good-text",
    "good-call",
    "cut-in-call",
    "cut-in-text",
    "cut-in-reasoning",
    "cut-in-event",
    "garbage",
    "error-event",
    "error-untyped",
    "failed-overflow",
    "no-created",
    "done-marker",
    "no-added",
    "no-done",
    "call-without-events",
    "call-without-added",
    "empty-final-output",
    "ids-differ",
    "numbers-minus-one",
    "number-missing-at-end",
    "whitespace-message",
    "status-null-stream",
    "no-arrays",
    "usage-empty-details",
];

fn events(text: &str) -> Vec<Json> {
    // What is made here has ids and times of its own.
    fn fix(value: &mut Json) {
        match value {
            Json::Object(members) => {
                members.retain(|name, _| !matches!(name.as_str(), "created_at" | "completed_at"));
                members.values_mut().for_each(fix);
            }
            Json::Array(values) => values.iter_mut().for_each(fix),
            Json::String(text) if text.len() > 30 => *text = "…".to_owned(),
            _ => {}
        }
    }
    let mut events = parse_sse(text);
    events.iter_mut().for_each(fix);
    events
}

#[tokio::test]
async fn chunks_do_not_matter() {
    for name in PLAIN {
        let body = fixture(name);
        let mut expected = None;
        for size in [body.len().max(1), 1, 2, 3, 7, 64, 500, 1021] {
            let script = ScriptedBody::new().chunks_of(body.clone(), size);
            let body = ResponseBody::new(script).with_filter(Box::new(stream(&quirks())), 1 << 20);
            let seen = events(&body_text(body).await);
            assert_eq!(*expected.get_or_insert_with(|| seen.clone()), seen, "{name} in chunks of {size}");
        }
    }
}

/// Wherever a stream is cut, the client is told, and no call is done that was not.
#[tokio::test]
async fn a_cut_anywhere_is_told() {
    for name in ["good-text", "good-call", "whitespace-message", "no-arrays"] {
        let body = fixture(name);
        let end = body.len() - 2;
        for cut in (0..end).step_by(11) {
            let script = ScriptedBody::new().data(body.slice(..cut)).error(std::io::ErrorKind::ConnectionReset);
            let stream = ResponseBody::new(script).with_filter(Box::new(stream(&quirks())), 1 << 20);
            let seen = parse_sse(&body_text(stream).await);
            let last = seen.last().unwrap();
            if last["type"] == "response.completed" {
                assert!(body[..cut].ends_with(b"}"), "{name} cut at {cut} of {end}: the event was whole");
                continue;
            }
            assert_eq!(last["type"], "response.failed", "{name} cut at {cut}");
            assert_eq!(seen[0]["type"], "response.created");
            for (at, event) in seen.iter().enumerate() {
                assert_eq!(event["sequence_number"], at, "{name} cut at {cut}: {event}");
                if event["type"] == "response.output_item.done" {
                    let item = &last["response"]["output"][at_index(event)];
                    assert_eq!(event["item"], *item, "{name} cut at {cut}");
                    assert!(item["arguments"].is_null() || item["arguments"] == "{\"cmd\":\"ls\"}");
                }
            }
        }
    }
}

fn at_index(event: &Json) -> usize {
    usize::try_from(event["output_index"].as_u64().unwrap()).unwrap()
}

/// However many items were told of and never done, what ends them takes time that is linear in them.
#[tokio::test]
async fn many_items_that_were_left_open_are_ended() {
    const MANY: usize = 20_000;
    let item = |at| format!(r#"{{"id":"msg_{at}","type":"message","role":"assistant","content":[]}}"#);
    let event = |kind: &str, rest: String| format!("data: {{\"type\":\"response.{kind}\",{rest}}}\n\n");
    let added = |at: usize| event("output_item.added", format!(r#""output_index":{at},"item":{}"#, item(at)));
    let output: Vec<_> = (0..2 * MANY).map(item).collect();
    let response = format!(r#""response":{{"id":"r","status":"completed","output":[{}]}}"#, output.join(","));
    let text: String = (0..MANY).map(added).chain([event("completed", response)]).collect();
    let start = std::time::Instant::now();
    let body = ResponseBody::new(ScriptedBody::new().data(text)).with_filter(Box::new(stream(&quirks())), 64 << 20);
    let text = body_text(body).await;
    assert_eq!(text.matches("event: response.output_item.done\n").count(), 2 * MANY);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled() {
    let begun = Instant::now();
    let created = r#"data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","output":[],"instructions":"x"}}"#;
    let script = ScriptedBody::new().data(format!("{created}\n\n: ping\n\n")).hang();
    let mut body = ResponseBody::new(script).with_filter(Box::new(stream(&quirks())), 1 << 20);
    let mut beats = 0;
    while beats < 3 {
        let frame = http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap().into_data().unwrap();
        for event in parse_sse(std::str::from_utf8(&frame).unwrap()) {
            if event["type"] == "response.in_progress" {
                beats += 1;
                assert_eq!(event["sequence_number"], beats);
                assert_eq!(event["response"]["id"], "resp_1");
                assert_eq!(begun.elapsed().as_secs(), 15 * beats);
            }
        }
    }
}

/// An event moves the next beat; the timer itself is set once for each silence.
#[tokio::test(start_paused = true)]
async fn an_event_moves_the_beat() {
    let mut pulse = Pulse::new(Duration::from_secs(10), Duration::ZERO);
    for _ in 0..5 {
        pulse.feel();
        assert!(std::future::poll_fn(|cx| Poll::Ready(pulse.poll_silence(cx))).await.is_pending());
        advance(Duration::from_secs(6)).await;
    }
    let begun = Instant::now();
    std::future::poll_fn(|cx| pulse.poll_silence(cx)).await;
    assert_eq!(begun.elapsed().as_secs(), 4);
}

/// The events of a message, as vLLM ends it, and what a stream makes of them.
fn last_message(text: &str, rest: &[Json]) -> Vec<Json> {
    let item = |status: &str, content: Json| json!({"type": "message", "id": "m", "role": "assistant", "status": status, "content": content});
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let about = json!({"item_id": "m", "output_index": 0, "content_index": 0});
    let event = |kind: &str, more: Json| {
        let mut event = about.clone();
        event["type"] = json!(kind);
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let mut events = vec![
        json!({"type": "response.created", "response": {"id": "r", "output": []}}),
        event("response.output_item.added", json!({"item": item("in_progress", json!([]))})),
        event(
            "response.content_part.added",
            json!({"part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}}),
        ),
        event("response.output_text.delta", json!({"delta": text, "logprobs": []})),
        event("response.output_text.done", json!({"text": text, "logprobs": []})),
        event("response.content_part.done", json!({"part": part})),
        event("response.output_item.done", json!({"item": item("completed", json!([part]))})),
    ];
    events.extend_from_slice(rest);
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events
}

async fn run(events: &[Json]) -> Vec<Json> {
    let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let body = ResponseBody::new(ScriptedBody::new().data(text)).with_filter(Box::new(stream(&quirks())), 1 << 20);
    parse_sse(&body_text(body).await)
}

/// The last item of a response that was cut says so already where it is done; no other does.
#[tokio::test]
async fn the_item_that_was_cut_says_so_when_it_is_done() {
    let terminal = |status: &str| {
        json!({"type": "response.completed", "response": {"id": "r", "status": status,
        "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": []}]}})
    };
    let call = json!({"type": "response.output_item.added", "output_index": 1,
        "item": {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "", "status": "in_progress"}});
    let status = async |events: &[Json]| {
        let seen = run(events).await;
        let numbers: Vec<_> = seen.iter().map(|event| event["sequence_number"].clone()).collect();
        assert_eq!(numbers, (0..seen.len()).map(|number| json!(number)).collect::<Vec<_>>());
        let done = seen.iter().position(|event| event["type"] == "response.output_item.done").unwrap();
        assert_eq!(done, 6, "in its place");
        seen[done]["item"]["status"].clone()
    };
    for text in ["Hello", " \n"] {
        assert_eq!(status(&last_message(text, &[terminal("incomplete")])).await, "incomplete");
        assert_eq!(status(&last_message(text, &[terminal("completed")])).await, "completed");
    }
    assert_eq!(status(&last_message("Hello", &[call, terminal("incomplete")])).await, "completed");
    assert_eq!(status(&last_message("Hello", &[json!({"type": "response.completed"})])).await, "completed");
}

/// What is held for that waits for a moment, not for the model.
#[tokio::test(start_paused = true)]
async fn the_end_of_an_item_does_not_wait_for_long() {
    let text: String = last_message("Hello", &[]).iter().map(|event| format!("data: {event}\n\n")).collect();
    let mut body =
        ResponseBody::new(ScriptedBody::new().data(text).hang()).with_filter(Box::new(stream(&quirks())), 1 << 20);
    let begun = Instant::now();
    let mut seen = String::new();
    while !seen.contains("output_item.done") {
        let frame = http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap().into_data().unwrap();
        seen += std::str::from_utf8(&frame).unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::from_millis(100));
    assert_eq!(parse_sse(&seen).last().unwrap()["item"]["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_an_event_is_opened_by_the_first_beat() {
    let script = ScriptedBody::new().hang();
    let mut body = ResponseBody::new(script).with_filter(Box::new(stream(&quirks())), 1 << 20);
    let begun = Instant::now();
    let frame = http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(parse_sse(std::str::from_utf8(&frame).unwrap())[0]["type"], "response.created");
}

#[tokio::test(start_paused = true)]
async fn after_the_end_the_upstream_is_waited_for_no_longer_than_said() {
    let begun = Instant::now();
    let script = ScriptedBody::new().data(fixture("good-text")).hang();
    let watch = script.watch();
    let body = ResponseBody::new(script).with_filter(Box::new(stream(&quirks())), 1 << 20);
    assert_eq!(events(&body_text(body).await).last().unwrap()["type"], "response.completed");
    assert_eq!(begun.elapsed(), Duration::from_millis(20));
    assert!(watch.is_dropped());
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_upstream_with_it() {
    let script = ScriptedBody::new().data(fixture("cut-in-text")).hang();
    let watch = script.watch();
    let mut body = ResponseBody::new(script).with_filter(Box::new(stream(&quirks())), 1 << 20);
    http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap();
    drop(body);
    assert!(watch.is_dropped());
}

/// The text of open items is kept, but not without end.
#[tokio::test]
async fn what_is_kept_is_bounded() {
    let mut stream = stream(&quirks());
    let mut next = Events::default();
    let mut events = vec![
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "output": []}}),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
            "item": {"type": "message", "id": "m", "role": "assistant", "status": "in_progress", "content": []}}),
    ];
    events.extend((2..300).map(|number| {
        json!({"type": "response.output_text.delta", "sequence_number": number, "output_index": 0,
            "content_index": 0, "item_id": "m", "logprobs": [], "delta": "x".repeat(10_000)})
    }));
    for event in events {
        stream.event(Event::from_text(format!("data: {event}\n\n").into()), &mut next);
    }
    next.drain().for_each(drop);
    assert!(matches!(stream.end(StreamEnd::Clean, &mut next), StreamEnd::Clean));
    let failed = next.drain().last().unwrap();
    let length = failed.into_text().len();
    assert!((1_000_000..1_100_000).contains(&length), "{length}");
}

#[test]
fn without_fixes_nothing_changes() {
    let mut quirks = quirks();
    quirks.fixes = Fixes::NONE;
    for name in PLAIN {
        let mut stream = stream(&quirks);
        let mut splitter = tower_responses_core::sse::Splitter::new(1 << 20);
        let mut next = Events::default();
        splitter.push(fixture(name));
        while let Some(Ok(text)) = splitter.next() {
            stream.event(Event::from_text(text.clone()), &mut next);
            assert!(next.drain().map(Event::into_text).eq([text]), "{name}");
        }
    }
}

#[test]
fn a_stream_takes_little_room() {
    let size = size_of::<Stream>();
    assert!(size < 768, "{size} bytes");
    let size = size_of::<crate::Answer>();
    assert!(size < 160, "{size} bytes, for each answer that is no stream too");
}
