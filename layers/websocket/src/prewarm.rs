//! The answer to `"generate": false`, which no model is asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tower_responses_core::json::{Object, Value};

use crate::frame::Create;

#[cfg(test)]
mod tests;

/// What a response object always has, where the request does not say otherwise.
const DEFAULTS: [(&str, &str); 16] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("model", "null"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", "null"),
    ("safety_identifier", "null"),
    ("service_tier", "null"),
    ("store", "true"),
    ("temperature", "null"),
    ("text", "null"),
    ("top_p", "null"),
    ("truncation", "null"),
];

/// The answer to a prewarm frame.
#[derive(Debug)]
pub(crate) struct Prewarm {
    pub(crate) id: String,
    /// `response.created` and `response.completed`.
    pub(crate) events: [Bytes; 2],
}

impl Prewarm {
    /// Answers `create`, which went on from `previous` as the client said.
    pub(crate) fn new(create: &Create, previous: Option<Value>) -> Self {
        let id = new_id();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut response = Object::new();
        response.set("id", id.as_str());
        response.set("object", "response");
        response.set("created_at", Value::serialize(&now));
        response.set("completed_at", Value::null());
        response.set("status", "in_progress");
        for (name, text) in DEFAULTS {
            let asked = create.request.get(name).cloned();
            response.set(name, asked.unwrap_or_else(|| Value::from_text(Bytes::from_static(text.as_bytes()))));
        }
        response.set("previous_response_id", previous.unwrap_or_else(Value::null));
        for name in ["error", "incomplete_details", "usage"] {
            response.set(name, Value::null());
        }
        response.set("output", Value::from_text(Bytes::from_static(b"[]")));
        // Not echoed: they can be large, and the client has just sent them.
        response.set("tools", Value::from_text(Bytes::from_static(b"[]")));
        response.set("tool_choice", create.request.get("tool_choice").cloned().unwrap_or_else(|| "auto".into()));
        let created = event("response.created", 0, response.clone());
        response.set("status", "completed");
        response.set("completed_at", Value::serialize(&now));
        Self { id, events: [created, event("response.completed", 1, response)] }
    }
}

fn event(kind: &str, number: u32, response: Object) -> Bytes {
    let mut event = Object::new();
    event.set("type", kind);
    event.set("sequence_number", Value::serialize(&number));
    event.set("response", response);
    event.text()
}

fn new_id() -> String {
    use std::fmt::Write;

    let mut random = [0; 24];
    // Without entropy an id is still one that its connection alone knows.
    let _ = getrandom::fill(&mut random);
    random.iter().fold("resp_".to_owned(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}
