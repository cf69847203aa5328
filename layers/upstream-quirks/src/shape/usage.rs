use tower_responses_core::json::{Object, Value};

use super::number;
use crate::fix::{Fix, Tally};

/// The counts, and the names that chat completions give them.
const COUNTS: [(&str, &str); 2] = [("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")];

/// The counts in the details that clients require: OpenAI's Python SDK 3.52 both of the first.
const OF_INPUT: [&str; 2] = ["cached_tokens", "cache_write_tokens"];
const OF_OUTPUT: [&str; 1] = ["reasoning_tokens"];

/// The details, the names that chat completions give them, and the counts in them.
const DETAILS: [(&str, &str, &[&str]); 2] = [
    ("input_tokens_details", "prompt_tokens_details", &OF_INPUT),
    ("output_tokens_details", "completion_tokens_details", &OF_OUTPUT),
];

/// Gives `usage` of a response its counts and their details. A usage of `null` stays.
pub(super) fn complete(response: &mut Object, tally: &mut Tally) {
    let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) else { return };
    if is_complete(usage) {
        return;
    }
    let Some(usage) = response.object_mut("usage") else { return };
    tally.count(Fix::Usage);
    let mut total = 0;
    for (name, other) in COUNTS {
        let count = [name, other].iter().find_map(|name| usage.get(name)?.as_i64());
        if usage.get(name).and_then(Value::as_i64).is_none() {
            usage.set(name, number(count.unwrap_or(0)));
        }
        usage.remove(other);
        total += count.unwrap_or(0);
    }
    if usage.get("total_tokens").and_then(Value::as_i64).is_none() {
        usage.set("total_tokens", number(total));
    }
    for (name, other, required) in DETAILS {
        let moved = usage.remove(other).filter(|_| !usage.has(name));
        if let Some(details) = moved {
            usage.set(name, details);
        }
        if !usage.get(name).is_some_and(Value::is_object) {
            usage.set(name, Object::new());
        }
        let Some(details) = usage.object_mut(name) else { continue };
        for count in required {
            if details.get(count).and_then(Value::as_i64).is_none() {
                details.set(count, number(0));
            }
        }
    }
}

fn is_complete(usage: &Value) -> bool {
    let [(input, _), (output, _)] = COUNTS;
    let [(input_details, ..), (output_details, ..)] = DETAILS;
    let [input, output, total, input_details, output_details] =
        usage.members([input, output, "total_tokens", input_details, output_details]);
    [input, output, total].iter().all(|count| is_count(count.as_ref()))
        && has_counts(input_details, OF_INPUT)
        && has_counts(output_details, OF_OUTPUT)
}

fn has_counts<const N: usize>(details: Option<Value>, names: [&str; N]) -> bool {
    details.is_some_and(|details| details.members(names).iter().all(|count| is_count(count.as_ref())))
}

fn is_count(value: Option<&Value>) -> bool {
    value.and_then(Value::as_i64).is_some()
}
