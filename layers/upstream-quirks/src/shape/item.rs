use tower_responses_core::json::{Edit, Elements, Object, Value};

use super::empty_array;
use crate::fix::{Fix, Tally};

/// Whether this is an item by which a client is asked to run something.
pub(crate) fn is_call(item: &Value) -> bool {
    item.member_str("type").is_some_and(|kind| kind.ends_with("_call"))
}

/// Gives an item the members that strict clients require.
pub(crate) fn complete_item(item: &mut Value, status: &str, tally: &mut Tally) {
    let [kind, known_status] = item.members(["type", "status"]);
    let is = |name: &str| kind.as_ref().is_some_and(|kind| *kind == *name);
    let (message, reasoning) = (is("message"), is("reasoning"));
    let has_status = message || reasoning || is("function_call") || is("custom_tool_call");
    if has_status
        && tally.on(Fix::ItemStatus)
        && known_status.is_none_or(|status| status.is_null())
        && let Some(item) = item.as_object_mut()
    {
        item.set("status", status);
        tally.count(Fix::ItemStatus);
    }
    if !tally.on(Fix::ContentArrays) {
        return;
    }
    if reasoning && !item.member("summary").is_some_and(|summary| summary.is_array()) {
        if let Some(item) = item.as_object_mut() {
            item.set("summary", empty_array());
            tally.count(Fix::ContentArrays);
        }
    } else if message
        && item.member("content").and_then(|content| content.elements()).is_some_and(lacks_arrays)
        && let Some(content) = item.as_object_mut().and_then(|item| item.array_mut("content"))
    {
        content.for_each_mut(|_, part| complete_part(part, tally));
    }
}

fn lacks_arrays(mut parts: Elements) -> bool {
    parts.any(|part| ARRAYS.iter().any(|name| lacks_array(&part, name)))
}

const ARRAYS: [&str; 2] = ["annotations", "logprobs"];

fn lacks_array(part: &Value, name: &str) -> bool {
    part.member_is("type", "output_text") && part.member(name).is_none_or(|value| !value.is_array())
}

/// Gives a part of a message the arrays that strict clients require.
pub(crate) fn complete_part(part: &mut Value, tally: &mut Tally) {
    if !tally.on(Fix::ContentArrays) {
        return;
    }
    for name in ARRAYS {
        if lacks_array(part, name)
            && let Some(part) = part.as_object_mut()
        {
            part.set(name, empty_array());
            tally.count(Fix::ContentArrays);
        }
    }
}

/// Says of the last item of an incomplete response that it was cut, and why the response is
/// incomplete. Calls are another matter: see `CutCalls`.
pub(crate) fn mark_incomplete(response: &mut Object, tally: &mut Tally) {
    if !response.has("incomplete_details") {
        let mut details = Object::new();
        details.set("reason", "max_output_tokens");
        response.set("incomplete_details", details);
        tally.count(Fix::IncompleteStatus);
    }
    let last = response.array_mut("output").and_then(|output| output.get_mut(output.len().checked_sub(1)?));
    let Some(item) = last.filter(|item| !is_call(item)) else { return };
    if !item.member_is("status", "incomplete")
        && let Some(item) = item.as_object_mut()
    {
        item.set("status", "incomplete");
        tally.count(Fix::IncompleteStatus);
    }
}

/// Takes messages of nothing but white space away that stand next to a call.
pub(crate) fn drop_whitespace(response: &mut Object, tally: &mut Tally) {
    let Some(output) = response.array_mut("output").filter(|output| output.len() > 1) else { return };
    let is_call_at = |at: usize| output.get(at).is_some_and(|item| is_call(&item));
    let next_to_call = |at: usize| at.checked_sub(1).is_some_and(is_call_at) || is_call_at(at + 1);
    let blank = |(at, item): (usize, Value)| (is_blank_message(&item) && next_to_call(at)).then_some(at);
    let dropped: Vec<usize> = output.iter().enumerate().filter_map(blank).collect();
    if dropped.is_empty() {
        return;
    }
    tally.count(Fix::WhitespaceMessage);
    let mut at = 0;
    output.map(|_| {
        at += 1;
        if dropped.contains(&(at - 1)) { Edit::remove() } else { Edit::Keep }
    });
}

fn is_blank_message(item: &Value) -> bool {
    let blank = |part: &Value| part.member_str("text").is_some_and(|text| text.trim().is_empty());
    item.member_is("type", "message")
        && item
            .member("content")
            .and_then(|content| content.elements())
            .is_some_and(|mut parts| parts.all(|part| blank(&part)))
}
