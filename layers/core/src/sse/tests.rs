#![allow(clippy::disallowed_methods)]

mod lines;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::json;
use tower_responses_testing::{ScriptedBody, body_text, parse_sse, sse};

use super::*;
use crate::{BoxBody, json::Value};

const MAX: usize = 1 << 20;

fn boxed(body: ScriptedBody) -> BoxBody {
    body.map_err(Into::into).boxed_unsync()
}

fn stream(body: ScriptedBody) -> EventStream {
    EventStream::new(boxed(body), MAX)
}

fn numbered(kinds: &[&str]) -> String {
    let event = |(n, kind)| json!({"type": kind, "sequence_number": n, "delta": "é\n"});
    sse(&kinds.iter().enumerate().map(event).collect::<Vec<_>>())
}

#[tokio::test]
async fn what_is_first_or_large_leaves_before_more_is_done() {
    let large = json!({"type": "large", "delta": "x".repeat(20_000)});
    let events = [json!({"type": "a"}), json!({"type": "b"}), large, json!({"type": "c"})].map(|event| sse(&[event]));
    let body = events.iter().fold(ScriptedBody::new(), |body, event| body.data(event.clone()));
    let mut stream = stream(body);
    let mut polled = Vec::new();
    let mut asked = 0;
    while polled.len() < events.len() {
        asked += 1;
        let frame = poll_fn(|cx| match Pin::new(&mut stream).poll_frame(cx) {
            Poll::Pending => Poll::Ready(None),
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.unwrap().into_data().unwrap())),
        });
        match frame.await {
            Some(data) => polled.push((asked, data)),
            None => assert!(matches!(polled.len(), 1 | 3), "once behind the first, once behind the large one"),
        }
    }
    let frames = polled.iter().map(|(asked, data)| (*asked, data.len())).collect::<Vec<_>>();
    let expected = [1, 3, 4, 6].into_iter().zip(events.iter().map(String::len)).collect::<Vec<_>>();
    assert_eq!(frames, expected);
}

/// Renames, drops, doubles and holds events, as their type says.
struct Editor {
    held: Option<(u8, Event)>,
}

impl EventFilter for Editor {
    fn event(&mut self, mut event: Event, next: &mut Events) {
        match event.kind() {
            "drop" => next.drop_event(&event),
            "rename" => {
                event.set_kind("renamed");
                next.push(event);
            }
            "double" => {
                let mut second = event.clone();
                second.object_mut().unwrap().remove("sequence_number");
                next.push(event);
                next.push(Event::new(second.object_mut().unwrap().clone()));
            }
            "hold" => self.held = Some((2, event)),
            _ => next.push(event),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        match self.held.take() {
            Some((0, event)) => next.push(event),
            Some((left, event)) => {
                self.held = Some((left - 1, event));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {}
        }
        Poll::Ready(())
    }

    fn end(&mut self, end: StreamEnd, next: &mut Events) -> StreamEnd {
        if let StreamEnd::Broken(error) = &end {
            let mut object = crate::json::Object::new();
            object.set("type", "response.failed");
            object.set("why", error.to_string().as_str());
            next.push(Event::new(object));
        }
        StreamEnd::Clean
    }
}

fn edited(body: ScriptedBody) -> EventStream {
    stream(body).with_filter(Box::new(Editor { held: None }))
}

const KINDS: [&str; 9] = ["a", "rename", "drop", "b", "double", "hold", "c", "drop", "d"];

#[tokio::test]
async fn untouched_events_leave_as_they_came() {
    let text = ": hi\n\nevent: x\r\ndata: {\"type\":\"x\"}\r\n\r\ndata: [DONE]\n\n\nid: 7\ndata:1\ndata: 2\n\n";
    for size in 1..=17 {
        let body = edited(ScriptedBody::new().chunks_of(text, size));
        assert_eq!(body_text(body).await, text, "in chunks of {size}");
    }
}

#[tokio::test]
async fn any_chunking_gives_the_same_output() {
    for text in [numbered(&KINDS), numbered(&KINDS).replace('\n', "\r\n"), numbered(&KINDS).replace("\ndata", "\rdata")]
    {
        let whole = body_text(edited(ScriptedBody::new().data(text.clone()))).await;
        for size in 1..=17 {
            let body = edited(ScriptedBody::new().chunks_of(text.clone(), size));
            assert_eq!(body_text(body).await, whole, "in chunks of {size}");
        }
        let kinds: Vec<_> = parse_sse(&whole.replace('\r', "\n").replace("\n\n\n\n", "\n\n"))
            .iter()
            .map(|e| e["type"].clone())
            .collect();
        assert_eq!(kinds, ["a", "renamed", "b", "double", "double", "hold", "c", "d"]);
    }
}

#[tokio::test]
async fn numbers_stay_contiguous() {
    let out = body_text(edited(ScriptedBody::new().data(numbered(&KINDS)))).await;
    let numbers: Vec<_> = parse_sse(&out).iter().map(|e| e["sequence_number"].as_i64()).collect();
    assert_eq!(numbers, (0..8).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_without_numbers_get_none() {
    let events = sse(&[json!({"type": "a"}), json!({"type": "double"}), json!({"type": "b"})]);
    let out = body_text(edited(ScriptedBody::new().data(events))).await;
    assert!(!out.contains("sequence_number"), "{out}");
}

#[tokio::test]
async fn a_renamed_event_changes_its_line_and_its_json_only() {
    let text = "id: 3\nevent: rename\nretry:5\ndata: {\"x\" : 1.0,\"type\":\"rename\"}\n\n";
    let out = body_text(edited(ScriptedBody::new().data(text))).await;
    assert_eq!(out, "event: renamed\nid: 3\nretry: 5\ndata: {\"x\" : 1.0,\"type\":\"renamed\"}\n\n");
}

#[tokio::test]
async fn neighbours_leave_in_one_frame_without_a_copy() {
    let text = Bytes::from(numbered(&["a", "b", "c"]).repeat(10));
    let mut body = edited(ScriptedBody::new().data(text.clone()));
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame.as_ptr(), text.as_ptr());
    assert_eq!(frame.len(), text.len());
}

#[tokio::test]
async fn an_error_passes_unless_a_filter_makes_up_for_it() {
    let broken =
        || ScriptedBody::new().data(numbered(&["a"])).data("data: {\"ty").error(io::ErrorKind::ConnectionReset);
    let mut plain = stream(broken());
    let first = plain.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, numbered(&["a"]));
    assert!(plain.frame().await.unwrap().is_err());
    assert!(plain.frame().await.is_none());

    let made_up = body_text(edited(broken())).await;
    let events = parse_sse(&made_up);
    assert_eq!(events.len(), 2, "half an event is gone: {made_up}");
    assert_eq!(events[1]["why"], "connection reset");
    assert_eq!(events[1]["sequence_number"], 1);
}

#[tokio::test]
async fn a_last_event_without_its_blank_line_counts() {
    let text = "data: {\"type\":\"rename\"}";
    assert_eq!(body_text(edited(ScriptedBody::new().data(text))).await, "data: {\"type\":\"renamed\"}\n\n");
    let text = "data: {\"type\":\"rena";
    assert_eq!(body_text(edited(ScriptedBody::new().data(text))).await, text, "half an event passes");
}

#[tokio::test]
async fn trailers_and_the_end_pass() {
    let trailers = HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
    let body = edited(ScriptedBody::new().data(numbered(&["a"])).pending().trailers(trailers.clone()));
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    let mut body = stream(ScriptedBody::new());
    assert!(body.frame().await.is_none());
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn an_event_over_the_limit_breaks_the_stream() {
    let mut body = EventStream::new(boxed(ScriptedBody::new().chunks_of("data: 0123456789".repeat(9), 5)), 64);
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn nothing_is_read_ahead_of_a_slow_reader() {
    let body = ScriptedBody::new().data(numbered(&["a"])).data(numbered(&["b"])).data(numbered(&["c"]));
    let watch = body.watch();
    let mut body = edited(body);
    body.frame().await.unwrap().unwrap();
    assert_eq!(watch.frames(), 1);
    drop(body);
    assert!(watch.is_dropped(), "and a client that leaves drops the upstream");
}

/// Says more when nothing comes, and is done after `last`.
struct Talker {
    left: u8,
    done: bool,
}

impl EventFilter for Talker {
    fn event(&mut self, event: Event, next: &mut Events) {
        self.done = event.kind() == "last";
        next.push(event);
    }

    fn poll_silence(&mut self, _: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        if self.left == 0 {
            return Poll::Pending;
        }
        self.left -= 1;
        next.push(Event::new(crate::json::Object::parse("{\"type\":\"tick\"}".into()).unwrap()));
        Poll::Ready(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

#[tokio::test]
async fn silence_can_be_filled() {
    let body = ScriptedBody::new().data(numbered(&["a"])).hang();
    let mut body = stream(body).with_filter(Box::new(Talker { left: 2, done: false }));
    for expected in [0, 1, 2] {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let events = parse_sse(std::str::from_utf8(&frame).unwrap());
        assert_eq!(events[0]["sequence_number"], expected);
    }
    let pending = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending())).await;
    assert!(pending);
}

#[tokio::test]
async fn the_body_ends_when_the_client_has_everything() {
    let script = ScriptedBody::new().data(numbered(&["a", "last", "after"])).data(numbered(&["b"])).hang();
    let watch = script.watch();
    let body = stream(script).with_filter(Box::new(Talker { left: 0, done: false }));
    assert_eq!(body_text(body).await, numbered(&["a", "last"]));
    assert_eq!(watch.frames(), 2, "what was there is read");
}

async fn events(mut stream: EventStream) -> (Vec<Bytes>, Option<String>) {
    let mut data = Vec::new();
    while let Some(event) = poll_fn(|cx| stream.poll_event(cx)).await {
        match event {
            Ok(event) => data.push(event.into_text()),
            Err(error) => return (data, Some(error.to_string())),
        }
    }
    assert!(poll_fn(|cx| stream.poll_event(cx)).await.is_none(), "the end stays");
    (data, None)
}

#[tokio::test]
async fn events_one_by_one_are_those_of_the_body() {
    let text = numbered(&KINDS);
    let whole = body_text(edited(ScriptedBody::new().data(text.clone()))).await;
    for size in 1..=text.len() {
        let (one_by_one, error) = events(edited(ScriptedBody::new().chunks_of(text.clone(), size).pending())).await;
        assert_eq!(one_by_one.concat(), whole.as_bytes(), "in chunks of {size}");
        assert_eq!((one_by_one.len(), error), (8, None));
    }
}

#[tokio::test]
async fn events_one_by_one_end_as_the_body_does() {
    let start = || ScriptedBody::new().data(numbered(&["a"])).data("data: {\"ty");
    let trailers = HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
    assert_eq!(events(stream(start().trailers(trailers))).await.0, [numbered(&["a"])], "half an event is left out");
    let (data, error) = events(stream(start().error(io::ErrorKind::ConnectionReset))).await;
    assert_eq!((data.len(), error.as_deref()), (1, Some("connection reset")));
    let (data, error) = events(edited(start().error(io::ErrorKind::ConnectionReset))).await;
    assert_eq!((data.len(), error), (2, None), "the filter makes up for it");
    let (data, error) =
        events(EventStream::new(boxed(ScriptedBody::new().chunks_of("data: {\"a\":1}\n\n", 4)), 8)).await;
    assert_eq!((data.len(), error), (0, Some(EventTooLarge.to_string())));

    let script = ScriptedBody::new().data(numbered(&["a", "last", "after"])).data(numbered(&["b"])).hang();
    let watch = script.watch();
    let (data, _) = events(stream(script).with_filter(Box::new(Talker { left: 0, done: false }))).await;
    assert_eq!((data.len(), watch.frames()), (2, 2), "what was there is read");
}

proptest! {
    #[test]
    fn the_splitter_gives_back_what_it_got(
        text in "\u{FEFF}?(data: |event: |:|\\{\"type\":\"x\"\\}|é|a|\u{FEFF}|\n|\r|\r\n){0,40}", sizes in prop::collection::vec(1..9usize, 1..20),
    ) {
        let split = |chunks: Vec<Bytes>| {
            let mut splitter = Splitter::new(MAX);
            let mut events = Vec::new();
            for chunk in chunks {
                splitter.push(chunk);
                while let Some(event) = splitter.next() {
                    events.push(event.unwrap());
                }
            }
            events.extend(splitter.finish());
            events
        };
        let source = Bytes::from(text.clone());
        let mut rest = source.clone();
        let mut sizes = sizes.into_iter().cycle();
        let chunks = std::iter::from_fn(|| {
            let size = sizes.next()?.min(rest.len());
            (size > 0).then(|| rest.split_to(size))
        });
        let cut = split(chunks.collect());
        prop_assert_eq!(cut.concat(), text.strip_prefix('\u{FEFF}').unwrap_or(&text).as_bytes());
        prop_assert_eq!(cut, split(vec![source]));
    }

    #[test]
    fn events_survive_anything(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut event = Event::from_text(text.clone().into());
        let _ = (event.kind().len(), event.sequence_number(), event.member_str("a").is_some());
        let _ = event.object_mut();
        prop_assert_eq!(event.into_text(), text);
    }

    #[test]
    fn data_is_what_serde_reads(value in any::<String>()) {
        let text = format!("event: e\ndata: {}\n\n", json!({"delta": value, "type": "t"}));
        let event = Event::from_text(text.into());
        prop_assert_eq!(event.member_str("delta").unwrap(), value);
        prop_assert_eq!(event.kind(), "t");
        prop_assert!(Value::parse(event.data().clone()).is_ok());
    }

    #[test]
    fn an_event_is_the_same_whoever_counts_its_lines(
        lines in prop::collection::vec("(event: |data: |:|)(\\{\"type\":\"x\"\\}|a|)(\n|\n|\n\n|\r\n|\r)", 0..12), size in 1..40usize,
    ) {
        let text = lines.concat();
        let (mut counted, mut split) = (Splitter::new(MAX), Splitter::new(MAX));
        for chunk in text.as_bytes().chunks(size) {
            let chunk = Bytes::copy_from_slice(chunk);
            counted.push(chunk.clone());
            split.push(chunk);
            while let Some(event) = counted.next_event() {
                let (event, expected) = (event.unwrap(), Event::from_text(split.next().unwrap().unwrap()));
                prop_assert_eq!(event.kind(), expected.kind());
                prop_assert_eq!(event.data(), expected.data());
                prop_assert_eq!(event.into_text(), expected.into_text());
            }
            prop_assert!(split.next().is_none());
        }
    }
}

#[tokio::test]
async fn an_upstream_that_goes_on_after_the_end_is_given_up() {
    let endless = ScriptedBody::new().data(numbered(&["last"])).chunks_of(vec![b'x'; 10_000], 1);
    let watch = endless.watch();
    let body = stream(endless).with_filter(Box::new(Talker { left: 0, done: false }));
    assert_eq!(body_text(body).await, numbered(&["last"]));
    assert!(watch.is_dropped());
    assert!(watch.frames() < 100, "{} frames", watch.frames());
}
