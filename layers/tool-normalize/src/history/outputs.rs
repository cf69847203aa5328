//! What tools answered.

use tower_responses_core::json::{Edit, Value};

use super::{messages, text::ObjectText};
use crate::catalog::{Callable, Catalog};

/// The output of a function, which mostly can go as it is.
pub(super) fn function(item: &Value) -> Edit {
    let fits = match item.member_begins("output") {
        Some(b'"') => true,
        Some(b'[') => {
            item.member_rows("output", ["type"]).is_some_and(|mut parts| parts.all(|part| messages::is_input(&part)))
        }
        _ => false,
    };
    if fits {
        return Edit::Keep;
    }
    let Some(output) = item.member("output").and_then(normal) else { return Edit::Keep };
    item.with_members(&[("output", Some(&output))]).map_or(Edit::Keep, Edit::with)
}

/// The output of a custom tool.
pub(super) fn custom(item: &Value) -> Edit {
    let [output, call_id] = item.members(["output", "call_id"]);
    let output = output.unwrap_or_else(|| Value::string(""));
    answer(call_id.as_ref(), &normal(output.clone()).unwrap_or(output))
}

/// What a search has found, for a model to read. Searches of the server's have told it already.
pub(super) fn search(item: &Value, found: &Callable, catalog: &Catalog) -> Edit {
    let call_id = item.member("call_id").filter(|id| id.as_str().is_some());
    if call_id.is_none() {
        return Edit::remove();
    }
    if found.is_empty() {
        return answer(call_id.as_ref(), &Value::string("No tools were found."));
    }
    let mut text = "These tools were found and can be called now:".to_owned();
    // What is found is described where it is found: names alone are not told at any length.
    let room = 2 * item.text().len() + 512;
    for tool in found.iter() {
        text.push_str("\n- ");
        text.push_str(catalog.name(tool));
        if let Some(description) = gist(&catalog.description(tool))
            && text.len() + description.len() < room
        {
            text.push_str(": ");
            text.push_str(description);
        }
    }
    answer(call_id.as_ref(), &Value::string(&text))
}

/// The beginning of a description. The whole stands in the declaration.
fn gist(description: &str) -> Option<&str> {
    const LONGEST: usize = 300;
    let end = (0..=LONGEST.min(description.len())).rev().find(|end| description.is_char_boundary(*end)).unwrap_or(0);
    Some(description[..end].trim()).filter(|gist| !gist.is_empty())
}

fn answer(call_id: Option<&Value>, output: &Value) -> Edit {
    let output = output.text();
    let answer = ObjectText::new("function_call_output", output.len());
    Edit::with(answer.maybe("call_id", call_id).json("output", &output).finish())
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
    if output.is_array() {
        return messages::input_parts(&output);
    }
    Some(Value::string(&String::from_utf8_lossy(&output.text())))
}
