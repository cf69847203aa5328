//! The response object: taken apart so that what repeats is kept once, and put together again.

use bytes::Bytes;
use tower_responses_core::json::{Array, Object, Value};

use super::{Role, Turn};
use crate::{StoreError, Stored};

/// The members that differ between the responses of a conversation. In the frame they are `null`,
/// which keeps their place.
const OWN: [&str; 11] = [
    "created_at",
    "completed_at",
    "status",
    "error",
    "incomplete_details",
    "max_output_tokens",
    "metadata",
    "usage",
    "user",
    "safety_identifier",
    "prompt_cache_key",
];

/// The members that are kept elsewhere.
const ELSEWHERE: [&str; 5] = ["id", "output", "previous_response_id", "tools", "instructions"];

pub(super) struct Parts {
    pub(super) frame: Bytes,
    pub(super) own: Bytes,
    pub(super) tools: Option<Bytes>,
    pub(super) instructions: Option<Bytes>,
    pub(super) failed: bool,
}

pub(super) fn take_apart(response: &Object) -> Parts {
    let text = |name| response.get(name).filter(|value| !value.is_null()).map(Value::text);
    let mut own = Object::new();
    let mut frame = Object::new();
    for (name, value) in response.iter() {
        if value.is_null() || ELSEWHERE.contains(&&*name) {
            frame.set(&name, Value::null());
        } else if OWN.contains(&&*name) {
            frame.set(&name, Value::null());
            own.set(&name, value.clone());
        } else {
            frame.set(&name, value.clone());
        }
    }
    Parts {
        frame: frame.text(),
        own: own.text(),
        tools: text("tools"),
        instructions: text("instructions"),
        failed: response.get_str("status").as_deref() == Some("failed"),
    }
}

/// The response object of a turn.
pub(crate) fn rebuild(stored: &Stored, turn: &Turn) -> Result<Object, StoreError> {
    let frame = turn.part(&stored.shared, Role::Frame).ok_or_else(|| StoreError::corrupt("a response has no frame"))?;
    let unreadable = || StoreError::corrupt("a part of a response is no JSON object");
    let mut response = Object::split(frame.clone()).ok_or_else(unreadable)?;
    let own = Object::split(turn.own.clone()).ok_or_else(unreadable)?;
    response.set("id", &*stored.id.to_string());
    for (name, value) in own.iter() {
        response.set(&name, value.clone());
    }
    if let Some(previous) = stored.previous {
        response.set("previous_response_id", &*previous.to_string());
    }
    let tools = turn.part(&stored.shared, Role::EchoedTools).or_else(|| turn.part(&stored.shared, Role::Tools));
    if let Some(tools) = tools.filter(|_| response.get("tools").is_some()) {
        response.set("tools", Value::from_text(tools.clone()));
    }
    if let Some(instructions) = turn.part(&stored.shared, Role::Instructions) {
        response.set("instructions", Value::from_text(instructions.clone()));
    }
    let output = turn.output().iter().map(|item| Value::from_text(item.text.clone()));
    response.set("output", output.collect::<Array>());
    Ok(response)
}
