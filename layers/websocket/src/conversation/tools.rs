//! The tools of a conversation: a request that names none has those of the one it goes on from.

use bytes::Bytes;
use tower_responses_core::json::{Object, Value};

/// The tools that a request had.
#[derive(Debug, Clone, Default)]
pub(super) struct Tools {
    tools: Option<Bytes>,
    choice: Option<Bytes>,
}

impl Tools {
    /// What there is to inherit from a request, and the memory that it takes beyond `before`.
    /// Clients send the same tools with each frame; they are kept once.
    pub(super) fn of(request: &Object, before: Option<&Self>) -> (Self, usize) {
        let tools = request.get("tools").filter(|tools| !tools.is_null()).map(Value::text);
        let choice = request.get("tool_choice").filter(|choice| is_inherited(choice)).map(Value::text);
        let before = before.cloned().unwrap_or_default();
        let (tools, more) = keep(tools, before.tools);
        let (choice, beside) = keep(choice, before.choice);
        (Self { tools, choice }, more + beside)
    }

    /// Gives them to a request that has none of its own.
    pub(super) fn inherit(&self, request: &mut Object) {
        if request.get("tools").is_some() {
            return;
        }
        let Some(tools) = &self.tools else { return };
        request.set("tools", Value::from_text(tools.clone()));
        if let (Some(choice), None) = (&self.choice, request.get("tool_choice")) {
            request.set("tool_choice", Value::from_text(choice.clone()));
        }
    }
}

/// Copies a text, since a slice would keep the frame that it came in, unless it is there already.
fn keep(text: Option<Bytes>, before: Option<Bytes>) -> (Option<Bytes>, usize) {
    match text {
        None => (None, 0),
        text if text == before => (before, 0),
        Some(text) => (Some(Bytes::copy_from_slice(&text)), text.len()),
    }
}

/// Whether a later turn may have the same choice: one that forces a call would force it again
/// and again.
fn is_inherited(choice: &Value) -> bool {
    match choice.as_str() {
        Some(mode) => mode != "required",
        None => choice.member_is("type", "allowed_tools") && !choice.member_is("mode", "required"),
    }
}
