//! Items that become messages.

use tower_responses_core::json::{Edit, Row, Value, escape};

use super::text::ObjectText;

/// A message between agents is one from outside to the model that reads it.
pub(super) fn agent(item: &Value) -> Edit {
    let content = item.member("content").unwrap_or_else(|| Value::string(""));
    let parts = if content.is_array() { input_parts(&content) } else { None };
    let content = parts.unwrap_or(content).text();
    Edit::with(ObjectText::new("message", content.len()).string("role", "user").json("content", &content).finish())
}

/// A compacted history that is readable text; what is encrypted says nothing to this upstream.
pub(super) fn compaction(item: &Value) -> Edit {
    let text = ["encrypted_content", "summary", "content"].into_iter().find_map(|name| readable(&item.member(name)?));
    match text {
        Some(text) => Edit::with(text_message("user", "input_text", text.len(), |out| escape(text.as_bytes(), out))),
        None => Edit::remove(),
    }
}

/// Text with spaces in it: no encoding of encrypted bytes has them.
fn readable(value: &Value) -> Option<String> {
    let text = match value.elements() {
        Some(parts) => parts.filter_map(|part| part.member_str("text").map(String::from)).collect(),
        None => value.as_str()?.into_owned(),
    };
    text.contains(char::is_whitespace).then_some(text)
}

/// What happened, told in the assistant's own words.
pub(super) fn note(item: &Value) -> Edit {
    let kind = item.member_str("type").unwrap_or_default();
    Edit::with(text_message("assistant", "output_text", item.text().len(), |out| {
        let mut add = |text: &str| escape(text.as_bytes(), out);
        ["[", &kind, "]"].into_iter().for_each(&mut add);
        for (name, value) in item.entries().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            let is_label = matches!(&*name, "type" | "id" | "call_id" | "status" | "encrypted_content");
            if is_label || value.is_null() {
                continue;
            }
            ["\n", &name, ": "].into_iter().for_each(&mut add);
            match value.as_str() {
                // A picture in base64 is no text for a model.
                Some(_) if name == "result" => add("(not shown)"),
                Some(value) => add(&value),
                None => add(&String::from_utf8_lossy(&value.text())),
            }
        }
    }))
}

/// More parts than these are not made what they should be: each may become many times its size.
const MOST_PARTS: usize = 1024;

/// The list of parts with those that cannot stand in what a user or a tool says made such that can,
/// if there are any. A list of very many of them becomes its text.
pub(super) fn input_parts(list: &Value) -> Option<Value> {
    let parts = list.rows(["type"]).into_iter().flatten();
    match parts.filter(|part| !is_input(part)).take(MOST_PARTS + 1).count() {
        0 => None,
        count if count <= MOST_PARTS => list.edit_elements(|part| {
            let fits = part.member("type").is_some_and(|kind| is_input_kind(&kind));
            if fits { Edit::Keep } else { Edit::With(as_input(part)) }
        }),
        _ => Some(Value::string(&String::from_utf8_lossy(&list.text()))),
    }
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

/// A message of one text, which `write` writes as it stands in JSON.
fn text_message(role: &str, part: &'static str, size: usize, write: impl FnOnce(&mut Vec<u8>)) -> Value {
    ObjectText::new("message", size)
        .string("role", role)
        .with("content", |out| {
            out.extend_from_slice(b"[{\"type\":\"");
            out.extend_from_slice(part.as_bytes());
            out.extend_from_slice(b"\",\"text\":\"");
            write(out);
            out.extend_from_slice(b"\"}]");
        })
        .finish()
}
