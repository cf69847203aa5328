//! The members of an object that nobody has opened.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    Edit, Entries, Value, change,
    part::Oddity,
    scan::{self, Repeats},
    unique,
    value::Repr,
};

impl Value {
    /// The member called `name`, if this is an object that has one: found without opening the
    /// object, and shared. Of members that bear the same name it is the last.
    pub fn member(&self, name: &str) -> Option<Value> {
        match &self.0 {
            Repr::Text(text) => Self::part_of(text, scan::find(text, name, Repeats::Last)?),
            Repr::Unique(text) => Self::part_of(text, scan::find(text, name, Repeats::Never)?),
            Repr::Part(part) => Some(Self::from_text(part.slice(part.find(name)?))),
            Repr::Object(object) => object.get(name).cloned(),
            Repr::Array(_) => None,
        }
    }

    fn part_of(text: &Bytes, part: &[u8]) -> Option<Self> {
        Some(Self::from_text(text.slice_ref(part)))
    }

    /// The text of the member called `name`, where it stands.
    #[inline]
    fn member_text(&self, name: &str) -> Option<&[u8]> {
        match &self.0 {
            Repr::Text(text) => scan::find(text, name, Repeats::Last),
            Repr::Unique(text) => scan::find(text, name, Repeats::Never),
            Repr::Part(part) => part.find(name),
            Repr::Object(object) => object.get(name)?.as_text(),
            Repr::Array(_) => None,
        }
    }

    /// The same, if it is a string: then the end of any other is not looked for.
    #[inline]
    fn member_string(&self, name: &str) -> Option<&[u8]> {
        match &self.0 {
            Repr::Text(text) => scan::find_string(text, name, Repeats::Last),
            Repr::Unique(text) => scan::find_string(text, name, Repeats::Never),
            _ => self.member_text(name),
        }
    }

    /// The first byte of the member called `name`, which tells its type: `"` of a string, `[` of
    /// an array.
    pub fn member_begins(&self, name: &str) -> Option<u8> {
        match &self.0 {
            Repr::Text(text) => text.get(scan::find_start(text, name, Repeats::Last)?).copied(),
            Repr::Unique(text) => text.get(scan::find_start(text, name, Repeats::Never)?).copied(),
            Repr::Part(part) => part.find(name)?.first().copied(),
            Repr::Object(object) => object.get(name).map(Self::first_byte),
            Repr::Array(_) => None,
        }
    }

    /// The member called `name`, decoded, if it is a string.
    pub fn member_str(&self, name: &str) -> Option<Cow<'_, str>> {
        scan::decode_string(self.member_text(name)?)
    }

    /// What [`member_str`](Self::member_str) gives, as bytes: whether they are UTF-8 is not looked at.
    pub fn member_bytes(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let text = self.member_string(name)?;
        let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if inner.contains(&b'\\') {
            return scan::decode_string(text).map(|decoded| Cow::Owned(decoded.into_owned().into()));
        }
        Some(Cow::Borrowed(inner))
    }

    /// Whether the member called `name` is a string that is decoded to `string`: what
    /// [`member_str`](Self::member_str) tells, for less.
    pub fn member_is(&self, name: &str, string: &str) -> bool {
        self.member_string(name).is_some_and(|text| scan::string_is(text, string))
    }

    /// The members with these names, in one pass; see [`Value::member`].
    ///
    /// ```
    /// use tower_responses_core::json::Value;
    ///
    /// let item = Value::from_text(r#"{"type":2,"x":[1], "role" : "user","type":"message"}"#);
    /// let [kind, role, id] = item.members(["type", "role", "id"]);
    /// assert_eq!(kind.unwrap().text(), r#""message""#);
    /// assert_eq!(role.unwrap().text(), r#""user""#);
    /// assert!(id.is_none());
    /// ```
    pub fn members<const N: usize>(&self, names: [&str; N]) -> [Option<Value>; N] {
        let shared = |text: &Bytes, repeats| {
            scan::find_all(text, names, repeats).map(|found| Some(Self::from_text(text.slice(found?))))
        };
        match &self.0 {
            Repr::Text(text) => shared(text, Repeats::Last),
            Repr::Unique(text) => shared(text, Repeats::Never),
            Repr::Part(part) if !part.is_known() => shared(&part.to_bytes(), Repeats::Last),
            Repr::Part(_) | Repr::Object(_) => names.map(|name| self.member(name)),
            Repr::Array(_) => [const { None }; N],
        }
    }

    /// The object with these members changed, as [`Object::set`](super::Object::set) does it, or removed where there is
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
            Repr::Text(text) | Repr::Unique(text) => {
                change::with_members(text, |each| scan::members::<false>(text, each), changes)
            }
            Repr::Part(part) => change::with_members(part.text(), |each| part.members(each), changes),
            Repr::Object(_) | Repr::Array(_) => None,
        };
        if let Some(text) = text {
            let text = text.into_boxed_slice();
            return Some(if self.is_unique() { Self::from_unique(text) } else { Self::from_text(text) });
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

    /// The object with what `edit` makes of its members, given their names: one that is replaced
    /// keeps its name. `None` if nothing has changed, if this is no object, or if it has far more
    /// members than anybody writes.
    ///
    /// ```
    /// use tower_responses_core::json::{Edit, Value};
    ///
    /// let schema = Value::from_text(r#"{ "a": 1,"b":2, "c" : null}"#);
    /// let edited = schema.edit_members(|name, value| match value {
    ///     value if value.is_null() => Edit::remove(),
    ///     _ if *name == *"b" => Edit::with("two"),
    ///     _ => Edit::Keep,
    /// });
    /// assert_eq!(edited.unwrap().text(), r#"{ "a": 1,"b":"two"}"#);
    /// ```
    #[must_use]
    pub fn edit_members(&self, edit: impl FnMut(&Self, &Self) -> Edit) -> Option<Self> {
        change::edit_members(&self.unique_text()?, edit).map(Self::from_text)
    }

    /// The array with what `edit` makes of its elements, as [`Array::map`](super::Array::map) does it,
    /// without opening it. `None` if nothing has changed, or if this is no array.
    #[must_use]
    pub fn edit_elements(&self, edit: impl FnMut(&Self) -> Edit) -> Option<Self> {
        change::edit_elements(&self.text(), edit).map(Self::from_text)
    }

    /// The names and values of the members, if this is an object, without opening it. `None` also if
    /// it has far more members than anybody writes.
    pub fn entries(&self) -> Option<Entries> {
        Entries::of(self.unique_text()?)
    }

    /// The same, if it is an object, with each name once: where one stands more often its last member
    /// stays. What is looked up in it afterwards is found without looking at all of it.
    ///
    /// ```
    /// use tower_responses_core::json::Value;
    ///
    /// let item = Value::from_text(r#"{"id":1, "type":"a", "i\u0064":2 }"#).into_unique();
    /// assert_eq!(item.text(), r#"{ "type":"a", "i\u0064":2 }"#);
    /// ```
    #[must_use]
    pub fn into_unique(self) -> Self {
        match self.unique_text() {
            Some(text) if !self.is_unique() => Self::from_unique(text),
            _ => self,
        }
    }

    /// The text of an object, in which each name stands once.
    fn unique_text(&self) -> Option<Bytes> {
        if !self.is_object() {
            return None;
        }
        let text = self.text();
        if self.is_unique() {
            return Some(text);
        }
        match unique::odd(&text) {
            None => Some(text),
            Some(Oddity::Repeats) => {
                let mut out = Vec::new();
                unique::write(&text, &mut out);
                Some(out.into())
            }
            Some(Oddity::Dense | Oddity::NoObject(_)) => None,
        }
    }
}
