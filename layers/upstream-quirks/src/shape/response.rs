use std::cell::LazyCell;

use bytes::Bytes;
use tower_responses_core::json::{Array, Object, Row, Value};

use super::{item::complete_item, new_id, now, usage};
use crate::fix::{Fix, Tally};

/// What a member of a response is where nobody gave one.
enum Default {
    /// This, and `null` is as good.
    OrNull(&'static str),
    /// This; clients do not take `null`.
    Not(&'static str),
}

use Default::{Not, OrNull};

/// The members of a response object as strict clients require them. Source: the Open Responses
/// schema, `ResponseResource`.
const MEMBERS: &[(&str, Default)] = &[
    ("object", Not("\"response\"")),
    ("completed_at", OrNull("null")),
    ("error", OrNull("null")),
    ("incomplete_details", OrNull("null")),
    ("instructions", OrNull("null")),
    ("max_output_tokens", OrNull("null")),
    ("max_tool_calls", OrNull("null")),
    ("model", Not("\"\"")),
    ("output", Not("[]")),
    ("parallel_tool_calls", Not("true")),
    ("previous_response_id", OrNull("null")),
    ("reasoning", OrNull("null")),
    ("store", Not("false")),
    ("temperature", Not("1.0")),
    ("text", Not("{\"format\":{\"type\":\"text\"}}")),
    ("tool_choice", Not("\"auto\"")),
    ("tools", Not("[]")),
    ("top_logprobs", Not("0")),
    ("top_p", Not("1.0")),
    ("presence_penalty", Not("0.0")),
    ("frequency_penalty", Not("0.0")),
    ("truncation", Not("\"disabled\"")),
    ("usage", OrNull("null")),
    ("background", Not("false")),
    ("service_tier", Not("\"default\"")),
    ("metadata", Not("{}")),
    ("safety_identifier", OrNull("null")),
    ("prompt_cache_key", OrNull("null")),
];

/// Whether a response repeats the member with this key from its request. Not `store`: that nobody
/// says that it was stored is no reason to say so.
fn is_echoed(key: &[u8]) -> bool {
    matches!(
        key,
        b"\"model\""
            | b"\"instructions\""
            | b"\"max_output_tokens\""
            | b"\"max_tool_calls\""
            | b"\"metadata\""
            | b"\"parallel_tool_calls\""
            | b"\"previous_response_id\""
            | b"\"reasoning\""
            | b"\"temperature\""
            | b"\"text\""
            | b"\"tool_choice\""
            | b"\"top_logprobs\""
            | b"\"top_p\""
            | b"\"presence_penalty\""
            | b"\"frequency_penalty\""
            | b"\"truncation\""
            | b"\"background\""
            | b"\"service_tier\""
            | b"\"safety_identifier\""
            | b"\"prompt_cache_key\""
            | b"\"user\""
    )
}

/// The longest text of a member that is kept for later, in bytes.
const KEEP: usize = 256;

/// The small members of a request or of a response, for a response object of our own. They are
/// copied: a slice would keep a whole body alive.
#[derive(Debug, Clone, std::default::Default)]
pub(crate) struct Echo(Bytes);

impl Echo {
    /// What a response repeats of this request.
    pub(crate) fn of_request(request: &Object) -> Self {
        Self::keep(request, |key, value| is_echoed(key) && !value.is_null())
    }

    /// What later responses of the same stream repeat of this one.
    pub(crate) fn of_response(response: &Object) -> Self {
        Self::keep(response, |key, _| !matches!(key, b"\"output\"" | b"\"usage\"" | b"\"tools\""))
    }

    fn keep(object: &Object, keep: impl Fn(&[u8], &Value) -> bool) -> Self {
        let mut kept = Vec::with_capacity(KEEP);
        for (key, value) in object.spelled() {
            // The text of what has changed is written for it: not for what is not wanted.
            if !keep(key, value) || !is_last(object, key, value) {
                continue;
            }
            let text = value.text();
            if text.len() <= KEEP {
                kept.push(if kept.is_empty() { b'{' } else { b',' });
                kept.extend_from_slice(key);
                kept.push(b':');
                kept.extend_from_slice(&text);
            }
        }
        if kept.is_empty() {
            return Self::default();
        }
        kept.push(b'}');
        Self(kept.into())
    }

    /// The members, in an object of their own.
    fn object(&self) -> Object {
        Object::split(self.0.clone()).unwrap_or_default()
    }

    /// A response object with this status, complete.
    pub(crate) fn response(&self, status: &str) -> Object {
        let mut response = self.object();
        if !response.has("id") {
            response.set("id", new_id("resp").as_str());
        }
        response.set("status", status);
        if !response.has("created_at") {
            response.set("created_at", Value::serialize(&now()));
        }
        fill(&mut response, &Self::default());
        response
    }

    /// The same with another id.
    pub(crate) fn with_id(&self, id: &str) -> Self {
        let mut object = self.object();
        object.set("id", id);
        Self(object.text())
    }
}

/// Whether this is the value that counts of those with this key, which is spelled as names are.
fn is_last(object: &Object, key: &[u8], value: &Value) -> bool {
    let name = key.get(1..key.len().saturating_sub(1)).and_then(|name| std::str::from_utf8(name).ok());
    name.and_then(|name| object.get(name)).is_some_and(|last| std::ptr::eq(last, value))
}

/// Gives the members that are missing; whether any was.
fn fill(response: &mut Object, echo: &Echo) -> bool {
    let echo = LazyCell::new(|| echo.object());
    let mut filled = false;
    for (name, default) in MEMBERS {
        let (Not(text) | OrNull(text)) = default;
        let mut make = || {
            filled = true;
            let echoed = echo.get(name).filter(|value| !value.is_null()).cloned();
            echoed.unwrap_or_else(|| Value::from_text(*text))
        };
        let is_wrong = response.get_or_insert_with(name, &mut make).is_null() && matches!(default, Not(_));
        if is_wrong {
            let value = make();
            response.set(name, value);
        }
    }
    filled
}

/// Makes a response object whole: its fields, its usage, its items.
pub(crate) fn complete(response: &mut Object, status: &str, echo: &Echo, tally: &mut Tally) {
    if tally.on(Fix::ItemStatus) && !response.get("status").is_some_and(Value::is_string) {
        response.set("status", status);
        tally.count(Fix::ItemStatus);
    }
    if tally.on(Fix::ResponseFields) {
        let ended = response.member_is("status", "completed");
        let fill_id = !response.get("id").is_some_and(Value::is_string);
        if fill_id {
            response.set("id", new_id("resp").as_str());
        }
        let fill_times = response.get("created_at").is_none_or(Value::is_null);
        if fill_times {
            response.set("created_at", Value::serialize(&now()));
        }
        let fill_end = ended && !response.has("completed_at");
        if fill_end {
            response.set("completed_at", Value::serialize(&now()));
        }
        if fill(response, echo) || fill_id || fill_times || fill_end {
            tally.count(Fix::ResponseFields);
        }
    }
    if tally.on(Fix::Usage) {
        usage::complete(response, tally);
    }
    if tally.on(Fix::EchoedTools) {
        complete_tools(response, tally);
    }
    let ended = matches!(status, "completed" | "incomplete" | "failed");
    if ended && let Some(output) = response.array_mut("output") {
        output.for_each_mut(|_, item| complete_item(item, "completed", tally));
    }
}

fn complete_tools(response: &mut Object, tally: &mut Tally) {
    const MEMBERS: [&str; 3] = ["description", "parameters", "strict"];
    let lacks = |tool: &Row<4>| {
        let [kind, members @ ..] = &tool.members;
        kind.as_ref().is_some_and(|kind| *kind == *"function") && members.iter().any(Option::is_none)
    };
    let Some(tools) = response.get("tools").and_then(|tools| tools.rows(["type", MEMBERS[0], MEMBERS[1], MEMBERS[2]]))
    else {
        return;
    };
    if !tools.clone().any(|tool| lacks(&tool)) {
        return;
    }
    tally.count(Fix::EchoedTools);
    let completed = tools.map(|tool| {
        if !lacks(&tool) {
            return tool.value;
        }
        let null = Value::null();
        let missing = MEMBERS.into_iter().zip(&tool.members[1..]).filter(|(_, member)| member.is_none());
        let missing: Vec<_> = missing.map(|(name, _)| (name, Some(&null))).collect();
        tool.value.with_members(&missing).unwrap_or(tool.value)
    });
    response.set("tools", Array::from_iter(completed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_known_short_and_the_last_of_its_name() {
        let request = format!(
            r#"{{"model":"a","input":"x","store":true,"model" : "b","user":null,"metadata":{{"k":"{}"}},"text":{{"format":1}}}}"#,
            "v".repeat(KEEP)
        );
        let echo = Echo::of_request(&Object::parse(request.into()).unwrap());
        assert_eq!(echo.object().text(), r#"{"model":"b","text":{"format":1}}"#);
        let response = r#"{"id":"r","output":[],"usage":{},"tools":[],"user":null,"store":true}"#;
        let echo = Echo::of_response(&Object::parse(response.into()).unwrap());
        assert_eq!(echo.object().text(), r#"{"id":"r","user":null,"store":true}"#);
    }

    #[test]
    fn members_are_filled_from_the_request_then_by_default() {
        let echo = Echo::of_request(&Object::parse(r#"{"model":"m","top_p":0.5,"text":{"a":1}}"#.into()).unwrap());
        let mut response = Object::parse(r#"{"model":"other","text":null,"error":null,"user":1}"#.into()).unwrap();
        assert!(fill(&mut response, &echo));
        let member = |name: &str| response.get(name).unwrap().text();
        assert_eq!(member("model"), r#""other""#, "what is there stays");
        assert_eq!(member("text"), r#"{"a":1}"#, "where null is not allowed it is replaced");
        assert_eq!(member("error"), "null", "where it is allowed it stays");
        assert_eq!(member("top_p"), "0.5");
        assert_eq!(member("temperature"), "1.0");
        assert!(!fill(&mut response, &echo), "nothing is missing any more");
    }
}
