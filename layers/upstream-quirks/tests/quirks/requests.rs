//! What clients ask for, and what the upstream is to see of it: it refuses what a real one refuses.

use std::sync::Arc;

use serde_json::{Value, json};
use tower_responses_upstream_quirks::{Fix, Profile, UpstreamQuirksLayer};

use crate::{
    rig::{Reply, Seen, exchange, upstream},
    table::Case,
};

fn any(request: &Value, flaw: impl Fn(&Value) -> bool) -> bool {
    request["input"].as_array().is_some_and(|input| input.iter().any(flaw))
}

pub(crate) fn all() -> Vec<Case> {
    let answered: fn(&Seen) = |seen| assert_eq!(seen.status, 200);
    let case = |fix, refusal, flaw: fn(&Value) -> bool, request| {
        Case::new(fix, "vllm-text", answered).refuses(flaw, refusal).request(request)
    };
    vec![
        case(
            Fix::EncryptedReasoning,
            "vllm-encrypted-reasoning",
            |request| any(request, |item| item["encrypted_content"].is_string()),
            json!({"input": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}]}),
        ),
        case(
            Fix::ReasoningSummary,
            "vllm-bad-schema",
            |request| any(request, |item| !item["summary"].is_array()),
            json!({"input": [{"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}]}),
        ),
        case(
            Fix::ReasoningSummary,
            "vllm-bad-schema",
            |request| any(request, |item| item["content"][0]["type"] == "text"),
            json!({"input": [{"type": "reasoning", "summary": [], "content": [{"type": "text", "text": "hm"}]}]}),
        ),
        case(
            Fix::AssistantContent,
            "vllm-empty-assistant",
            |request| any(request, |item| item["role"] == "assistant" && item["content"] == json!([])),
            json!({"input": [{"role": "user", "content": "hi"}, {"type": "message", "role": "assistant", "content": []}]}),
        ),
        case(
            Fix::AssistantContent,
            "vllm-empty-assistant",
            |request| request["input"][0]["content"][0]["text"] != "ab",
            json!({"input": [{"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]}]}),
        ),
        case(
            Fix::AssistantContent,
            "vllm-empty-assistant",
            |request| any(request, |item| item["content"][0]["type"] == "refusal"),
            json!({"input": [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}]}),
        ),
        case(
            Fix::ServiceTier,
            "vllm-bad-schema",
            |request| request["service_tier"] == "fast",
            json!({"input": "hi", "service_tier": "fast"}),
        ),
        case(
            Fix::IncludeValues,
            "vllm-bad-schema",
            |request| request["include"] != json!(["reasoning.encrypted_content"]),
            json!({"input": "hi", "include": ["web_search_call.action.sources", "reasoning.encrypted_content"]}),
        ),
        case(
            Fix::NullMembers,
            "vllm-bad-schema",
            |request| request.as_object().is_some_and(|request| request.values().any(Value::is_null)),
            json!({"input": "hi", "tools": null, "tool_choice": null, "truncation": null, "service_tier": null}),
        ),
        case(
            Fix::ImageDetail,
            "vllm-bad-schema",
            |request| any(request, |item| item["output"][0].get("detail").is_none()),
            json!({"input": [{"type": "function_call_output", "call_id": "c", "output": [
                {"type": "input_image", "image_url": "data:"}]}]}),
        ),
        case(
            Fix::FoldInstructions,
            "vllm-bad-schema",
            |request| {
                request["instructions"] != "a\n\nb\n\nc"
                    || any(request, |item| item["role"] == "developer" || item["role"] == "system")
            },
            json!({"instructions": "a", "input": [
                {"role": "developer", "content": "b"},
                {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "c"}]},
                {"role": "user", "content": "hi"},
                {"role": "developer", "content": "d"}]}),
        ),
    ]
}

/// vLLM takes `1` and `"true"` for true, and answers with a stream that nobody is prepared for.
#[tokio::test]
async fn whether_to_stream_is_said_by_a_boolean() {
    let address = upstream(Arc::new(|_| Reply::fixture("vllm-text"))).await;
    let layer = UpstreamQuirksLayer::new(Profile::Vllm);
    for stream in [json!(1), json!("true"), json!({})] {
        let seen = exchange(&layer, address, &json!({"input": "hi", "stream": stream})).await;
        assert_eq!(seen.status, 400, "{stream}");
        let error = &seen.json()["error"];
        assert_eq!((&error["code"], &error["param"]), (&json!("invalid_type"), &json!("stream")));
    }
    for stream in [json!(false), Value::Null] {
        let seen = exchange(&layer, address, &json!({"input": "hi", "stream": stream})).await;
        assert_eq!(seen.status, 200, "{stream}");
    }
}
