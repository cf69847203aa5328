use std::{
    hash::{BuildHasher, RandomState},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{Item, Turn, tools::resolve};

/// How many characters come at a time.
const DELTA: usize = 12;

/// The response object of vLLM 0.32 before anything was said.
pub(super) fn opening(request: &Value, model: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let or =
        |name: &str, default: Value| request.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default);
    json!({
        "id": id("resp"), "created_at": now, "incomplete_details": null, "instructions": request["instructions"],
        "metadata": request["metadata"], "model": model, "object": "response", "output": [],
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)), "temperature": or("temperature", json!(1.0)),
        "tool_choice": or("tool_choice", json!("auto")), "tools": or("tools", json!([])),
        "top_p": or("top_p", json!(1.0)), "background": false, "max_output_tokens": 32_768, "max_tool_calls": null,
        "previous_response_id": null, "prompt": null, "reasoning": request["reasoning"], "service_tier": "auto",
        "status": "in_progress", "text": request["text"], "top_logprobs": null, "truncation": "disabled",
        "usage": null, "user": null, "input_messages": null, "output_messages": null,
    })
}

/// The same, with all that is said.
pub(super) fn completed(opening: &Value, items: Vec<Value>, turn: &Turn) -> Value {
    let mut response = opening.clone();
    response["status"] = json!("completed");
    response["output"] = Value::Array(items);
    response["usage"] = turn.usage.clone().unwrap_or_else(|| {
        json!({
            "input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "input_tokens_per_turn": [],
                "cached_tokens_per_turn": []},
            "output_tokens_details": {"reasoning_tokens": 0, "tool_output_tokens": 0, "output_tokens_per_turn": [],
                "tool_output_tokens_per_turn": []},
        })
    });
    response
}

/// The items of a turn, or why a call cannot be made.
pub(super) fn items(turn: &Turn, request: &Value) -> Result<Vec<Value>, String> {
    turn.items.iter().map(|item| one(item, request)).collect()
}

fn one(item: &Item, request: &Value) -> Result<Value, String> {
    Ok(match item {
        Item::Say(text) => json!({
            "id": id("msg"), "type": "message", "role": "assistant", "status": "completed", "phase": null,
            "content": [{"annotations": [], "text": text, "type": "output_text", "logprobs": null}],
        }),
        Item::Think(text) => json!({
            "id": id("rs"), "type": "reasoning", "summary": [], "encrypted_content": null, "status": "completed",
            "content": [{"text": text, "type": "reasoning_text"}],
        }),
        Item::Call(call) => {
            let (name, arguments) = resolve(call, request)?;
            json!({
                "id": id("fc"), "type": "function_call", "call_id": id("chatcmpl-tool"), "name": name,
                "arguments": arguments, "status": "completed", "async": null, "caller": null, "namespace": null,
            })
        }
    })
}

/// The events of a stream, in the order of vLLM 0.32.
pub(super) fn events(opening: &Value, completed: &Value) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "response.created", "response": opening}),
        json!({"type": "response.in_progress", "response": opening}),
    ];
    for (index, item) in completed["output"].as_array().into_iter().flatten().enumerate() {
        item_events(index, item, &mut events);
    }
    events.push(json!({"type": "response.completed", "response": completed}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events
}

fn item_events(index: usize, item: &Value, events: &mut Vec<Value>) {
    let mut opened = item.clone();
    opened["status"] = json!("in_progress");
    match item["type"].as_str() {
        Some("function_call") => opened["arguments"] = json!(""),
        Some("reasoning") => opened["content"] = Value::Null,
        _ => opened["content"] = json!([]),
    }
    events.push(json!({"type": "response.output_item.added", "output_index": index, "item": opened}));
    let mut event = |kind: &str, members: Value| {
        let mut event = json!({"type": format!("response.{kind}"), "output_index": index, "item_id": item["id"]});
        if let (Some(event), Value::Object(members)) = (event.as_object_mut(), members) {
            event.extend(members);
        }
        events.push(event);
    };
    if item["type"] == "function_call" {
        for delta in deltas(&item["arguments"]) {
            event("function_call_arguments.delta", json!({"delta": delta}));
        }
        event("function_call_arguments.done", json!({"name": item["name"], "arguments": item["arguments"]}));
    } else {
        let part = &item["content"][0];
        let (kind, logprobs) = match item["type"].as_str() {
            Some("reasoning") => ("reasoning_text", json!({})),
            _ => ("output_text", json!({"logprobs": []})),
        };
        let with_text = |name: &str, text: &Value| {
            let mut members = logprobs.clone();
            members["content_index"] = json!(0);
            members[name] = text.clone();
            members
        };
        let mut empty = part.clone();
        empty["text"] = json!("");
        event("content_part.added", json!({"content_index": 0, "part": empty}));
        for delta in deltas(&part["text"]) {
            event(&format!("{kind}.delta"), with_text("delta", &json!(delta)));
        }
        event(&format!("{kind}.done"), with_text("text", &part["text"]));
        event("content_part.done", json!({"content_index": 0, "part": part}));
    }
    events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
}

fn deltas(text: &Value) -> Vec<String> {
    let chars: Vec<char> = text.as_str().unwrap_or_default().chars().collect();
    chars.chunks(DELTA).map(|piece| piece.iter().collect()).collect()
}

fn id(kind: &str) -> String {
    format!("{kind}_{:016x}", RandomState::new().hash_one(kind)).replace("tool_", "tool-")
}
