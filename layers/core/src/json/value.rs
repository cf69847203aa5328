use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Array, Object, SyntaxError,
    part::{Part, Spot},
    scan,
    write::Sink,
};

/// A JSON value: text until somebody looks inside.
///
/// Cloning a value shares its text.
#[derive(Debug)]
pub struct Value(pub(super) Repr);

#[derive(Debug)]
pub(super) enum Repr {
    Text(Bytes),
    /// Text of an object in which no name stands twice.
    Unique(Bytes),
    Part(Box<Part>),
    Object(Box<Object>),
    Array(Box<Array>),
}

/// What was opened is copied only if something in it has changed: else its text says all.
impl Clone for Value {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Repr::Object(object) if object.is_changed() => Repr::Object(object.clone()),
            Repr::Array(array) if array.is_changed() => Repr::Array(array.clone()),
            Repr::Unique(text) => Repr::Unique(text.clone()),
            _ => Repr::Text(self.text()),
        })
    }
}

impl Value {
    /// The value that `text` spells, which has to be the text of one JSON value, without space
    /// around it. This is not checked: use [`Value::parse`] for text from outside.
    pub fn from_text(text: impl Into<Bytes>) -> Self {
        Self(Repr::Text(text.into()))
    }

    /// The same of the text of an object that is known to have each name once, as the items of
    /// every request that was [read](crate::RequestBody::read) do: what stands behind a member need
    /// not be looked at to find it. In any other object the first of equal names would count.
    pub fn from_unique(text: impl Into<Bytes>) -> Self {
        Self(Repr::Unique(text.into()))
    }

    /// The value that begins there in the text, and where it ends.
    #[inline(always)]
    pub(super) fn at<const CHECK: bool>(text: &Bytes, at: usize) -> Option<(Self, usize)> {
        let end = scan::end_of::<CHECK>(text, at)?;
        Some((Self::from_text(text.slice(at..end)), end))
    }

    /// Checks that `text` is one JSON value.
    ///
    /// # Errors
    /// Where `text` is not UTF-8 or not JSON.
    pub fn parse(text: Bytes) -> Result<Self, SyntaxError> {
        if !scan::is_value(&text) {
            return Err(SyntaxError::of(&text));
        }
        let start = scan::skip_space(&text, 0);
        let end = text.iter().rposition(|b| !b.is_ascii_whitespace()).map_or(start, |last| last + 1);
        Ok(Self::from_text(text.slice(start..end)))
    }

    /// A JSON string.
    pub fn string(text: &str) -> Self {
        Self::from_text(scan::string::quote(text))
    }

    /// `null`.
    pub const fn null() -> Self {
        Self(Repr::Text(Bytes::from_static(b"null")))
    }

    /// `true` or `false`.
    pub const fn bool(value: bool) -> Self {
        Self(Repr::Text(Bytes::from_static(if value { b"true" } else { b"false" })))
    }

    /// Whatever serde makes of `value`; `null` if that fails, as it does only for maps whose keys
    /// are no strings.
    pub fn serialize<T: Serialize + ?Sized>(value: &T) -> Self {
        serde_json::to_vec(value).map_or_else(|_| Self::null(), Self::from_text)
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// Where the value does not have the shape of `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        super::decode(&self.text())
    }

    pub(super) fn first_byte(&self) -> u8 {
        match &self.0 {
            Repr::Object(_) => b'{',
            Repr::Array(_) => b'[',
            _ => self.as_text().and_then(|text| text.first().copied()).unwrap_or(b'n'),
        }
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        self.first_byte() == b'{'
    }

    /// Whether this is an array.
    pub fn is_array(&self) -> bool {
        self.first_byte() == b'['
    }

    /// Whether this is a string.
    pub fn is_string(&self) -> bool {
        self.first_byte() == b'"'
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        self.as_text() == Some(b"null")
    }

    /// `true`, `false`, or `None` for anything else.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_text()? {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The number, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        std::str::from_utf8(self.as_text()?).ok()?.parse().ok()
    }

    /// The string, decoded; `None` for any other value and for one with a lone surrogate.
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        scan::decode_string(self.as_text()?)
    }

    /// The object, opened one level deep; `None` for any other value, and for an object that has far
    /// more members than anybody writes (see [`Object`]).
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        if self.as_text().is_some() {
            self.0 = Repr::Object(Box::new(Object::split(self.text())?));
        }
        match &mut self.0 {
            Repr::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The array, if somebody has opened it.
    pub fn as_array(&self) -> Option<&Array> {
        match &self.0 {
            Repr::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The array, opened one level deep; `None` for any other value.
    pub fn as_array_mut(&mut self) -> Option<&mut Array> {
        if self.as_text().is_some() {
            self.0 = Repr::Array(Box::new(Array::split(self.text())?));
        }
        match &mut self.0 {
            Repr::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Whether this is known to be an object that has each name once.
    pub(super) fn is_unique(&self) -> bool {
        match &self.0 {
            Repr::Unique(_) => true,
            Repr::Part(part) => part.is_known(),
            _ => false,
        }
    }

    /// A copy that shares nothing: a slice of a body keeps the whole of it in memory.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self::from_text(Bytes::copy_from_slice(&self.spelled()))
    }

    /// The text of the value. Costs a copy only where something has changed.
    pub fn text(&self) -> Bytes {
        match &self.0 {
            Repr::Text(text) | Repr::Unique(text) => text.clone(),
            Repr::Part(part) => part.to_bytes(),
            Repr::Object(object) => object.text(),
            Repr::Array(array) => array.text(),
        }
    }

    /// The text of the value, where it stands.
    pub(super) fn spelled(&self) -> Cow<'_, [u8]> {
        self.as_text().map_or_else(|| Cow::Owned(self.text().into()), Cow::Borrowed)
    }

    /// The text, if nobody has opened it.
    #[inline]
    pub(super) fn as_text(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Text(text) | Repr::Unique(text) => Some(text),
            Repr::Part(part) => Some(part.text()),
            Repr::Object(_) | Repr::Array(_) => None,
        }
    }

    /// Makes text again of what was opened, which takes less memory.
    pub(super) fn close(&mut self) {
        if self.as_text().is_none() || matches!(self.0, Repr::Part(_)) {
            *self = Self::from_text(self.text());
        }
    }

    /// Whether this is still the element there of the array that is `source`.
    pub(super) fn is_part(&self, source: &Bytes, spot: Spot) -> bool {
        matches!(&self.0, Repr::Part(part) if part.is(source, spot))
    }

    /// Appends the text of the value.
    pub fn append_to(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(&self.spelled());
    }

    pub(super) fn is_changed(&self) -> bool {
        match &self.0 {
            Repr::Text(_) | Repr::Unique(_) | Repr::Part(_) => false,
            Repr::Object(object) => object.is_changed(),
            Repr::Array(array) => array.is_changed(),
        }
    }

    pub(super) fn write(&self, sink: &mut impl Sink) {
        match &self.0 {
            Repr::Text(text) | Repr::Unique(text) => sink.text(text),
            Repr::Part(part) => sink.text(&part.to_bytes()),
            Repr::Object(object) => object.write(sink),
            Repr::Array(array) => array.write(sink),
        }
    }
}

/// Values are equal if their texts are.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

/// A value equals a string that it is decoded to: nothing is decoded for it unless there are escapes.
///
/// ```
/// use tower_responses_core::json::Value;
///
/// assert!(Value::from_text(r#""mess\u0061ge""#) == *"message");
/// assert!(Value::from_text("message") != *"message");
/// ```
impl PartialEq<str> for Value {
    fn eq(&self, string: &str) -> bool {
        self.as_text().is_some_and(|text| scan::string_is(text, string))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self(Repr::Object(Box::new(object)))
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Self {
        Self(Repr::Array(Box::new(array)))
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::serialize(&value)
    }
}

pub(super) fn to_text(length: usize, write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut text = BytesMut::with_capacity(length);
    write(&mut text);
    text.freeze()
}
