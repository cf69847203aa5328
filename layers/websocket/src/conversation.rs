//! What a connection knows of the responses that were made on it.

use bytes::{Bytes, BytesMut};
use tower_responses_core::{
    ApiError,
    json::{Array, Object, Value},
    read_bool,
};

use self::tools::Tools;
use crate::{
    frame::{Create, previous_response_not_found},
    outcome::Outcome,
};

mod tools;

#[cfg(test)]
mod tests;

/// What one item costs beside its text.
const ITEM: usize = size_of::<Value>();

/// The state of a connection: the full input, the output and the tools of the responses made on it, so that
/// a client can go on from any of them with only what is new, although they are stored nowhere.
///
/// A response is kept as what it adds to the one before it. Items are slices of the frames that
/// brought them, unless that would hold far more in memory than they are.
///
/// ```
/// use tower_responses_websocket::{Conversation, Create, Outcome};
///
/// let mut conversation = Conversation::new(1 << 20);
/// let mut first = Create::parse(r#"{"type":"response.create","input":[{"id":"a"}],"stream":true}"#.into()).unwrap();
/// let begun = conversation.begin(&mut first).unwrap();
/// conversation.commit(begun, &Outcome::empty("resp_1"));
///
/// let mut second = Create::parse(
///     r#"{"type":"response.create","previous_response_id":"resp_1","input":[{"id":"b"}],"stream":true}"#.into(),
/// ).unwrap();
/// conversation.begin(&mut second).unwrap();
/// assert_eq!(second.request.text(), r#"{"input":[{"id":"a"},{"id":"b"}],"stream":true}"#);
/// ```
#[derive(Debug)]
pub struct Conversation {
    turns: Vec<Turn>,
    bytes: usize,
    limit: usize,
    /// The response with which the limit was reached.
    forgotten: Option<Box<str>>,
}

#[derive(Debug)]
struct Turn {
    id: Box<str>,
    before: Before,
    items: Vec<Value>,
    tools: Tools,
}

/// What stands before the items of a turn.
#[derive(Debug, Clone)]
enum Before {
    Nothing,
    /// The turn at this place.
    Turn(usize),
    /// A response of another place, which a layer further in may know.
    Elsewhere(Value),
}

/// A request that is being answered: what becomes of it is part of the conversation if it
/// [comes to an end](Conversation::commit).
#[derive(Debug)]
pub struct Begun {
    before: Before,
    items: Vec<Value>,
    tools: Tools,
    bytes: usize,
    /// Whether a store further in may have the response as well.
    stored: bool,
}

impl Conversation {
    /// A conversation of which at most `limit` bytes are kept. If it grows larger it is forgotten,
    /// and who goes on from it is told so (`previous_response_not_found`).
    pub fn new(limit: usize) -> Self {
        Self { turns: Vec::new(), bytes: 0, limit, forgotten: None }
    }

    /// Makes a request whole: one that goes on from a response of this connection gets the full
    /// input and loses its `previous_response_id`; if it names no tools, it gets the ones of that
    /// response. A request that goes on from another response is left to the layers further in.
    ///
    /// # Errors
    /// 400 `previous_response_not_found` for a response that had to be forgotten, 400 where the new
    /// `input` can not be added to anything, and 400 where `store` is no boolean.
    pub fn begin(&mut self, create: &mut Create) -> Result<Begun, ApiError> {
        let request = &mut create.request;
        let stored = read_bool(request, "store")? != Some(false);
        let new = items_of(request.get("input"));
        let previous = request.get("previous_response_id").filter(|id| !id.is_null()).cloned();
        let before = match &previous {
            None => Before::Nothing,
            Some(id) => self.find(id)?,
        };
        let new = match (new, &before) {
            (Some(new), _) => new,
            (None, Before::Turn(_)) => {
                return Err(ApiError::bad_request("input must be a string or an array").param("input"));
            }
            // Further in they know better what is wrong with it.
            (None, _) => Vec::new(),
        };
        if let Before::Turn(at) = before {
            let (base, mut whole) = self.items_up_to(at);
            whole.extend(new.iter().cloned());
            request.set("input", Array::from_iter(whole));
            match base {
                Some(base) => request.set("previous_response_id", base),
                None => drop(request.remove("previous_response_id")),
            }
            self.turns[at].tools.inherit(request);
        }
        let tools_before = if let Before::Turn(at) = before { Some(&self.turns[at].tools) } else { None };
        let (tools, tools_bytes) = Tools::of(request, tools_before);
        let (items, items_bytes) = keep(new, create.frame);
        Ok(Begun { before, items, tools, bytes: items_bytes + tools_bytes, stored })
    }

    /// Adds what became of a request: from now on the conversation can be continued there.
    pub fn commit(&mut self, begun: Begun, outcome: &Outcome) {
        let Some((id, output)) = outcome.kept() else { return };
        let Begun { before, mut items, tools, bytes, stored } = begun;
        if !matches!(before, Before::Turn(_)) {
            self.clear();
        }
        if outcome.is_stored() {
            // Whoever goes on from it is left to the store, which keeps what each turn adds.
            return;
        }
        let output = output.iter().map(|item| (item.clone(), item.text().len()));
        for (item, length) in output {
            self.bytes += length + ITEM;
            items.push(item);
        }
        self.bytes += bytes + id.len() + size_of::<Turn>();
        if self.bytes > self.limit || outcome.is_too_large() {
            tracing::debug!(limit = self.limit, "the state of a connection is over its limit and is forgotten");
            metrics::counter!("tower_responses_websocket_states_forgotten_total").increment(1);
            self.clear();
            self.forgotten = (!stored).then(|| id.into());
            return;
        }
        self.turns.push(Turn { id: id.into(), before, items, tools });
    }

    /// The bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    fn find(&self, id: &Value) -> Result<Before, ApiError> {
        let Some(name) = id.as_str() else { return Ok(Before::Elsewhere(id.clone())) };
        if let Some(at) = self.turns.iter().rposition(|turn| *turn.id == *name) {
            return Ok(Before::Turn(at));
        }
        if self.forgotten.as_deref() == Some(&*name) {
            return Err(previous_response_not_found(&name));
        }
        Ok(Before::Elsewhere(Value::from_text(Bytes::copy_from_slice(&id.text()))))
    }

    /// All items up to and with a turn, and the response elsewhere that stands before them.
    fn items_up_to(&self, last: usize) -> (Option<Value>, Vec<Value>) {
        let mut path = vec![last];
        let mut at = last;
        let base = loop {
            match &self.turns[at].before {
                Before::Turn(before) => at = *before,
                Before::Nothing => break None,
                Before::Elsewhere(id) => break Some(id.clone()),
            }
            path.push(at);
        };
        let items = path.iter().rev().flat_map(|at| self.turns[*at].items.iter().cloned()).collect();
        (base, items)
    }
}

/// The items of an `input`. `None` if it is nothing that items can be added to.
fn items_of(input: Option<&Value>) -> Option<Vec<Value>> {
    let Some(input) = input.filter(|input| !input.is_null()) else { return Some(Vec::new()) };
    if input.is_string() {
        // As OpenAI reads it.
        let mut message = Object::new();
        message.set("type", "message");
        message.set("role", "user");
        message.set("content", input.clone());
        return Some(vec![message.into()]);
    }
    match input.as_array() {
        Some(opened) => Some(opened.iter().map(Value::into_unique).collect()),
        None => Some(input.elements()?.map(Value::into_unique).collect()),
    }
}

/// What is to be kept of the items of a frame, and the memory that this takes. Each frame brings
/// all tools anew: a slice of it keeps these as well, so few items of a large frame are copied.
fn keep(items: Vec<Value>, frame: usize) -> (Vec<Value>, usize) {
    let length: usize = items.iter().map(|item| item.text().len()).sum();
    let own = items.len() * ITEM;
    if length * 2 >= frame {
        return (items, frame + own);
    }
    let mut text = BytesMut::with_capacity(length);
    let ends: Vec<_> = items
        .iter()
        .map(|item| {
            text.extend_from_slice(&item.text());
            text.len()
        })
        .collect();
    let text = text.freeze();
    let mut start = 0;
    let copied =
        ends.into_iter().map(|end| Value::from_text(text.slice(std::mem::replace(&mut start, end)..end))).collect();
    (copied, length + own)
}
