//! Items that become messages.

use std::fmt::Write;

use tower_responses_core::json::{Array, Edit, Row, Value};

use super::text::ObjectText;

/// A message between agents is one from outside to the model that reads it.
pub(super) fn agent(item: &Value) -> Edit {
    let content = item.member("content").unwrap_or_else(|| Value::string(""));
    let parts = content.elements().and_then(|parts| input_parts(&parts));
    Edit::with(message("user", &parts.map_or(content, Into::into)))
}

/// A compacted history that is readable text; what is encrypted says nothing to this upstream.
pub(super) fn compaction(item: &Value) -> Edit {
    let text = ["encrypted_content", "summary", "content"].into_iter().find_map(|name| readable(&item.member(name)?));
    match text {
        Some(text) => Edit::with(text_message("user", "input_text", &text)),
        None => Edit::remove(),
    }
}

/// Text with spaces in it: no encoding of encrypted bytes has them.
fn readable(value: &Value) -> Option<String> {
    let text = match value.elements() {
        Some(parts) => parts.iter().filter_map(|part| part.member_str("text").map(String::from)).collect(),
        None => value.as_str()?.into_owned(),
    };
    text.contains(char::is_whitespace).then_some(text)
}

/// What happened, told in the assistant's own words.
pub(super) fn note(item: &Value) -> Edit {
    let mut text = format!("[{}]", item.member_str("type").unwrap_or_default());
    let mut members = item.clone();
    for (name, value) in members.as_object_mut().map(|members| members.iter()).into_iter().flatten() {
        let is_label = matches!(&*name, "type" | "id" | "call_id" | "status" | "encrypted_content");
        if is_label || value.is_null() {
            continue;
        }
        let _ = match value.as_str() {
            // A picture in base64 is no text for a model.
            Some(_) if name == "result" => write!(text, "\n{name}: (not shown)"),
            Some(value) => write!(text, "\n{name}: {value}"),
            None => write!(text, "\n{name}: {}", String::from_utf8_lossy(&value.text())),
        };
    }
    Edit::with(text_message("assistant", "output_text", &text))
}

/// Parts that can stand in what a user or a tool says, if some of `parts` cannot.
pub(super) fn input_parts(parts: &[Value]) -> Option<Array> {
    let fits = |part: &Value| part.member("type").is_some_and(|kind| is_input_kind(&kind));
    if parts.iter().all(fits) {
        return None;
    }
    Some(parts.iter().map(|part| if fits(part) { part.clone() } else { as_input(part) }).collect())
}

/// Whether a part, of which the type is known, can stand in a user's message.
pub(super) fn is_input(part: &Row<1>) -> bool {
    part.members[0].as_ref().is_some_and(is_input_kind)
}

fn is_input_kind(kind: &Value) -> bool {
    ["input_text", "input_image", "input_file"].into_iter().any(|input| *kind == *input)
}

fn as_input(part: &Value) -> Value {
    let known = ["text", "refusal", "encrypted_content"].into_iter().find_map(|name| part.member(name));
    let text = known.filter(Value::is_string).unwrap_or_else(|| match part.as_str() {
        Some(_) => part.clone(),
        None => Value::string(&String::from_utf8_lossy(&part.text())),
    });
    text_part("input_text", &text)
}

fn text_part(kind: &'static str, text: &Value) -> Value {
    let text = text.text();
    ObjectText::new(kind, text.len()).json("text", &text).finish()
}

fn text_message(role: &str, part: &'static str, text: &str) -> Value {
    message(role, &Array::from_iter([text_part(part, &Value::string(text))]).into())
}

fn message(role: &str, content: &Value) -> Value {
    let content = content.text();
    ObjectText::new("message", content.len()).string("role", role).json("content", &content).finish()
}
