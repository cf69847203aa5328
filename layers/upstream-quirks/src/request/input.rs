use tower_responses_core::json::{Array, Edit, Object, Row, Value};

use crate::{
    fix::{Fix, Tally},
    shape::{empty_array, set_member},
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
            Some(b"message") | None => return message(item, tally),
            _ => {}
        }
        Edit::Keep
    });
}

fn reasoning(item: &mut Value, tally: &mut Tally) {
    let [encrypted, summary, content] = item.members(["encrypted_content", "summary", "content"]);
    let is_encrypted = encrypted.is_some_and(|encrypted| encrypted.is_string() && encrypted != *"");
    if is_encrypted && tally.on(Fix::EncryptedReasoning) {
        set_member(item, "encrypted_content", Value::null());
        tally.count(Fix::EncryptedReasoning);
    }
    if !tally.on(Fix::ReasoningSummary) {
        return;
    }
    if !summary.is_some_and(|summary| summary.is_array()) {
        set_member(item, "summary", empty_array());
        tally.count(Fix::ReasoningSummary);
    }
    let misnamed = |part: &Value| part.member_is("type", "text");
    if !content.and_then(|content| content.elements()).is_some_and(|parts| parts.iter().any(misnamed)) {
        return;
    }
    tally.count(Fix::ReasoningSummary);
    let parts = item.as_object_mut().and_then(|item| item.array_mut("content"));
    for part in parts.into_iter().flat_map(|parts| parts.iter_mut()).filter(|part| misnamed(part)) {
        set_member(part, "type", "reasoning_text");
    }
}

/// The images in the output of a call.
fn output(item: &mut Value, tally: &mut Tally) {
    let lacks = |part: &Value| {
        part.member_is("type", "input_image") && part.member("detail").is_none_or(|detail| detail.is_null())
    };
    if !tally.on(Fix::ImageDetail) || item.member_begins("output") != Some(b'[') {
        return;
    }
    let parts = item.member_rows("output", ["type"]).unwrap_or_default();
    let is_image = |part: &Row<1>| part.members[0].as_ref().is_some_and(|kind| *kind == *"input_image");
    if !parts.iter().any(|part| is_image(part) && lacks(&part.value)) {
        return;
    }
    tally.count(Fix::ImageDetail);
    let parts = item.as_object_mut().and_then(|item| item.array_mut("output"));
    for part in parts.into_iter().flat_map(|parts| parts.iter_mut()).filter(|part| lacks(part)) {
        set_member(part, "detail", "auto");
    }
}

/// What the assistant said, in one part.
fn message(item: &mut Value, tally: &mut Tally) -> Edit {
    if !tally.on(Fix::AssistantContent) || !item.member_is("role", "assistant") {
        return Edit::Keep;
    }
    let Some(parts) = item.member("content").filter(Value::is_array).and_then(|content| content.elements()) else {
        return Edit::Keep;
    };
    if parts.is_empty() {
        tally.count(Fix::AssistantContent);
        return Edit::remove();
    }
    let is_text = |part: &Value| !part.member_is("type", "refusal");
    if parts.len() == 1 && is_text(&parts[0]) {
        return Edit::Keep;
    }
    let text =
        |part: &Value| part.member_str("text").or_else(|| part.member_str("refusal")).map(|text| text.into_owned());
    // A part of a kind that we do not know stays what it is, and so does what stands beside it.
    let Some(texts) = parts.iter().map(text).collect::<Option<Vec<_>>>() else { return Edit::Keep };
    let mut part = Object::new();
    part.set("type", "output_text");
    part.set("text", texts.concat().as_str());
    part.set("annotations", Array::new());
    let mut content = Array::new();
    content.push(part);
    tally.count(Fix::AssistantContent);
    set_member(item, "content", content);
    Edit::Keep
}
