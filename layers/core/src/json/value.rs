use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};

use super::{Array, Object, SyntaxError, change, indexed::Indexed, scan, write::Sink};

/// A JSON value: text until somebody looks inside.
///
/// Cloning a value shares its text.
#[derive(Debug)]
pub struct Value(pub(super) Repr);

#[derive(Debug)]
pub(super) enum Repr {
    Text(Bytes),
    Indexed(Box<Indexed>),
    Object(Box<Object>),
    Array(Box<Array>),
}

/// What was opened is copied only if something in it has changed: else its text says all.
impl Clone for Value {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Repr::Object(object) if object.is_changed() => Repr::Object(object.clone()),
            Repr::Array(array) if array.is_changed() => Repr::Array(array.clone()),
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

    fn first_byte(&self) -> u8 {
        match &self.0 {
            Repr::Text(text) => text.first().copied().unwrap_or(b'n'),
            Repr::Indexed(_) | Repr::Object(_) => b'{',
            Repr::Array(_) => b'[',
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
        matches!(&self.0, Repr::Text(text) if &text[..] == b"null")
    }

    /// `true`, `false`, or `None` for anything else.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.0 {
            Repr::Text(text) if &text[..] == b"true" => Some(true),
            Repr::Text(text) if &text[..] == b"false" => Some(false),
            _ => None,
        }
    }

    /// The number, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The string, decoded; `None` for any other value and for one with a lone surrogate.
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        match &self.0 {
            Repr::Text(text) => scan::decode_string(text),
            _ => None,
        }
    }

    /// The object, opened one level deep; `None` for any other value.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        if let Some(text) = self.as_text() {
            self.0 = Repr::Object(Box::new(Object::split(text.clone())?));
        }
        match &mut self.0 {
            Repr::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The array, opened one level deep; `None` for any other value.
    pub fn as_array_mut(&mut self) -> Option<&mut Array> {
        if let Repr::Text(text) = &self.0 {
            self.0 = Repr::Array(Box::new(Array::split(text.clone())?));
        }
        match &mut self.0 {
            Repr::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The member called `name`, if this is an object that has one: found without opening the
    /// object, and shared. Of members that bear the same name an object still in text gives the
    /// first.
    pub fn member(&self, name: &str) -> Option<Value> {
        match &self.0 {
            Repr::Text(text) => scan::find(text, name).map(|found| Self::from_text(text.slice_ref(found))),
            Repr::Indexed(object) => object.find(name).map(|found| Self::from_text(object.text().slice_ref(found))),
            Repr::Object(object) => object.get(name).cloned(),
            Repr::Array(_) => None,
        }
    }

    /// The first byte of the member called `name`, which tells its type: `"` of a string, `[` of
    /// an array. Of a long member that is all that is looked at.
    pub fn member_begins(&self, name: &str) -> Option<u8> {
        match &self.0 {
            Repr::Text(text) => text.get(scan::find_start(text, name)?).copied(),
            Repr::Indexed(object) => object.find(name)?.first().copied(),
            Repr::Object(object) => object.get(name).map(Self::first_byte),
            Repr::Array(_) => None,
        }
    }

    /// The member called `name`, decoded, if it is a string.
    pub fn member_str(&self, name: &str) -> Option<Cow<'_, str>> {
        match &self.0 {
            Repr::Text(text) => scan::decode_string(scan::find(text, name)?),
            Repr::Indexed(object) => scan::decode_string(object.find(name)?),
            Repr::Object(object) => object.get_str(name),
            Repr::Array(_) => None,
        }
    }

    /// What [`member_str`](Self::member_str) gives, as bytes: whether they are UTF-8 is not looked at.
    pub fn member_bytes(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let text = match &self.0 {
            Repr::Text(text) => scan::find_string(text, name)?,
            Repr::Indexed(object) => object.find(name)?,
            Repr::Object(object) => object.get(name)?.as_text()?,
            Repr::Array(_) => return None,
        };
        let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if inner.contains(&b'\\') {
            return scan::decode_string(text).map(|decoded| Cow::Owned(decoded.into_owned().into()));
        }
        Some(Cow::Borrowed(inner))
    }

    /// Whether the member called `name` is a string that is decoded to `string`: what
    /// [`member_str`](Self::member_str) tells, for less.
    pub fn member_is(&self, name: &str, string: &str) -> bool {
        match &self.0 {
            Repr::Text(text) => scan::find_string(text, name).is_some_and(|text| scan::string_is(text, string)),
            Repr::Indexed(object) => object.find(name).is_some_and(|text| scan::string_is(text, string)),
            Repr::Object(object) => object.member_is(name, string),
            Repr::Array(_) => false,
        }
    }

    /// The members with these names, in one pass; see [`Value::member`].
    ///
    /// ```
    /// use tower_responses_core::json::Value;
    ///
    /// let item = Value::from_text(r#"{"type":"message", "x":[1], "role" : "user","type":2}"#);
    /// let [kind, role, id] = item.members(["type", "role", "id"]);
    /// assert_eq!(kind.unwrap().text(), r#""message""#);
    /// assert_eq!(role.unwrap().text(), r#""user""#);
    /// assert!(id.is_none());
    /// ```
    pub fn members<const N: usize>(&self, names: [&str; N]) -> [Option<Value>; N] {
        match &self.0 {
            Repr::Text(text) => scan::find_all(text, names).map(|found| Some(Self::from_text(text.slice(found?)))),
            Repr::Indexed(_) => names.map(|name| self.member(name)),
            Repr::Object(object) => names.map(|name| object.get(name).cloned()),
            Repr::Array(_) => [const { None }; N],
        }
    }

    /// The elements, if this is an array: found without opening it, and shared.
    pub fn elements(&self) -> Option<Vec<Value>> {
        match &self.0 {
            Repr::Text(text) => Some(
                scan::elements(text)?.into_iter().map(|element| Self::from_text(text.slice(element.value))).collect(),
            ),
            Repr::Array(array) => Some(array.iter().cloned().collect()),
            Repr::Indexed(_) | Repr::Object(_) => None,
        }
    }

    /// The object with these members changed, as [`Object::set`] does it, or removed where there is
    /// no value; written in one pass. `None` if this is no object.
    ///
    /// ```
    /// use tower_responses_core::json::Value;
    ///
    /// let tool = Value::from_text(r#"{"type":"function", "name":"run","strict":null,"x":1}"#);
    /// let (name, kind) = (Value::string("fs__run"), Value::string("d"));
    /// let changed = tool.with_members(&[("name", Some(&name)), ("strict", None), ("description", Some(&kind))]);
    /// assert_eq!(changed.unwrap().text(), r#"{"type":"function","name":"fs__run","x":1,"description":"d"}"#);
    /// ```
    #[must_use]
    pub fn with_members(&self, changes: &[(&str, Option<&Self>)]) -> Option<Self> {
        let text = match &self.0 {
            Repr::Text(text) => change::with_members(text, |each| scan::members::<false>(text, each), changes),
            Repr::Indexed(object) => change::with_members(object.text(), |each| object.members(each), changes),
            Repr::Object(_) | Repr::Array(_) => None,
        };
        if let Some(text) = text {
            return Some(Self::from_text(text));
        }
        let mut changed = self.clone();
        let object = changed.as_object_mut()?;
        for &(name, value) in changes {
            match value {
                Some(value) => object.set(name, value.clone()),
                None => drop(object.remove(name)),
            }
        }
        Some(changed)
    }

    /// A copy that shares nothing: a slice of a body keeps the whole of it in memory.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self::from_text(Bytes::copy_from_slice(&self.text()))
    }

    /// The text of the value. Costs a copy only where something has changed.
    pub fn text(&self) -> Bytes {
        match &self.0 {
            Repr::Text(text) => text.clone(),
            Repr::Indexed(object) => object.text().clone(),
            Repr::Object(object) => object.text(),
            Repr::Array(array) => array.text(),
        }
    }

    /// The text of the value, where it stands.
    pub(super) fn spelled(&self) -> Cow<'_, [u8]> {
        self.as_text().map_or_else(|| Cow::Owned(self.text().into()), |text| Cow::Borrowed(&text[..]))
    }

    /// The text, if nobody has opened it.
    #[inline]
    fn as_text(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Text(text) => Some(text),
            Repr::Indexed(object) => Some(object.text()),
            Repr::Object(_) | Repr::Array(_) => None,
        }
    }

    /// Appends the text of the value.
    pub fn append_to(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(&self.spelled());
    }

    pub(super) fn is_changed(&self) -> bool {
        match &self.0 {
            Repr::Text(_) | Repr::Indexed(_) => false,
            Repr::Object(object) => object.is_changed(),
            Repr::Array(array) => array.is_changed(),
        }
    }

    pub(super) fn write(&self, sink: &mut impl Sink) {
        match &self.0 {
            Repr::Text(text) => sink.text(text),
            Repr::Indexed(object) => sink.text(object.text()),
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
        matches!(&self.0, Repr::Text(text) if scan::string_is(text, string))
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
