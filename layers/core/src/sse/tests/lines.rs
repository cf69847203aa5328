//! JSON that stands on several lines, and lines that end in other ways than with LF: whatever is
//! written into an event, and however one comes, each that leaves is one that every client reads.

use tower_responses_testing::read_events;

use super::*;
use crate::json::Object;

/// JSON as people write it who look at it, with every kind of line end.
const PRETTY: &str = "{\r\n  \"a\" : [\n    1,\r    2\n  ],\n  \"b\": \"x\\ny\"\n}";

/// Writes pretty JSON into every event, in all the ways there are.
struct Echo;

impl EventFilter for Echo {
    fn event(&mut self, mut event: Event, next: &mut Events) {
        match event.kind() {
            "set" => event.object_mut().unwrap().set("echo", Value::from_text(PRETTY)),
            "nested" => {
                let response = event.object_mut().unwrap().object_mut("response").unwrap();
                response.set("echo", Value::parse(PRETTY.into()).unwrap());
            }
            "new" => {
                let mut object = Object::parse(PRETTY.into()).unwrap();
                object.set("type", "made");
                next.push(Event::new(object));
            }
            "rename" => event.set_kind("re\r\nnamed"),
            _ => {}
        }
        next.push(event);
    }
}

fn echoed(text: &str, chunk: usize) -> String {
    let body = stream(ScriptedBody::new().chunks_of(text.to_owned(), chunk)).with_filter(Box::new(Echo));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(body_text(body))
}

#[test]
fn line_ends_of_what_is_written_into_an_event_do_not_reach_the_wire() {
    let text = "data: {\"type\":\"set\"}\n\nevent: x\ndata: {\"type\":\"nested\",\"response\":{}}\n\n\
        data: {\"type\":\"new\"}\n\nevent: rename\ndata: {\"type\":\"rename\"}\n\n";
    let out = echoed(text, MAX);
    let pretty: serde_json::Value = serde_json::from_str(PRETTY).unwrap();
    let mut made = pretty.clone();
    made["type"] = json!("made");
    let expected = [
        json!({"type": "set", "echo": pretty}),
        json!({"type": "nested", "response": {"echo": pretty}}),
        made,
        json!({"type": "new"}),
        json!({"type": "re\r\nnamed"}),
    ];
    let read: Vec<serde_json::Value> =
        read_events(&out).iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(read, expected, "{out:?}");
    for event in out.split_terminator("\n\n") {
        let lines: Vec<_> = event.split(['\n', '\r']).collect();
        assert!(lines.iter().all(|line| line.starts_with("data: ") || line.starts_with("event: ")), "{event:?}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("data: ")).count(), 1, "one line of data: {event:?}");
    }
}

#[test]
fn text_that_is_no_json_keeps_its_lines_when_its_event_is_renamed() {
    let mut event = Event::from_text("event: a\ndata: one\ndata: two\n\n".into());
    event.set_kind("b");
    assert_eq!(event.into_text(), "event: b\ndata: one\ndata: two\n\n");
}

#[test]
fn an_event_on_several_lines_is_understood() {
    for text in [
        "data: {\"type\":\ndata:\"set\",\ndata:  \"n\": 1}\n\n",
        "event: other\r\ndata: {\r\ndata: \"type\":\"set\",\"n\":1\r\ndata: }\r\n\r\n",
        "\u{FEFF}data\rdata:{\"type\":\"set\"\r: comment\rid\rdata:,\"n\":1}\r\r",
        "data\ndata: {\"n\":1,\"type\":\"set\"}\ndata:\n\n",
    ] {
        let out = echoed(text, MAX);
        let events = read_events(&out);
        assert_eq!(events.len(), 1, "{out:?}");
        let read: serde_json::Value = serde_json::from_str(&events[0].1).unwrap();
        assert_eq!((&read["n"], &read["echo"]["a"]), (&json!(1), &json!([1, 2])), "{out:?}");
        for size in 1..text.len() {
            assert_eq!(echoed(text, size), out, "in chunks of {size}");
        }
    }
}

#[test]
fn the_end_of_an_event_with_bare_crs_is_not_waited_for() {
    let mut splitter = Splitter::new(MAX);
    splitter.push("data: 1\r\r".into());
    assert_eq!(splitter.next().unwrap().unwrap(), "data: 1\r\r");
    splitter.push("data: 2\r\n\r".into());
    assert!(splitter.next().is_none(), "an LF may belong to it");
    splitter.push("\n".into());
    assert_eq!(splitter.next().unwrap().unwrap(), "data: 2\r\n\r\n");
}

/// What stands between two tokens of the JSON: nothing, or the end of one line and the start of the
/// next, perhaps with a line of another kind between them.
fn any_gap() -> impl Strategy<Value = String> {
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    let other = prop::sample::select(vec!["", "", ": hi", "id: 7", "event: what", "retry", "data"]);
    let data = prop::sample::select(vec!["data:", "data: "]);
    (any::<bool>(), end, other, data).prop_map(|(cut, end, other, data)| match (cut, other) {
        (false, _) => String::new(),
        (true, "") => format!("{end}{data}"),
        (true, other) => format!("{end}{other}{end}{data}"),
    })
}

fn any_event() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec!["set", "nested", "new", "rename", "other"]);
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (kind, prop::collection::vec(any_gap(), 7), end).prop_map(|(kind, gaps, end)| {
        let kind = format!("\"{kind}\"");
        let tokens = ["{", "\"type\":", &kind, ",", "\"response\"", ":{}", ",\"é\":\"\\n\"", "}"];
        let gaps = gaps.iter().map(String::as_str).chain([""]);
        let json: String = tokens.into_iter().zip(gaps).flat_map(|(token, gap)| [token, gap]).collect();
        format!("data:{json}{end}{end}")
    })
}

fn any_stream() -> impl Strategy<Value = String> {
    let mark = prop::sample::select(vec!["", "\u{FEFF}"]);
    (mark, prop::collection::vec(any_event(), 1..6)).prop_map(|(mark, events)| mark.to_owned() + &events.concat())
}

proptest! {
    #[test]
    fn any_stream_in_any_chunks_leaves_as_the_same_readable_events(text in any_stream(), chunk in 1..40usize) {
        let out = echoed(&text, MAX);
        prop_assert_eq!(&echoed(&text, chunk), &out, "in chunks of {}", chunk);
        let kind = |(_, data): &(String, String)| {
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            data["type"].as_str().unwrap().to_owned()
        };
        let came: Vec<_> = read_events(&text).iter().map(kind).collect();
        let left: Vec<_> = read_events(&out).iter().map(kind).filter(|kind| kind != "made").collect();
        let renamed = |kind: String| if kind == "rename" { "re\r\nnamed".to_owned() } else { kind };
        let expected: Vec<_> = came.into_iter().map(renamed).collect();
        prop_assert_eq!(left, expected);
    }
}
