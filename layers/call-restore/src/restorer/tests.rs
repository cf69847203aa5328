#![allow(clippy::disallowed_methods)]

mod counters;
mod fidelity;
mod native;
mod rows;

use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower_responses_core::{BoxBody, ClientTool, sse::EventStream};
use tower_responses_testing::{ScriptedBody, body_text, parse_sse, read_events, sse};

use super::*;
use crate::StreamRestorer;

const MAX: usize = 1 << 20;

/// One tool of each kind, within a namespace and by itself.
pub(super) fn map() -> ToolMap {
    let mut map = ToolMap::builder();
    map.tool("shell", ClientTool::new(ToolKind::Function, None, "shell"));
    map.tool("sp_ace_1f", ClientTool::new(ToolKind::Function, None, "sp ace"));
    map.tool("mcp__fs__read", ClientTool::new(ToolKind::Function, Some("mcp__fs"), "read"));
    map.tool("apply_patch", ClientTool::new(ToolKind::Custom, None, "apply_patch"));
    map.tool("js__exec", ClientTool::new(ToolKind::Custom, Some("js"), "exec"));
    map.tool("tool_search", ClientTool::new(ToolKind::ToolSearch, None, "tool_search"));
    for near in ["mcp__fs.read", "mcp__fs/read", "read", "functions.mcp__fs__read"] {
        map.alternate(near, "mcp__fs__read");
    }
    map.build()
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

pub(super) fn run_text(map: &ToolMap, text: &str, chunk: usize) -> String {
    let body: BoxBody = ScriptedBody::new().chunks_of(text.to_owned(), chunk).map_err(Into::into).boxed_unsync();
    let mut restorer = Restorer::new(map.clone());
    restorer.seed = 7;
    runtime().block_on(body_text(EventStream::new(body, MAX).with_filter(Box::new(restorer))))
}

/// The events as the client gets them: over a body and a pipe, in chunks of any size, and over
/// frames.
pub(super) fn restore_with(map: &ToolMap, events: &[Json]) -> Vec<Json> {
    let text = sse(&number(events));
    let out = run_text(map, &text, MAX);
    for chunk in 1..=17 {
        assert_eq!(run_text(map, &text, chunk), out, "in chunks of {chunk}");
    }
    let mut pipe = pipe(map);
    let mut piped = Vec::new();
    for chunk in text.as_bytes().chunks(13) {
        piped.extend(pipe.push(bytes::Bytes::copy_from_slice(chunk)).unwrap());
    }
    piped.extend(pipe.end());
    assert_eq!(String::from_utf8(piped).unwrap(), out);

    let mut pipe = self::pipe(map);
    let frames = number(events).into_iter().flat_map(|event| pipe.frame(event.to_string().as_bytes()));
    let frames: Vec<Json> = frames.map(|frame| serde_json::from_slice(&frame).unwrap()).collect();
    let out = parse_sse(&out);
    assert_eq!(frames, out);
    out
}

fn pipe(map: &ToolMap) -> StreamRestorer {
    let mut restorer = Restorer::new(map.clone());
    restorer.seed = 7;
    StreamRestorer::new(restorer, MAX)
}

pub(super) fn restore(events: &[Json]) -> Vec<Json> {
    restore_with(&map(), events)
}

/// Restores a stream and checks what comes out.
#[track_caller]
pub(super) fn check(events: &[Json], expected: &[Json]) {
    let (out, expected) = (restore(events), number(expected));
    for (out, expected) in out.iter().zip(&expected) {
        assert_eq!(out, expected);
    }
    assert_eq!(out.len(), expected.len(), "{out:#?}");
}

pub(super) fn number(events: &[Json]) -> Vec<Json> {
    let mut events = events.to_vec();
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events
}

pub(super) fn restore_object(map: &ToolMap, object: &Json) -> Json {
    let mut object = Object::parse(object.to_string().into()).unwrap();
    let mut restorer = Restorer::new(map.clone());
    restorer.seed = 7;
    restorer.restore_object(&mut object);
    serde_json::from_slice(&object.text()).unwrap()
}

/// An item of the upstream.
pub(super) fn function_call(name: &str, arguments: &str) -> Json {
    json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": arguments,
        "status": "completed"})
}

pub(super) fn custom_call(name: &str, input: &str) -> Json {
    json!({"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": name, "input": input,
        "status": "completed"})
}

pub(super) fn search_call(arguments: Json) -> Json {
    json!({"type": "tool_search_call", "id": "tsc_1", "call_id": "call_1", "arguments": arguments,
        "execution": "client", "status": "completed"})
}

pub(super) fn with(mut item: Json, members: Json) -> Json {
    for (name, value) in members.as_object().unwrap() {
        item[name] = value.clone();
    }
    item
}

pub(super) fn without(mut item: Json, names: &[&str]) -> Json {
    for name in names {
        item.as_object_mut().unwrap().remove(*name);
    }
    item
}

pub(super) fn item_event(kind: &str, item: &Json) -> Json {
    json!({"type": format!("response.output_item.{kind}"), "output_index": 0, "item": item})
}

pub(super) fn delta(kind: &str, item_id: &str, delta: &str) -> Json {
    json!({"type": format!("response.{kind}.delta"), "item_id": item_id, "output_index": 0, "delta": delta})
}

pub(super) fn response_event(kind: &str, output: &[Json]) -> Json {
    let status = if kind == "created" { "in_progress" } else { kind };
    json!({"type": format!("response.{kind}"), "response": {"object": "response", "id": "resp_1", "status": status,
        "output": output}})
}

/// The events of one call as vLLM 0.32 sends them.
pub(super) fn call_events(name: &str, deltas: &[&str]) -> Vec<Json> {
    let arguments = deltas.concat();
    let item = function_call(name, &arguments);
    let mut events = vec![
        response_event("created", &[]),
        item_event("added", &with(function_call(name, ""), json!({"status": "in_progress"}))),
    ];
    events.extend(deltas.iter().map(|text| delta("function_call_arguments", "fc_1", text)));
    events.push(json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 0,
        "arguments": arguments, "name": name}));
    events.push(item_event("done", &item));
    events.push(response_event("completed", &[item]));
    events
}

/// What a client is to get of a custom call.
pub(super) fn custom_events(item: &Json, deltas: &[&str]) -> Vec<Json> {
    let (name, input) = (item["name"].clone(), item["input"].clone());
    let mut events = vec![
        response_event("created", &[]),
        item_event("added", &with(item.clone(), json!({"status": "in_progress", "input": ""}))),
    ];
    events.extend(deltas.iter().map(|text| delta("custom_tool_call_input", "ctc_1", text)));
    events.push(json!({"type": "response.custom_tool_call_input.done", "item_id": "ctc_1", "output_index": 0,
        "input": input, "name": name}));
    events.push(item_event("done", item));
    events.push(response_event("completed", std::slice::from_ref(item)));
    events
}

#[test]
fn one_item_is_restored_as_those_of_a_response_are() {
    let mut item = Value::from_text(function_call("mcp__fs.read", "{}").to_string());
    Restorer::new(map()).restore_item(&mut item, 3);
    let restored: Json = serde_json::from_slice(&item.text()).unwrap();
    assert_eq!(restored, with(function_call("read", "{}"), json!({"namespace": "mcp__fs"})));
}

/// What the model says while a call is in doubt overtakes the call, and takes its number.
#[test]
fn text_overtakes_a_call_in_doubt_and_the_numbers_stay_in_order() {
    let half = function_call("shell", "{\"cmd\":\"l");
    let message =
        json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []});
    let events = [
        response_event("created", &[]),
        item_event("added", &with(function_call("shell", ""), json!({"status": "in_progress"}))),
        item_event("done", &half),
        delta("output_text", "msg_1", "While"),
        with(item_event("added", &message), json!({"output_index": 1})),
        response_event("completed", std::slice::from_ref(&half)),
    ];
    let expected = [0, 1, 3, 2, 4, 5].map(|at: usize| events[at].clone());
    check(&events, &expected);
}
