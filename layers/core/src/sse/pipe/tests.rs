#![allow(clippy::disallowed_methods)]

use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_responses_testing::{ScriptedBody, body_text, sse};

use super::*;
use crate::{BoxBody, json::Object, sse::EventStream};

/// Drops, doubles and changes events as their type says, and adds one at the end.
struct Editor {
    adds: bool,
}

impl EventFilter for Editor {
    fn event(&mut self, mut event: Event, next: &mut Events) {
        match event.kind() {
            "drop" => next.drop_event(&event),
            "double" => {
                next.push(event);
                next.push(Event::new(added()));
            }
            "change" => {
                event.object_mut().unwrap().set("x", "y");
                next.push(event);
            }
            _ => next.push(event),
        }
    }

    fn end(&mut self, end: StreamEnd, next: &mut Events) -> StreamEnd {
        if self.adds {
            next.push(Event::new(added()));
        }
        end
    }
}

fn added() -> Object {
    Object::parse(r#"{"type":"added"}"#.into()).unwrap()
}

fn numbered(kinds: &[&str]) -> Vec<Value> {
    kinds.iter().enumerate().map(|(number, kind)| json!({"type": kind, "sequence_number": number})).collect()
}

fn piped(text: &str, chunk: usize, adds: bool) -> String {
    let mut pipe = Pipe::new(Editor { adds }, 1 << 20);
    let mut out = Vec::new();
    for chunk in text.as_bytes().chunks(chunk) {
        out.extend(pipe.push(Bytes::copy_from_slice(chunk)).unwrap());
    }
    out.extend(pipe.end());
    String::from_utf8(out).unwrap()
}

fn streamed(text: &str, adds: bool) -> String {
    let body: BoxBody = ScriptedBody::new().data(text.to_owned()).map_err(Into::into).boxed_unsync();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(body_text(EventStream::new(body, 1 << 20).with_filter(Box::new(Editor { adds }))))
}

proptest! {
    #[test]
    fn does_what_a_stream_does(
        kinds in prop::collection::vec(prop::sample::select(vec!["drop", "double", "change", "keep"]), 0..8),
        tail in prop::sample::select(vec!["", "data: {\"type\":\"change\"}", "data: {\"ty", ": comment\n"]),
        chunk in 1..40usize,
        adds in any::<bool>(),
    ) {
        let text = sse(&numbered(&kinds)) + tail;
        prop_assert_eq!(piped(&text, chunk, adds), streamed(&text, adds));
    }
}

#[test]
fn frames_are_numbered_like_events() {
    let mut pipe = Pipe::new(Editor { adds: false }, 1 << 20);
    let mut frames = Vec::new();
    for event in numbered(&["keep", "drop", "double", "change"]) {
        frames.extend(pipe.frame(event.to_string().as_bytes()));
    }
    let frames: Vec<Value> = frames.iter().map(|frame| serde_json::from_slice(frame).unwrap()).collect();
    let number = |number: u8, mut event: Value| {
        event["sequence_number"] = json!(number);
        event
    };
    let expected = [
        json!({"type": "keep"}),
        json!({"type": "double"}),
        json!({"type": "added"}),
        json!({"type": "change", "x": "y"}),
    ];
    let expected: Vec<_> = (0..).zip(expected).map(|(at, event)| number(at, event)).collect();
    assert_eq!(frames, expected);
}

#[test]
fn a_frame_that_nobody_changes_keeps_its_bytes() {
    let mut pipe = Pipe::new(Editor { adds: false }, 1 << 20);
    for frame in ["{ \"type\" : \"keep\", \"n\":1.0e+2 }", "not json", "[1]"] {
        assert_eq!(pipe.frame(frame.as_bytes()), [frame]);
    }
    assert_eq!(pipe.frame(b"{\r\n\"type\":\n\"keep\"}"), ["{  \"type\": \"keep\"}"]);
}

#[test]
fn an_event_over_the_limit_is_an_error() {
    let mut pipe = Pipe::new(Editor { adds: false }, 8);
    assert!(pipe.push("data: 1\n\n".into()).is_ok());
    assert_eq!(pipe.push("data: 123456789".into()).unwrap_err(), EventTooLarge);
}
