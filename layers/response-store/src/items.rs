//! Calls among the items of a conversation: which wait for an output, which were cut.

use bytes::Bytes;
use tower_responses_core::json::Value;

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
    let kind = item.member_str("type").unwrap_or_default();
    kind.ends_with("_call") && item.member_str("status").as_deref() == Some("incomplete")
}

/// Follows calls and outputs through the items of a conversation.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    pending: Vec<PendingCall>,
}

impl Calls {
    /// Goes on from what was pending.
    pub fn new(pending: Vec<PendingCall>) -> Self {
        Self { pending }
    }

    /// Takes the next item.
    pub fn item(&mut self, item: &Value) {
        let Some(kind) = item.member_str("type") else { return };
        let is_output = kind.ends_with("_output") && !self.pending.is_empty();
        let is_call = !is_output && CALLS.contains(&&*kind);
        if !is_output && !is_call {
            return;
        }
        // One that the server executed has none.
        let Some(call_id) = item.member_str("call_id") else { return };
        if is_output {
            self.pending.retain(|call| call.call_id != *call_id);
        } else if !is_cut_call(item) {
            self.pending.push(PendingCall { kind: kind.into_owned(), call_id: call_id.into_owned() });
        }
    }

    /// What waits for an output.
    pub fn pending(&self) -> &[PendingCall] {
        &self.pending
    }

    /// Those.
    pub fn into_pending(self) -> Vec<PendingCall> {
        self.pending
    }
}

/// The items of a request's `input`: a text is a message of the user.
pub fn input_items(input: Option<&Value>) -> Option<Vec<Bytes>> {
    let Some(input) = input else { return Some(Vec::new()) };
    if input.is_null() {
        return Some(Vec::new());
    }
    if input.is_string() {
        let parts: [&[u8]; 3] = [br#"{"type":"message","role":"user","content":"#, &input.text(), b"}"];
        return Some(vec![parts.concat().into()]);
    }
    Some(input.elements()?.iter().map(Value::text).collect())
}

#[cfg(test)]
mod tests;
