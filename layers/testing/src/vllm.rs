//! Answers in the shapes of vLLM 0.32, member for member.

use serde_json::{Value as Json, json};

/// A call among the output items of a response.
pub fn function_call(name: &str, arguments: &str) -> Json {
    json!({
        "arguments": arguments, "call_id": "call_1", "name": name, "type": "function_call", "id": "fc_1",
        "async": null, "caller": null, "namespace": null, "status": "completed",
    })
}

/// A text among the output items of a response.
pub fn message(text: &str) -> Json {
    json!({
        "id": "msg_1", "content": [part(text)], "role": "assistant", "status": "completed", "type": "message",
        "phase": null,
    })
}

fn part(text: &str) -> Json {
    json!({"annotations": [], "text": text, "type": "output_text", "logprobs": []})
}

/// A response of the model `m` to a request with these tools.
pub fn response(tools: &[Json], output: &[Json]) -> Json {
    let echo = |tool: &Json| {
        let mut tool = tool.clone();
        for name in ["allowed_callers", "async", "defer_loading", "output_schema"] {
            tool[name] = Json::Null;
        }
        tool
    };
    json!({
        "id": "resp_1", "created_at": 1_795_261_662, "incomplete_details": null, "instructions": null, "metadata": null,
        "model": "m", "object": "response", "output": output, "parallel_tool_calls": true, "temperature": 1.0,
        "tool_choice": "auto", "tools": tools.iter().map(echo).collect::<Vec<_>>(), "top_p": 1.0, "background": false,
        "max_output_tokens": 65_525, "max_tool_calls": null, "previous_response_id": null, "prompt": null,
        "reasoning": null, "service_tier": "auto", "status": "completed", "text": null, "top_logprobs": null,
        "truncation": "disabled",
        "usage": {"input_tokens": 171, "output_tokens": 39, "total_tokens": 210,
            "input_tokens_details": {"cached_tokens": 128, "cache_write_tokens": 0, "input_tokens_per_turn": []},
            "output_tokens_details": {"reasoning_tokens": 0, "tool_output_tokens": 0, "output_tokens_per_turn": []}},
        "user": null, "presence_penalty": 0.0, "frequency_penalty": 0.0, "kv_transfer_params": null,
        "input_messages": null, "output_messages": null,
    })
}

/// The events that lead to a [`response`] of texts and calls, with deltas of so many characters.
pub fn events(response: &Json, delta: usize) -> Vec<Json> {
    let mut opening = response.clone();
    opening["status"] = "in_progress".into();
    opening["output"] = json!([]);
    opening["usage"] = Json::Null;
    let mut events = vec![
        json!({"response": opening, "type": "response.created"}),
        json!({"response": opening, "type": "response.in_progress"}),
    ];
    for (index, item) in response["output"].as_array().into_iter().flatten().enumerate() {
        item_events(index, item, delta, &mut events);
    }
    events.push(json!({"response": response, "type": "response.completed"}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    events
}

fn item_events(index: usize, item: &Json, delta: usize, events: &mut Vec<Json>) {
    let id = &item["id"];
    let is_call = item["type"] == "function_call";
    let mut added = item.clone();
    added["status"] = "in_progress".into();
    if is_call {
        added["arguments"] = "".into();
    } else {
        added["content"] = json!([]);
    }
    events.push(json!({"item": added, "output_index": index, "type": "response.output_item.added"}));
    if is_call {
        let arguments = &item["arguments"];
        events.extend(pieces(arguments, delta).map(|piece| {
            json!({"delta": piece, "item_id": id, "output_index": index, "type": "response.function_call_arguments.delta"})
        }));
        events.push(json!({
            "arguments": arguments, "item_id": id, "output_index": index, "name": item["name"],
            "type": "response.function_call_arguments.done",
        }));
    } else {
        let whole = &item["content"][0];
        let place = |kind: &str| json!({"content_index": 0, "item_id": id, "output_index": index, "type": kind});
        let with = |mut event: Json, name: &str, value: Json| {
            event[name] = value;
            event
        };
        events.push(with(place("response.content_part.added"), "part", part("")));
        events.extend(pieces(&whole["text"], delta).map(|piece| {
            with(with(place("response.output_text.delta"), "delta", piece.into()), "logprobs", json!([]))
        }));
        let done = with(place("response.output_text.done"), "text", whole["text"].clone());
        events.push(with(done, "logprobs", json!([])));
        events.push(with(place("response.content_part.done"), "part", whole.clone()));
    }
    events.push(json!({"item": item, "output_index": index, "type": "response.output_item.done"}));
}

fn pieces(text: &Json, size: usize) -> impl Iterator<Item = String> {
    let characters: Vec<_> = text.as_str().unwrap_or_default().chars().collect();
    let pieces: Vec<String> = characters.chunks(size.max(1)).map(|piece| piece.iter().collect()).collect();
    pieces.into_iter()
}
