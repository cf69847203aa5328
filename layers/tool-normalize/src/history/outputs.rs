//! What tools answered.

use std::fmt::Write;

use tower_responses_core::json::{Edit, Object, Value};

use super::messages;
use crate::catalog::Catalog;

/// The output of a function, which mostly can go as it is.
pub(super) fn function(item: &mut Value) -> Edit {
    let Some(output) = item.member("output").and_then(normal) else { return Edit::Keep };
    if let Some(item) = item.as_object_mut() {
        item.set("output", output);
    }
    Edit::Keep
}

/// The output of a custom tool.
pub(super) fn custom(item: &Value) -> Edit {
    let output = item.member("output").unwrap_or_else(|| Value::string(""));
    answer(item, normal(output.clone()).unwrap_or(output))
}

/// What a search has found, for a model to read. Searches of the server's have told it already.
pub(super) fn search(item: &Value, found: &[usize], catalog: &Catalog<'_>) -> Edit {
    if item.member_str("call_id").is_none() {
        return Edit::remove();
    }
    if found.is_empty() {
        return answer(item, Value::string("No tools were found."));
    }
    let mut text = "These tools were found and can be called now:".to_owned();
    for &tool in found {
        let _ = write!(text, "\n- {}", catalog.name(tool));
        let description = catalog.description(tool);
        if let Some(description) = gist(&description) {
            let _ = write!(text, ": {description}");
        }
    }
    answer(item, Value::string(&text))
}

/// The beginning of a description. The whole stands in the declaration.
fn gist(description: &str) -> Option<&str> {
    const LONGEST: usize = 300;
    let end = description.char_indices().nth(LONGEST).map_or(description.len(), |(end, _)| end);
    Some(description[..end].trim()).filter(|gist| !gist.is_empty())
}

fn answer(item: &Value, output: Value) -> Edit {
    let mut answer = Object::new();
    answer.set("type", "function_call_output");
    if let Some(id) = item.member("call_id") {
        answer.set("call_id", id);
    }
    answer.set("output", output);
    Edit::with(answer)
}

/// An output that servers take, if this one is another: they know strings, and lists of what can
/// stand in a user's message.
fn normal(output: Value) -> Option<Value> {
    if output.is_string() {
        return None;
    }
    if output.is_null() {
        return Some(Value::string(""));
    }
    if let Some(parts) = output.elements() {
        return messages::input_parts(&parts).map(Into::into);
    }
    Some(Value::string(&String::from_utf8_lossy(&output.text())))
}
