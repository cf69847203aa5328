use bytes::{Bytes, BytesMut};
use tower_responses_core::json::{Array, Object, Value};

use super::kind::{PartEvents, Text};
use crate::shape;

/// What is held of the output of one stream at most, in bytes. Over it, what the items of a
/// `response.failed` of our own say is cut short.
const MAX_HELD: usize = 1 << 20;

/// So many items are looked through for one before it is looked for where its index says.
const LAST: usize = 8;

/// The output items of one stream as far as they came. What is kept is copied: a slice would keep
/// the chunk alive that it lies in.
#[derive(Debug, Default)]
pub(super) struct Items {
    items: Vec<Item>,
    /// How many are open, and the one that is if there is but one.
    open: usize,
    current: usize,
    held: usize,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) index: i64,
    pub(super) id: String,
    pub(super) class: Class,
    /// The item as it was added; once it is done, as it was done.
    text: Bytes,
    parts: Vec<Part>,
    arguments: BytesMut,
    /// As [`Part::repair`], for arguments.
    repair: Option<bool>,
    pub(super) state: ItemState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemState {
    Open,
    Done,
    /// Done, and too large to be kept.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Message,
    Reasoning,
    Call,
    Other,
}

/// A part of a message or of reasoning.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) text: Text,
    /// As it stands in JSON, between the quotes.
    so_far: BytesMut,
    pub(super) text_done: bool,
    pub(super) done: bool,
    /// The first event about its text was looked at: whether those after it have to be changed.
    repair: Option<bool>,
}

impl Class {
    pub(super) fn of(kind: &str) -> Self {
        match kind {
            "message" => Self::Message,
            "reasoning" => Self::Reasoning,
            kind if kind.ends_with("_call") => Self::Call,
            _ => Self::Other,
        }
    }

    pub(super) fn of_item(item: &Value) -> Self {
        Self::of(&item.member_str("type").unwrap_or_default())
    }

    /// The items whose text this is.
    pub(super) fn with(text: Text) -> Self {
        match text {
            Text::Output | Text::Refusal => Self::Message,
            Text::Reasoning | Text::Summary => Self::Reasoning,
            Text::Arguments => Self::Call,
        }
    }
}

impl Items {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Item> {
        self.items.iter()
    }

    pub(super) fn get(&mut self, at: usize) -> &mut Item {
        &mut self.items[at]
    }

    pub(super) fn last(&self) -> Option<&Item> {
        self.items.last()
    }

    /// Where the item with this index stands: among the last, or where its index says, as nearly
    /// always. Nothing is sought among all of them that is there.
    pub(super) fn position(&self, index: i64) -> Option<usize> {
        let is_it = |item: &Item| item.index == index;
        let last = self.items.len().saturating_sub(LAST);
        let among_last = self.items[last..].iter().rposition(is_it).map(|at| last + at);
        let in_place = || usize::try_from(index).ok().filter(|at| self.items.get(*at).is_some_and(is_it));
        among_last.or_else(in_place).or_else(|| self.items[..last].iter().rposition(is_it))
    }

    /// The item with this index.
    pub(super) fn at_index(&self, index: usize) -> Option<&Item> {
        self.items.get(self.position(i64::try_from(index).ok()?)?)
    }

    /// The one that is open, if there is but one.
    pub(super) fn single_open(&self) -> Option<usize> {
        (self.open == 1).then_some(self.current)
    }

    pub(super) fn all_done(&self) -> bool {
        self.open == 0
    }

    pub(super) fn add(&mut self, index: i64, id: String, item: &Value) -> usize {
        let text = self.copy(&item.text());
        let class = Class::of_item(item);
        self.items.push(Item {
            index,
            id,
            class,
            text,
            parts: Vec::new(),
            arguments: BytesMut::new(),
            repair: None,
            state: ItemState::Open,
        });
        self.open += 1;
        self.current = self.items.len() - 1;
        self.current
    }

    /// Ends an item; what it was when it ended is kept, if there is room.
    pub(super) fn end(&mut self, at: usize, item: &Value) {
        let ended = &mut self.items[at];
        let was_open = ended.state == ItemState::Open;
        let parts: usize = std::mem::take(&mut ended.parts).iter().map(|part| part.so_far.len()).sum();
        self.held -= parts + std::mem::take(&mut ended.arguments).len();
        let text = self.copy(&item.text());
        let ended = &mut self.items[at];
        ended.state = if text.is_empty() { ItemState::Lost } else { ItemState::Done };
        if !text.is_empty() {
            self.held -= std::mem::replace(&mut ended.text, text).len();
        }
        if was_open {
            self.has_closed();
        }
    }

    fn has_closed(&mut self) {
        self.open -= 1;
        if self.open == 1 {
            self.current = self.items.iter().rposition(|item| item.state == ItemState::Open).unwrap_or(0);
        }
    }

    /// Forgets the last item.
    pub(super) fn forget_last(&mut self) {
        if let Some(item) = self.items.pop()
            && item.state == ItemState::Open
        {
            self.has_closed();
        }
    }

    /// Adds a piece of text, as it stands in JSON with its quotes.
    pub(super) fn append(&mut self, at: usize, piece: &[u8]) {
        let Some(piece) = piece.strip_prefix(b"\"").and_then(|piece| piece.strip_suffix(b"\"")) else { return };
        if self.held + piece.len() > MAX_HELD {
            return;
        }
        self.held += piece.len();
        let item = &mut self.items[at];
        match item.parts.last_mut() {
            Some(part) => part.so_far.extend_from_slice(piece),
            None => item.arguments.extend_from_slice(piece),
        }
    }

    fn copy(&mut self, text: &Bytes) -> Bytes {
        if self.held + text.len() > MAX_HELD {
            return Bytes::new();
        }
        self.held += text.len();
        Bytes::copy_from_slice(text)
    }

    /// The output, open items as incomplete ones.
    pub(super) fn output(&self) -> Array {
        self.items.iter().filter_map(Item::value).collect()
    }
}

impl Item {
    pub(super) fn open_part(&mut self, text: Text) {
        self.parts.push(Part { text, so_far: BytesMut::new(), text_done: false, done: false, repair: None });
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn last_part(&mut self) -> Option<&mut Part> {
        self.parts.last_mut()
    }

    /// The index of the part at `at` among those of its family.
    pub(super) fn part_index(&self, at: usize) -> i64 {
        let family = self.parts[at].text.events();
        let before = self.parts[..at].iter().filter(|part| part.text.events() == family);
        before.fold(0, |count, _| count + 1)
    }

    pub(super) fn is_call(&self) -> bool {
        self.class == Class::Call
    }

    /// Whether the pieces of what is being written have to be changed, if that is known.
    pub(super) fn repair(&self) -> Option<bool> {
        self.parts.last().map_or(self.repair, |part| part.repair)
    }

    pub(super) fn set_repair(&mut self, repair: bool) {
        match self.parts.last_mut() {
            Some(part) => part.repair = Some(repair),
            None => self.repair = Some(repair),
        }
    }

    /// The item as it stands, `None` if it could not be kept.
    pub(super) fn value(&self) -> Option<Value> {
        if self.state == ItemState::Done {
            return (!self.text.is_empty()).then(|| Value::from_text(self.text.clone()));
        }
        let mut item = Object::split(self.text.clone())?;
        item.set("id", self.id.as_str());
        item.set("status", "incomplete");
        if self.state == ItemState::Open {
            let of = |family| self.parts.iter().filter(move |part| part.text.events() == family).map(Part::value);
            match self.class {
                Class::Message => item.set("content", of(PartEvents::Content).collect::<Array>()),
                Class::Reasoning => {
                    item.set("content", of(PartEvents::Content).collect::<Array>());
                    item.set("summary", of(PartEvents::Summary).collect::<Array>());
                }
                Class::Call if item.has("input") => item.set("input", quoted(&self.arguments)),
                Class::Call if item.has("arguments") => item.set("arguments", quoted(&self.arguments)),
                Class::Call | Class::Other => {}
            }
        }
        Some(item.into())
    }
}

impl Part {
    /// The text as a JSON string.
    pub(super) fn so_far(&self) -> Value {
        quoted(&self.so_far)
    }

    /// The part as it stands.
    pub(super) fn value(&self) -> Value {
        let mut part = Object::new();
        part.set("type", self.text.part());
        part.set(self.text.member(), self.so_far());
        if self.text == Text::Output {
            part.set("annotations", shape::empty_array());
            part.set("logprobs", shape::empty_array());
        }
        part.into()
    }
}

fn quoted(text: &[u8]) -> Value {
    Value::from_text([b"\"", text, b"\""].concat())
}

/// Whether a string, as it stands in JSON with its quotes, is nothing but white space.
pub(super) fn is_blank_string(text: &[u8]) -> bool {
    let mut bytes = text.iter().filter(|byte| **byte != b'"');
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' => {}
            b'\\' if matches!(bytes.next(), Some(b'n' | b'r' | b't')) => {}
            _ => return false,
        }
    }
    true
}
