//! Calls among the items of a conversation: which wait for an output, which were cut.

mod waiting;

use std::borrow::Cow;

use bytes::Bytes;
use tower_responses_core::json::Value;

use self::waiting::Waiting;

/// A call that a client has to answer before the conversation can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCall {
    /// The item's `type`, such as `function_call`.
    pub kind: String,
    /// Its `call_id`.
    pub call_id: String,
}

impl PendingCall {
    /// The error's words, as OpenAI says them.
    pub fn message(&self) -> String {
        format!("No tool output found for {} {}.", self.kind.replace('_', " "), self.call_id)
    }
}

/// The types whose calls are executed by the client, which sends an item with the same `call_id`.
const CALLS: [&str; 7] = [
    "function_call",
    "custom_tool_call",
    "tool_search_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "computer_call",
];

/// Whether an item is a call that was cut before it was whole. No client runs such a call, and no
/// model is to see it.
pub fn is_cut_call(item: &Value) -> bool {
    Labels::of(item).is_cut_call()
}

/// What of an item tells which call it is, or belongs to.
pub(crate) struct Labels {
    kind: Option<Value>,
    status: Option<Value>,
    call_id: Option<Value>,
    id: Option<Value>,
}

impl Labels {
    pub(crate) fn of(item: &Value) -> Self {
        let [kind, status, call_id, id] = item.members(["type", "status", "call_id", "id"]);
        Self { kind, status, call_id, id }
    }

    pub(crate) fn is_cut_call(&self) -> bool {
        text(&self.status).as_deref() == Some("incomplete")
            && text(&self.kind).is_some_and(|kind| kind.ends_with("_call"))
    }

    /// The id of the item itself.
    pub(crate) fn id(&self) -> Option<Cow<'_, str>> {
        text(&self.id)
    }
}

fn text(label: &Option<Value>) -> Option<Cow<'_, str>> {
    label.as_ref().and_then(Value::as_str)
}

/// Follows calls and outputs through the items of a conversation: what waits for an output, in the
/// order in which it was called. Takes time that is linear in the items, whatever their order.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    waiting: Waiting,
}

impl Calls {
    /// Goes on from what was pending.
    pub fn new(pending: Vec<PendingCall>) -> Self {
        Self { waiting: Waiting::new(pending) }
    }

    /// Takes the next item.
    pub fn item(&mut self, item: &Value) {
        let Some(kind) = item.member_str("type") else { return };
        if kind.ends_with("_call") || kind.ends_with("_output") && !self.waiting.is_empty() {
            self.labelled(&Labels::of(item));
        }
    }

    /// The same of an item whose labels are known.
    pub(crate) fn labelled(&mut self, item: &Labels) {
        let Some(kind) = text(&item.kind) else { return };
        let is_output = kind.ends_with("_output") && !self.waiting.is_empty();
        let is_call = !is_output && CALLS.contains(&&*kind);
        if !is_output && !is_call {
            return;
        }
        // One that the server executed has none.
        let Some(call_id) = text(&item.call_id) else { return };
        if is_output {
            self.waiting.remove(&call_id);
        } else if !item.is_cut_call() {
            self.waiting.insert(PendingCall { kind: kind.into_owned(), call_id: call_id.into_owned() });
        }
    }

    /// Takes the next item for an answer to what waits; as a call it does not count.
    pub(crate) fn output(&mut self, item: &Value) {
        if item.member_str("type").is_some_and(|kind| kind.ends_with("_output"))
            && let Some(call_id) = item.member_str("call_id")
        {
            self.waiting.remove(&call_id);
        }
    }

    /// Whether nothing waits for an output.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits for an output: of calls with the same `call_id` the first.
    pub fn into_pending(self) -> Vec<PendingCall> {
        self.waiting.into_calls()
    }
}

/// The items of a request's `input`, each name of an item once: a text is a message of the user.
pub fn input_items(input: Option<&Value>) -> Option<Vec<Bytes>> {
    let Some(input) = input else { return Some(Vec::new()) };
    if input.is_null() {
        return Some(Vec::new());
    }
    if input.is_string() {
        let parts: [&[u8]; 3] = [br#"{"type":"message","role":"user","content":"#, &input.text(), b"}"];
        return Some(vec![parts.concat().into()]);
    }
    let text = |item: Value| item.into_unique().text();
    match input.as_array() {
        Some(opened) => Some(opened.iter().map(text).collect()),
        None => Some(input.elements()?.map(text).collect()),
    }
}

#[cfg(test)]
mod tests;
