use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2, memrchr};

use super::kind::Kind;
use crate::json::{
    Object, Value,
    scan::{self, Repeats},
};

/// One server-sent event.
///
/// It is text until somebody looks inside, and leaves as the very bytes that came if nobody
/// changed it.
#[derive(Debug, Clone)]
pub struct Event {
    text: Bytes,
    data: Bytes,
    kind: Kind,
    object: Option<Box<Object>>,
    replaced: bool,
}

impl Event {
    /// The event that `text` spells: its lines and the blank line after them.
    pub fn from_text(text: Bytes) -> Self {
        match plain_data(&text).filter(|(_, data)| memchr2(b'\n', b'\r', data).is_none()) {
            Some((_, data)) => Self::from_plain(text.slice_ref(data), text),
            None => Self::from_fields(text),
        }
    }

    /// The same where it is known that so many lines stand before the last, and no CR.
    pub(super) fn from_lines(text: Bytes, before_last: usize) -> Self {
        match plain_data(&text).filter(|(named, _)| usize::from(*named) == before_last) {
            Some((_, data)) => Self::from_plain(text.slice_ref(data), text),
            None => Self::from_text(text),
        }
    }

    fn from_plain(data: Bytes, text: Bytes) -> Self {
        let kind = match outer_type(&data) {
            Some(kind) => Kind::of(kind),
            None => Self::kind_of(&data, None),
        };
        Self { text, data, kind, object: None, replaced: false }
    }

    fn kind_of(data: &[u8], name: Option<&[u8]>) -> Kind {
        match scan::find(data, "type", Repeats::Last).and_then(scan::decode_string) {
            Some(kind) => Kind::of(kind.as_bytes()),
            None => name.map_or(Kind::NONE, Kind::of),
        }
    }

    fn from_fields(text: Bytes) -> Self {
        let mut data: Option<Cow<'_, [u8]>> = None;
        let mut name: Option<&[u8]> = None;
        for (field, value) in Fields::new(&text) {
            match (field, &mut data) {
                (b"data", None) => data = Some(Cow::Borrowed(value)),
                (b"data", Some(joined)) => {
                    let joined = joined.to_mut();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
                (b"event", _) => name = Some(value),
                _ => {}
            }
        }
        let data = match data {
            Some(Cow::Borrowed(data)) => text.slice_ref(data),
            Some(Cow::Owned(data)) => data.into(),
            None => Bytes::new(),
        };
        let kind = Self::kind_of(&data, name);
        Self { text, data, kind, object: None, replaced: false }
    }

    /// A new event with this JSON. It gets its `sequence_number` when it leaves, if the stream
    /// numbers its events.
    pub fn new(object: Object) -> Self {
        let kind = object.get_str("type").map_or(Kind::NONE, |kind| Kind::of(kind.as_bytes()));
        Self { text: Bytes::new(), data: Bytes::new(), kind, object: Some(Box::new(object)), replaced: true }
    }

    /// The type: the JSON's `type`, or the `event:` line where the JSON has none. Empty where
    /// there is neither, as with a comment or `[DONE]`.
    pub fn kind(&self) -> &str {
        self.kind.as_str()
    }

    /// Whether this brings a piece of a text or of arguments (`response.….delta`): the events of
    /// which there are most.
    pub fn is_delta(&self) -> bool {
        self.kind().ends_with(".delta")
    }

    /// What the `data:` lines hold, as it came.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Whether this is nothing but comments or blank lines.
    pub fn is_comment(&self) -> bool {
        self.data.is_empty() && self.object.is_none()
    }

    /// The JSON, opened one level deep; `None` if it is no object.
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        if self.object.is_none() {
            let nested = if self.carries_response() { Object::split_with(self.data.clone(), "response") } else { None };
            self.object = Some(Box::new(nested.or_else(|| Object::split(self.data.clone()))?));
        }
        self.object.as_deref_mut()
    }

    /// The response object that events of a response's life carry (`response.created`,
    /// `response.completed`, …), opened.
    pub fn response_mut(&mut self) -> Option<&mut Object> {
        if self.carries_response() { self.object_mut()?.object_mut("response") } else { None }
    }

    fn carries_response(&self) -> bool {
        self.kind().strip_prefix("response.").is_some_and(|stage| !stage.contains('.'))
    }

    /// The member called `name` of the JSON, without opening it.
    pub fn member(&self, name: &str) -> Option<Value> {
        match &self.object {
            Some(object) => object.get(name).cloned(),
            None => {
                scan::find(&self.data, name, Repeats::Last).map(|found| Value::from_text(self.data.slice_ref(found)))
            }
        }
    }

    /// The text of the member called `name` of the JSON, if nobody has opened it: no more than a
    /// look.
    pub fn member_text(&self, name: &str) -> Option<&[u8]> {
        if self.object.is_some() { None } else { scan::find(&self.data, name, Repeats::Last) }
    }

    /// The string called `name` of the JSON, without opening it.
    pub fn member_str(&self, name: &str) -> Option<Cow<'_, str>> {
        match &self.object {
            Some(object) => object.get_str(name),
            None => scan::decode_string(scan::find(&self.data, name, Repeats::Last)?),
        }
    }

    /// The members with these names of the JSON, in one pass and without opening it.
    pub fn members<const N: usize>(&self, names: [&str; N]) -> [Option<Value>; N] {
        match &self.object {
            Some(object) => names.map(|name| object.get(name).cloned()),
            None => scan::find_all(&self.data, names, Repeats::Last)
                .map(|found| Some(Value::from_text(self.data.slice(found?)))),
        }
    }

    /// Gives the event another type, in its JSON and in its `event:` line.
    pub fn set_kind(&mut self, kind: &str) {
        self.kind = Kind::of(kind.as_bytes());
        let kind = self.kind.to_json();
        if let Some(object) = self.object_mut() {
            object.set("type", kind);
        }
        self.replaced = true;
    }

    /// The number of the event in its stream.
    pub fn sequence_number(&self) -> Option<i64> {
        self.member("sequence_number")?.as_i64()
    }

    /// Whether the event was made here, and not received.
    pub(super) fn is_ours(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether the event differs from what came.
    pub fn is_changed(&self) -> bool {
        self.replaced || self.object.as_ref().is_some_and(|object| object.is_changed())
    }

    /// The JSON as it will leave in a WebSocket frame. Over SSE it stands on one line, without the
    /// line ends that may be between its tokens here.
    pub fn into_data(self) -> Bytes {
        match self.object {
            Some(object) if self.replaced || object.is_changed() => object.text(),
            _ => self.data,
        }
    }

    /// The event as it will leave over SSE.
    pub fn into_text(self) -> Bytes {
        if !self.is_changed() {
            return self.text;
        }
        let length = self.object.as_ref().map_or(self.data.len(), |object| object.measure().length);
        let mut out = BytesMut::with_capacity(self.kind().len() + length + 24);
        self.write(&mut out);
        out.freeze()
    }

    /// Writes the event as it will leave over SSE. Whatever JSON was put into it, it is one event:
    /// its data is one line.
    pub(super) fn write(&self, out: &mut BytesMut) {
        if !self.is_changed() {
            return out.put_slice(&self.text);
        }
        let end: &[u8] = if self.text.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
        let name = self.kind.line();
        let named = self.text.is_empty() || Fields::new(&self.text).any(|(field, _)| field == b"event");
        if named && !name.is_empty() {
            put_line(out, b"event: ", name.as_bytes(), end);
        }
        for (field, value) in Fields::new(&self.text) {
            if field != b"event" && field != b"data" {
                out.put_slice(field);
                put_line(out, b": ", value, end);
            }
        }
        match &self.object {
            Some(object) => {
                out.put_slice(b"data: ");
                let start = out.len();
                object.write(out);
                join_lines(&mut out[start..]);
                out.put_slice(end);
            }
            // No JSON: its lines are what the sender meant.
            None => self.data.split(|byte| *byte == b'\n').for_each(|line| put_line(out, b"data: ", line, end)),
        }
        out.put_slice(end);
    }
}

fn put_line(out: &mut BytesMut, field: &[u8], value: &[u8], end: &[u8]) {
    out.put_slice(field);
    out.put_slice(value);
    out.put_slice(end);
}

/// Makes one line of JSON. Its line ends stand between two tokens, where a space says the same: in
/// strings they are escaped.
fn join_lines(json: &mut [u8]) {
    // Mostly there is none, and to see that takes a few instructions for sixteen bytes.
    if !json.iter().fold(false, |found, byte| found | (*byte < b' ')) {
        return;
    }
    let mut at = 0;
    while let Some(end) = memchr2(b'\n', b'\r', &json[at..]) {
        json[at + end] = b' ';
        at += end + 1;
    }
}

/// The data of an event as servers write it: a line with the data, perhaps one with the type
/// before it, and the blank line. `None` for anything else, but not for data of more lines. The
/// flag says whether the type stands before it.
fn plain_data(text: &[u8]) -> Option<(bool, &[u8])> {
    let rest = text.strip_suffix(b"\n\n")?;
    let (named, rest) = match rest.strip_prefix(b"event: ") {
        Some(named) => (true, &named[memchr(b'\n', named)? + 1..]),
        None => (false, rest),
    };
    let data = rest.strip_prefix(b"data: ")?;
    data.starts_with(b"{").then_some((named, data))
}

/// The value of `type` where it stands first or last in the object, as it nearly always does. In
/// a string the quotes would have a backslash before them, and in an object further in the last
/// two bytes would be braces.
fn outer_type(data: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"\"type\":\"";
    if let Some(rest) = data.strip_prefix(b"{").and_then(|rest| rest.strip_prefix(KEY)) {
        let kind = &rest[..memchr(b'"', rest)?];
        return memchr(b'\\', kind).is_none().then_some(kind);
    }
    let rest = data.strip_suffix(b"\"}")?;
    let start = memrchr(b'"', rest)? + 1;
    let kind = &rest[start..];
    let before = rest[..start].strip_suffix(KEY)?;
    (matches!(before.last(), Some(b',' | b'{')) && memchr(b'\\', kind).is_none()).then_some(kind)
}

/// Field names and values of the lines of an event; a comment has an empty name.
struct Fields<'a> {
    text: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.text.is_empty() {
                return None;
            }
            let end = memchr2(b'\n', b'\r', self.text).unwrap_or(self.text.len());
            let line = &self.text[..end];
            self.text = self.text.get(end + 1..).unwrap_or_default();
            if line.is_empty() {
                continue;
            }
            let colon = memchr::memchr(b':', line).unwrap_or(line.len());
            let value = line.get(colon + 1..).unwrap_or_default();
            return Some((&line[..colon], value.strip_prefix(b" ").unwrap_or(value)));
        }
    }
}
