use tower_responses_core::json::{Edit, Object, Value};

use crate::fix::{Fix, Tally};

/// Members that may be left out and may not be `null`.
const NOT_NULL: [&str; 5] = ["tools", "tool_choice", "truncation", "background", "service_tier"];

/// The tiers that OpenAI's own types name.
const TIERS: [&str; 5] = ["auto", "default", "flex", "scale", "priority"];

/// The values of `include` that vLLM 0.32 takes.
const INCLUDE: [&str; 6] = [
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
];

pub(super) fn correct(request: &mut Object, tally: &mut Tally) {
    if tally.on(Fix::NullMembers) {
        for name in NOT_NULL {
            if request.get(name).is_some_and(Value::is_null) {
                request.remove(name);
                tally.count(Fix::NullMembers);
            }
        }
    }
    let known = |tier: &str| TIERS.contains(&tier);
    if tally.on(Fix::ServiceTier) && request.get_str("service_tier").is_some_and(|tier| !known(&tier)) {
        request.remove("service_tier");
        tally.count(Fix::ServiceTier);
    }
    if tally.on(Fix::IncludeValues) {
        correct_include(request, tally);
    }
}

fn correct_include(request: &mut Object, tally: &mut Tally) {
    let known = |value: &Value| value.as_str().is_some_and(|value| INCLUDE.contains(&&*value));
    let include = request
        .get("include")
        .and_then(|include| include.edit_elements(|value| if known(value) { Edit::Keep } else { Edit::remove() }));
    if let Some(include) = include {
        tally.count(Fix::IncludeValues);
        request.set("include", include);
    }
}
