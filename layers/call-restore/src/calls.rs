use std::borrow::Cow;

use tower_responses_core::{ToolKind, json::Value, sse::Event};

use crate::{Input, InputDecoder, StringDecoder};

/// How many calls are followed at the same time. Over it, a call is restored once it is done.
const MAX_OPEN: usize = 256;

/// The calls of one stream that are announced and not done.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: Vec<Call>,
}

/// A call on its way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) output_index: Option<i64>,
    /// What the upstream calls the item.
    pub(crate) upstream_id: Option<Value>,
    /// What the client does.
    pub(crate) id: Value,
    pub(crate) shape: Shape,
    /// The arguments, once an event of their own has told them.
    pub(crate) arguments: Option<Value>,
}

/// What becomes of the events that bring the arguments.
#[derive(Debug)]
pub(crate) enum Shape {
    /// They pass.
    Function,
    /// They become events of a custom call.
    Custom(Box<Decoding>),
    /// The client gets none.
    ToolSearch,
}

/// The input of a custom call on its way.
#[derive(Debug, Default)]
pub(crate) struct Decoding {
    outer: StringDecoder,
    inner: InputDecoder,
    /// What the last delta brought of the arguments, and of the input.
    arguments: String,
    input: String,
    /// The bytes of the input that have gone on.
    sent: usize,
    /// Whether there was any delta at all.
    streamed: bool,
}

impl Calls {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn open(&mut self, call: Call) {
        self.open.retain(|open| !open.is_same(&call));
        if self.open.len() < MAX_OPEN {
            self.open.push(call);
        }
    }

    /// The call that an event is about, by `item_id` if both have one, else by `output_index`.
    pub(crate) fn of_event(&mut self, event: &Event) -> Option<&mut Call> {
        if self.open.is_empty() {
            return None;
        }
        let [id, output_index] = event.members(["item_id", "output_index"]);
        let at = self.find(id, output_index.and_then(|index| index.as_i64()))?;
        self.open.get_mut(at)
    }

    /// An event has told the arguments of a call as a whole.
    pub(crate) fn tell(&mut self, event: &Event, arguments: Value) {
        if let Some(call) = self.of_event(event) {
            call.arguments = Some(arguments);
            return;
        }
        let upstream_id = event.member("item_id").filter(is_id);
        self.open(Call {
            output_index: output_index(event),
            id: upstream_id.clone().unwrap_or_else(Value::null),
            upstream_id,
            shape: Shape::Function,
            arguments: Some(arguments),
        });
    }

    /// The call that an item ends.
    pub(crate) fn close(&mut self, event: &Event, item: &Value) -> Option<Call> {
        let at = self.find(item.member("id"), output_index(event))?;
        Some(self.open.swap_remove(at))
    }

    fn find(&self, id: Option<Value>, output_index: Option<i64>) -> Option<usize> {
        let id = id.filter(is_id);
        let by_id = || self.open.iter().position(|call| id.is_some() && call.upstream_id == id);
        let by_index =
            || self.open.iter().position(|call| call.output_index.is_some() && call.output_index == output_index);
        by_id().or_else(by_index)
    }
}

impl Call {
    fn is_same(&self, other: &Self) -> bool {
        match (&self.upstream_id, &other.upstream_id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.output_index.is_some() && self.output_index == other.output_index,
        }
    }
}

impl Shape {
    pub(crate) fn kind(&self) -> ToolKind {
        match self {
            Self::Function => ToolKind::Function,
            Self::Custom(_) => ToolKind::Custom,
            Self::ToolSearch => ToolKind::ToolSearch,
        }
    }
}

impl Decoding {
    /// What a delta of the arguments brings of the input. The delta is the JSON text of a string.
    pub(crate) fn delta(&mut self, delta: &Value) -> &str {
        self.input.clear();
        let text = delta.text();
        let text = String::from_utf8_lossy(&text);
        if let Some(inside) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            self.arguments.clear();
            self.outer.push(inside, &mut self.arguments);
            self.inner.push(&self.arguments, &mut self.input);
        }
        self.streamed = true;
        self.sent += self.input.len();
        &self.input
    }

    /// What the deltas, if there were any, have not brought of the input.
    pub(crate) fn rest<'a>(&self, input: &'a Input<'_>) -> Option<&'a str> {
        if !self.streamed {
            return None;
        }
        input.rest_after(&self.inner, self.sent).filter(|rest| !rest.is_empty())
    }
}

pub(crate) fn output_index(event: &Event) -> Option<i64> {
    event.member("output_index")?.as_i64()
}

pub(crate) fn is_id(id: &Value) -> bool {
    id.is_string() && id.as_str() != Some(Cow::Borrowed(""))
}
