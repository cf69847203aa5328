//! What every answer has to be, whatever the upstream did.

use async_openai::types::responses::{Response, ResponseStreamEvent};
use serde_json::Value;

use crate::rig::Seen;

const TERMINAL: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// Panics where an answer is not what a strict client can use.
pub(crate) fn check(seen: &Seen) {
    assert_eq!(seen.end, Some(Ok(())), "the body has to end, and without an error");
    if seen.headers["content-type"].to_str().unwrap().starts_with("text/event-stream") {
        check_stream(&seen.events());
    } else if seen.status.is_success() {
        check_response(&seen.json());
    } else {
        let error = &seen.json()["error"];
        assert!(error["message"].is_string() && error["type"].is_string(), "an error has to be one: {}", seen.text);
        assert!(error["code"].is_null() || error["code"].is_string(), "a code is a string: {}", seen.text);
    }
}

fn check_stream(events: &[Value]) {
    assert_eq!(events.first().map(|event| &event["type"]), Some(&"response.created".into()), "the first event");
    let terminal = |event: &&Value| TERMINAL.contains(&event["type"].as_str().unwrap_or_default());
    assert_eq!(events.iter().filter(terminal).count(), 1, "one terminal event");
    let last = events.last().expect("events");
    assert!(terminal(&last), "the last event is the terminal one, not {last}");
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at, "contiguous numbers: {event}");
        if let Err(error) = serde_json::from_value::<ResponseStreamEvent>(event.clone()) {
            panic!("{error}: {event}");
        }
        if let Some(response) = event.get("response") {
            assert_eq!(response["id"], events[0]["response"]["id"], "one id");
            check_response(response);
        }
    }
    let status = last["type"].as_str().unwrap_or_default().strip_prefix("response.").unwrap_or_default();
    assert_eq!(last["response"]["status"], status);
    check_items(events, &last["response"]["output"]);
}

/// Items are added once, done once at most, and are in the final object what they were.
fn check_items(events: &[Value], output: &Value) {
    let of = |kind: &'static str| events.iter().filter(move |event| event["type"] == kind);
    for (at, added) in of("response.output_item.added").enumerate() {
        assert_eq!(added["output_index"], at, "items come in order: {added}");
    }
    for done in of("response.output_item.done") {
        let index = done["output_index"].as_u64().and_then(|index| usize::try_from(index).ok()).expect("an index");
        let item = &done["item"];
        assert!(of("response.output_item.added").any(|added| added["output_index"] == index), "it was added: {done}");
        assert_eq!(of("response.output_item.done").filter(|done| done["output_index"] == index).count(), 1, "{done}");
        assert_eq!(item["id"], output[index]["id"], "ids agree: {done} {output}");
        assert_eq!(item["type"], output[index]["type"]);
        assert_eq!(item["status"], output[index]["status"], "statuses agree: {done} {output}");
        if let Some(arguments) = item["arguments"].as_str() {
            assert!(serde_json::from_str::<Value>(arguments).is_ok(), "a call that is done is whole: {item}");
        }
    }
    for event in events.iter().filter(|event| event["item_id"].is_string()) {
        let index = usize::try_from(event["output_index"].as_u64().expect("an index")).expect("small");
        assert_eq!(event["item_id"], output[index]["id"], "{event}");
    }
}

/// The members that the Open Responses schema requires.
const REQUIRED: [&str; 31] = [
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "incomplete_details",
    "model",
    "previous_response_id",
    "instructions",
    "output",
    "error",
    "tools",
    "tool_choice",
    "truncation",
    "parallel_tool_calls",
    "text",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "temperature",
    "reasoning",
    "usage",
    "max_output_tokens",
    "max_tool_calls",
    "store",
    "background",
    "service_tier",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
];

fn check_response(response: &Value) {
    if let Err(error) = serde_json::from_value::<Response>(response.clone()) {
        panic!("{error}: {response}");
    }
    for name in REQUIRED {
        assert!(response.get(name).is_some(), "{name} is required: {response}");
    }
    for item in response["output"].as_array().expect("an output") {
        assert!(item["id"].is_string() && item["status"].is_string(), "items need an id and a status: {item}");
        for part in item["content"].as_array().into_iter().flatten().filter(|part| part["type"] == "output_text") {
            assert!(part["annotations"].is_array() && part["logprobs"].is_array(), "{part}");
        }
    }
}
