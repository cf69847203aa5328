//! Turns for tests of stores.

use bytes::Bytes;
use tower_responses_core::json::{Object, Value};

use super::{NewTurn, Turn, TurnInput};
use crate::{Owner, Record, ResponseId};

pub(crate) struct TestTurn<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) previous: Option<ResponseId>,
    pub(crate) input: &'a [&'a str],
    pub(crate) output: &'a [&'a str],
    pub(crate) tools: Option<&'a str>,
    /// The id of the output items.
    pub(crate) item: Option<&'a str>,
}

impl TestTurn<'_> {
    pub(crate) fn record(&self) -> Record {
        let message = |role: &str, text: &str, id: Option<&str>| {
            let mut item = Object::new();
            item.set("type", "message");
            item.set("role", role);
            item.set("content", text);
            if let Some(id) = id {
                item.set("id", id);
            }
            item.text()
        };
        let mut response = Object::new();
        response.set("object", "response");
        response.set("status", "completed");
        response.set("usage", Value::from_text(r#"{"total_tokens":1}"#));
        let tools = self.tools.map(|tools| Bytes::copy_from_slice(tools.as_bytes()));
        let id = self.previous.map_or_else(ResponseId::root, |previous| ResponseId::continuing(&previous));
        let input: Vec<_> = self.input.iter().map(|text| message("user", text, None)).collect();
        let output: Vec<_> = self.output.iter().map(|text| message("assistant", text, self.item)).collect();
        let turn = NewTurn {
            id,
            previous: self.previous,
            depth: 0,
            owner: self.owner,
            input: TurnInput::new(self.owner, &input, Vec::new(), tools.as_ref(), Vec::new(), 256),
            output: &output,
            response: &response,
            tool_choice: None,
        };
        turn.into_record()
    }
}

/// The texts of the messages of a turn.
pub(crate) fn texts_of(body: &Bytes) -> Vec<String> {
    let turn = Turn::decode(body).expect("the body is whole");
    let text = |text: &Bytes| Value::from_text(text.clone()).member_str("content").unwrap_or_default().into_owned();
    turn.replayed().map(text).collect()
}
