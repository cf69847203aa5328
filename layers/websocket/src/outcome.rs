//! What became of a request, read from the events of its answer.

use bytes::Bytes;
use tower_responses_core::{json::Value, sse::Event};

#[cfg(test)]
mod tests;

/// Reads the events of an answer as they pass: how it ends, and what the client can go on from.
#[derive(Debug)]
pub struct Outcome {
    end: Option<End>,
    id: Option<Box<str>>,
    output: Vec<Value>,
    bytes: usize,
    limit: usize,
    unreadable: bool,
    stored: bool,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `response.completed` or `response.incomplete`: the conversation can go on from it.
    Kept,
    /// `response.failed` or `response.cancelled`: it goes on from where it was before.
    Failed,
    /// `error`: as with the other failures, but an event may follow.
    Error,
}

impl Outcome {
    /// Reads an answer, of whose output at most `limit` bytes are kept.
    pub fn new(limit: usize) -> Self {
        Self { end: None, id: None, output: Vec::new(), bytes: 0, limit, unreadable: false, stored: false }
    }

    /// An answer that says nothing, as to a prewarm frame.
    pub fn empty(id: &str) -> Self {
        Self { end: Some(End::Kept), id: Some(id.into()), ..Self::new(usize::MAX) }
    }

    /// Takes note of the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind() {
            "response.output_item.done" => {
                if let Some(item) = event.member("item") {
                    self.add(&item);
                }
            }
            "response.completed" | "response.incomplete" => {
                self.end = Some(End::Kept);
                if let Some(response) = event.member("response") {
                    self.id = response.member_str("id").map(Into::into);
                    self.stored = response.member("store").and_then(|store| store.as_bool()) == Some(true);
                    self.read_output(&response);
                }
            }
            "response.failed" | "response.cancelled" => self.end = Some(End::Failed),
            "error" => self.end = Some(End::Error),
            _ => {}
        }
    }

    /// How the answer ended; `None` as long as it goes on.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// The id and the output items, if the conversation can go on from this answer.
    pub(crate) fn kept(&self) -> Option<(&str, &[Value])> {
        match self.end {
            Some(End::Kept) if !self.unreadable => Some((self.id.as_deref()?, &self.output)),
            _ => None,
        }
    }

    /// Whether a store further in has it, as it says of itself.
    pub(crate) fn is_stored(&self) -> bool {
        self.stored
    }

    /// Whether not all of the output could be kept.
    pub(crate) fn is_too_large(&self) -> bool {
        self.bytes > self.limit
    }

    /// Clients go on with the items as they were done one by one. Where the list at the end has
    /// more of them (some servers do not send all events), it counts.
    fn read_output(&mut self, response: &Value) {
        let Some(items) = response.member("output").and_then(|output| output.elements()) else { return };
        if items.clone().count() > self.output.len() && !self.is_too_large() {
            self.output.clear();
            self.bytes = 0;
            items.for_each(|item| self.add(&item));
        }
    }

    /// Copies an item: a slice would keep the whole chunk that it came in.
    fn add(&mut self, item: &Value) {
        let text = item.text();
        self.bytes += text.len();
        if self.is_too_large() {
            self.output = Vec::new();
            return;
        }
        match Value::parse(Bytes::copy_from_slice(&text)) {
            Ok(item) => self.output.push(item),
            Err(_) => self.unreadable = true,
        }
    }
}
