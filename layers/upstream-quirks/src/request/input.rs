use tower_responses_core::json::{Array, Edit, Object, Row, Value};

use crate::{
    fix::{Fix, Tally},
    shape::empty_array,
};

pub(super) fn correct(request: &mut Object, tally: &mut Tally) {
    let fixes = [Fix::EncryptedReasoning, Fix::ReasoningSummary, Fix::AssistantContent, Fix::ImageDetail];
    if !fixes.iter().any(|fix| tally.on(*fix)) {
        return;
    }
    let Some(input) = request.array_mut("input") else { return };
    input.map(|item| {
        let kind = item.member_bytes("type");
        match kind.as_deref() {
            Some(b"reasoning") => reasoning(item, tally),
            Some(b"function_call_output" | b"custom_tool_call_output") => output(item, tally),
            Some(b"message") | None => message(item, tally),
            _ => Edit::Keep,
        }
    });
}

/// The item with other members, which stays text: opened, each would take far more memory.
fn with(item: &Value, members: &[(&str, Option<&Value>)]) -> Edit {
    if members.is_empty() { Edit::Keep } else { item.with_members(members).map_or(Edit::Keep, Edit::With) }
}

fn reasoning(item: &Value, tally: &mut Tally) -> Edit {
    let (null, none) = (Value::null(), empty_array());
    let mut members = Vec::new();
    let [encrypted, summary, content] = item.members(["encrypted_content", "summary", "content"]);
    let is_encrypted = encrypted.is_some_and(|encrypted| encrypted.is_string() && encrypted != *"");
    if is_encrypted && tally.on(Fix::EncryptedReasoning) {
        members.push(("encrypted_content", Some(&null)));
        tally.count(Fix::EncryptedReasoning);
    }
    if !tally.on(Fix::ReasoningSummary) {
        return with(item, &members);
    }
    if !summary.is_some_and(|summary| summary.is_array()) {
        members.push(("summary", Some(&none)));
        tally.count(Fix::ReasoningSummary);
    }
    let content = content
        .and_then(|content| set_in_each(&content, "type", "reasoning_text", |part| part.member_is("type", "text")));
    if let Some(content) = &content {
        members.push(("content", Some(content)));
        tally.count(Fix::ReasoningSummary);
    }
    with(item, &members)
}

/// The list with this member in each part of which `lacks` says that it needs it, if there is any.
fn set_in_each(list: &Value, name: &str, value: &str, lacks: impl Fn(&Value) -> bool) -> Option<Value> {
    let value = Value::string(value);
    list.edit_elements(|part| if lacks(part) { with(part, &[(name, Some(&value))]) } else { Edit::Keep })
}

/// The images in the output of a call.
fn output(item: &Value, tally: &mut Tally) -> Edit {
    if !tally.on(Fix::ImageDetail) || item.member_begins("output") != Some(b'[') {
        return Edit::Keep;
    }
    let is_image = |part: &Row<1>| part.members[0].as_ref().is_some_and(|kind| *kind == *"input_image");
    if !item.member_rows("output", ["type"]).is_some_and(|mut parts| parts.any(|part| is_image(&part))) {
        return Edit::Keep;
    }
    let lacks = |part: &Value| {
        part.member_is("type", "input_image") && part.member("detail").is_none_or(|detail| detail.is_null())
    };
    let Some(output) = item.member("output").and_then(|parts| set_in_each(&parts, "detail", "auto", lacks)) else {
        return Edit::Keep;
    };
    tally.count(Fix::ImageDetail);
    with(item, &[("output", Some(&output))])
}

/// What the assistant said, in one part.
fn message(item: &Value, tally: &mut Tally) -> Edit {
    if !tally.on(Fix::AssistantContent) || !item.member_is("role", "assistant") {
        return Edit::Keep;
    }
    let Some(parts) = item.member("content").filter(Value::is_array).and_then(|content| content.elements()) else {
        return Edit::Keep;
    };
    let mut parts = parts.peekable();
    let Some(first) = parts.next() else {
        tally.count(Fix::AssistantContent);
        return Edit::remove();
    };
    if parts.peek().is_none() && !first.member_is("type", "refusal") {
        return Edit::Keep;
    }
    let mut joined = String::new();
    for part in std::iter::once(first).chain(parts) {
        // A part of a kind that we do not know stays what it is, and so does what stands beside it.
        let Some(text) = part.member_str("text").or_else(|| part.member_str("refusal")) else { return Edit::Keep };
        joined.push_str(&text);
    }
    let mut part = Object::new();
    part.set("type", "output_text");
    part.set("text", joined.as_str());
    part.set("annotations", Array::new());
    tally.count(Fix::AssistantContent);
    with(item, &[("content", Some(&Array::from_iter([part.into()]).into()))])
}
