#![allow(clippy::disallowed_methods)]

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tower_responses_testing::{ScriptedBody, body_text, parse_sse, sse};

use super::*;
use crate::{BoxBody, sse::EventStream};
use http_body_util::BodyExt;

const WHOLE: &str = r#"{"cmd":"ls"}"#;
const HALF: &str = r#"{"cmd":"rm -rf /tm"#;

fn function_call(index: i64, arguments: &str) -> Json {
    json!({"type": "function_call", "id": format!("fc_{index}"), "call_id": format!("call_{index}"), "name": "shell",
        "arguments": arguments, "status": "completed"})
}

fn custom_call(index: i64, input: &str) -> Json {
    json!({"type": "custom_tool_call", "id": format!("ctc_{index}"), "call_id": format!("call_{index}"), "name": "patch",
        "input": input})
}

fn added(index: i64) -> Json {
    json!({"type": "response.output_item.added", "output_index": index,
        "item": {"type": "function_call", "id": format!("fc_{index}"), "arguments": ""}})
}

fn done(index: i64, item: Json) -> Json {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn terminal(kind: &str, status: &str, output: Json) -> Json {
    json!({"type": format!("response.{kind}"), "response": {"id": "resp_1", "status": status, "output": output}})
}

fn other() -> Json {
    json!({"type": "response.output_text.delta", "delta": "x"})
}

fn number(events: &[Json]) -> Vec<Json> {
    let mut events = events.to_vec();
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events
}

async fn run_text(text: String, chunk: usize) -> String {
    let body: BoxBody = ScriptedBody::new().chunks_of(text, chunk).map_err(Into::into).boxed_unsync();
    body_text(EventStream::new(body, 1 << 20).with_filter(Box::<CutCalls>::default())).await
}

fn run(events: &[Json]) -> Vec<Json> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    parse_sse(&runtime.block_on(run_text(sse(&number(events)), 1 << 20)))
}

fn with_status(mut item: Json, status: &str) -> Json {
    item["status"] = json!(status);
    item
}

#[test]
fn what_is_not_in_doubt_passes_at_once() {
    for item in [
        function_call(0, WHOLE),
        function_call(0, "200"),
        json!({"type": "message", "content": []}),
        json!({"type": "tool_search_call", "arguments": {"query": "x"}}),
        json!({"type": "unheard_of"}),
    ] {
        let mut cut_calls = CutCalls::default();
        let mut next = Events::default();
        let text = sse(&[done(0, item.clone())]);
        cut_calls.event(Event::from_text(text.clone().into()), &mut next);
        let out: Vec<_> = next.drain().map(Event::into_text).collect();
        assert_eq!(out, [text], "{item}");
        assert!(!cut_calls.is_holding());
    }
}

#[test]
fn what_is_in_doubt_waits() {
    for item in [
        function_call(0, HALF),
        function_call(0, ""),
        custom_call(0, "*** Begin Patch"),
        custom_call(0, r#"{"input": "*** Be"#),
        with_status(function_call(0, WHOLE), "incomplete"),
        json!({"type": "tool_search_call", "arguments": "{\"que"}),
        json!({"type": "function_call", "name": "x"}),
    ] {
        let mut cut_calls = CutCalls::default();
        let mut next = Events::default();
        cut_calls.event(Event::from_text(sse(&[done(0, item.clone())]).into()), &mut next);
        assert_eq!(next.drain().count(), 0, "{item}");
        assert!(cut_calls.is_holding());
    }
}

#[test]
fn a_stream_that_completes_is_left_alone() {
    for item in [function_call(0, WHOLE), function_call(0, HALF), custom_call(0, "text"), function_call(0, "")] {
        let completed = terminal("completed", "completed", json!([item]));
        for events in [
            vec![added(0), done(0, item.clone()), completed.clone()],
            vec![done(0, item.clone()), completed.clone()],
            vec![added(0), done(0, item.clone()), added(1), done(1, function_call(1, WHOLE)), completed.clone()],
            vec![added(0), done(0, item.clone()), json!({"type": "response.completed"})],
            vec![added(0), done(0, item.clone()), json!({"type": "response.completed", "response": {"id": "r"}})],
        ] {
            let events = number(&events);
            assert_eq!(run(&events), events);
        }
    }
}

#[test]
fn a_call_that_was_cut_is_never_done() {
    let half = function_call(1, HALF);
    let whole = function_call(0, WHOLE);
    for (kind, status) in [
        ("incomplete", "incomplete"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        // vLLM 0.32 has no other terminal event.
        ("completed", "incomplete"),
    ] {
        for output in [json!([whole, half]), json!([whole]), json!([whole, with_status(half.clone(), "incomplete")])] {
            let events =
                [added(0), done(0, whole.clone()), added(1), done(1, half.clone()), terminal(kind, status, output)];
            let expected = [
                added(0),
                done(0, whole.clone()),
                added(1),
                terminal(kind, status, json!([whole, with_status(half.clone(), "incomplete")])),
            ];
            assert_eq!(run(&events), number(&expected), "{kind} {status}");
        }
    }
}

#[test]
fn free_text_waits_for_what_follows() {
    let item = custom_call(0, "*** Begin Patch");
    let marked = with_status(item.clone(), "incomplete");
    let cut = [added(0), done(0, item.clone()), terminal("incomplete", "incomplete", json!([item]))];
    assert_eq!(run(&cut), number(&[added(0), terminal("incomplete", "incomplete", json!([marked]))]));

    let message = json!({"type": "message", "content": []});
    let went_on = number(&[
        added(0),
        done(0, item.clone()),
        added(1),
        terminal("incomplete", "incomplete", json!([item, message])),
    ]);
    assert_eq!(run(&went_on), went_on);
}

#[test]
fn an_item_that_was_added_before_says_nothing_of_where_the_model_stands() {
    let (first, second) = (function_call(0, HALF), function_call(1, HALF));
    let events = [
        added(0),
        added(1),
        done(0, first.clone()),
        done(1, second.clone()),
        terminal("incomplete", "incomplete", json!([])),
    ];
    let marked = json!([with_status(first, "incomplete"), with_status(second, "incomplete")]);
    assert_eq!(run(&events), number(&[added(0), added(1), terminal("incomplete", "incomplete", marked)]));
}

#[test]
fn an_item_that_comes_without_being_added_does() {
    let events = number(&[
        done(0, function_call(0, HALF)),
        done(1, json!({"type": "message"})),
        terminal("completed", "completed", json!([])),
    ]);
    assert_eq!(run(&events), events);
}

#[test]
fn the_item_itself_added_again_is_not_another() {
    let item = function_call(0, HALF);
    let events = [done(0, item.clone()), added(0), terminal("incomplete", "incomplete", json!([item]))];
    let marked = json!([with_status(item, "incomplete")]);
    assert_eq!(run(&events), number(&[added(0), terminal("incomplete", "incomplete", marked)]));
}

#[test]
fn other_events_pass_and_numbers_stay_contiguous() {
    let item = function_call(0, HALF);
    let completed = terminal("completed", "completed", json!([]));
    let events = [added(0), done(0, item.clone()), other(), other(), completed.clone()];
    assert_eq!(run(&events), number(&[added(0), other(), other(), done(0, item), completed]));
}

#[test]
fn the_call_is_found_by_id_call_id_or_place() {
    let held = function_call(0, HALF);
    let without = |names: &[&str]| {
        let mut item = held.clone();
        for name in names {
            item.as_object_mut().unwrap().remove(*name);
        }
        item
    };
    for (item, listed) in [
        (held.clone(), without(&["call_id"])),
        (without(&["id"]), held.clone()),
        (without(&["id", "call_id"]), held.clone()),
        (held.clone(), without(&["id", "call_id"])),
    ] {
        let events = [added(0), done(0, item), terminal("incomplete", "incomplete", json!([listed]))];
        let marked = json!([with_status(listed, "incomplete")]);
        assert_eq!(run(&events), number(&[added(0), terminal("incomplete", "incomplete", marked)]));
    }
    let message = json!({"type": "message", "id": "fc_0"});
    let events = [done(0, held.clone()), terminal("incomplete", "incomplete", json!([message]))];
    let marked = json!([message, with_status(held, "incomplete")]);
    assert_eq!(run(&events), number(&[terminal("incomplete", "incomplete", marked)]));
}

#[test]
fn an_output_that_is_missing_is_added() {
    let item = function_call(0, HALF);
    let events = [done(0, item.clone()), json!({"type": "response.failed", "response": {"status": "failed"}})];
    let output = json!([with_status(item, "incomplete")]);
    let expected =
        json!({"type": "response.failed", "sequence_number": 0, "response": {"status": "failed", "output": output}});
    assert_eq!(run(&events), [expected]);
}

#[test]
fn a_stream_without_a_terminal_event_ends_without_the_call() {
    let events = [added(0), done(0, function_call(0, HALF))];
    assert_eq!(run(&events), number(&[added(0)]));

    let mut cut_calls = CutCalls::default();
    let mut next = Events::default();
    cut_calls.event(Event::from_text(sse(&events[1..]).into()), &mut next);
    let taken = cut_calls.take_cut(&mut next);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].decode::<Json>().unwrap(), with_status(function_call(0, HALF), "incomplete"));
    assert_eq!(next.drain().count(), 0);
}

#[test]
fn objects_are_marked_likewise() {
    let mark = |response: &Json| -> Json {
        let mut object = Object::parse(response.to_string().into()).unwrap();
        CutCalls::mark(&mut object);
        serde_json::from_slice(&object.text()).unwrap()
    };
    let output = json!([custom_call(0, "x"), function_call(1, WHOLE), function_call(2, HALF), custom_call(3, "x")]);
    let marked = json!([
        custom_call(0, "x"),
        function_call(1, WHOLE),
        with_status(function_call(2, HALF), "incomplete"),
        with_status(custom_call(3, "x"), "incomplete"),
    ]);
    for (status, expected) in
        [("incomplete", &marked), ("failed", &marked), ("completed", &output), ("queued", &output)]
    {
        let response = json!({"status": status, "output": output});
        assert_eq!(mark(&response), json!({"status": status, "output": expected}), "{status}");
    }
    assert_eq!(mark(&json!({"error": {}})), json!({"error": {}}));
}

#[test]
fn no_more_is_held_than_the_bound() {
    let mut events: Vec<_> = (0..300).map(added).collect();
    events.extend((0..300).map(|index| done(index, custom_call(index, "x"))));
    let mut cut_calls = CutCalls::default();
    let mut next = Events::default();
    for event in &events {
        cut_calls.event(Event::from_text(sse(std::slice::from_ref(event)).into()), &mut next);
    }
    assert!(cut_calls.held.len() <= MAX_HELD && cut_calls.open.len() <= MAX_HELD);
}

/// Items one after the other or interleaved, each added before it is done.
fn any_events() -> impl Strategy<Value = Vec<Json>> {
    let item = (0..4, any::<bool>());
    let end = prop_oneof![
        Just(terminal("completed", "completed", json!([]))),
        Just(terminal("completed", "incomplete", json!([function_call(1, HALF)]))),
        Just(other()),
    ];
    (prop::collection::vec(item, 0..6), end).prop_map(|(items, end)| {
        let mut events = Vec::new();
        let mut late = Vec::new();
        for (index, (kind, interleaved)) in (0..).zip(items) {
            let item = match kind {
                0 => function_call(index, WHOLE),
                1 => function_call(index, HALF),
                2 => custom_call(index, "é\n"),
                _ => json!({"type": "message"}),
            };
            events.extend([added(index), other()]);
            if interleaved {
                late.extend([done(index, item), other()]);
            } else {
                events.push(done(index, item));
            }
        }
        events.extend(late);
        events.push(end);
        number(&events)
    })
}

proptest! {
    #[test]
    fn chunks_make_no_difference_and_twice_is_once(events in any_events(), chunk in 1..17usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = sse(&events);
        let whole = runtime.block_on(run_text(text.clone(), 1 << 20));
        prop_assert_eq!(&runtime.block_on(run_text(text, chunk)), &whole);
        prop_assert_eq!(&runtime.block_on(run_text(whole.clone(), chunk)), &whole);
        for (number, event) in parse_sse(&whole).iter().enumerate() {
            prop_assert_eq!(&event["sequence_number"], &json!(number));
        }
    }
}
