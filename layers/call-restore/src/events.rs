//! The events that bring the input of a custom call, made of those that bring arguments.

use tower_responses_core::{
    json::{Object, Value},
    sse::Event,
};

use crate::custom_input::unquote;

pub(crate) const DELTA: &str = "response.custom_tool_call_input.delta";
pub(crate) const DONE: &str = "response.custom_tool_call_input.done";

/// Makes an event of another kind of `event`, about the item that the client knows as `id`.
pub(crate) fn convert(event: &mut Event, kind: &str, id: Option<&Value>) {
    event.set_kind(kind);
    if let Some(event) = event.object_mut()
        && let Some(id) = id
        && event.get("item_id") != Some(id)
    {
        event.set("item_id", id.clone());
    }
}

/// A delta before `done`, for input that no delta has brought.
pub(crate) fn delta_before(done: &Event, id: &Value, delta: &str) -> Event {
    let mut event = Object::new();
    event.set("type", DELTA);
    event.set("item_id", id.clone());
    if let Some(output_index) = done.member("output_index") {
        event.set("output_index", output_index);
    }
    event.set("delta", delta);
    Event::new(event)
}

/// Gives the event the name that the client knows the tool by, if it names one.
pub(crate) fn rename(event: &mut Event, to: &str) {
    if event.member_str("name").is_some_and(|name| !name.is_empty() && name != to)
        && let Some(event) = event.object_mut()
    {
        event.set("name", to);
    }
}

/// vLLM 0.32 leaves an input in its quotes if the model wrote nothing but a JSON string.
pub(crate) fn unquote_input(event: &mut Event) {
    if let Some(input) = event.member_str("input").and_then(|input| unquote(&input))
        && let Some(event) = event.object_mut()
    {
        event.set("input", &*input);
    }
}
