use std::{
    borrow::Cow,
    collections::{HashSet, VecDeque},
    ops::{ControlFlow, Range},
};

use bytes::Bytes;

use super::{
    Array, SyntaxError, Value,
    key::{Key, ShortKey},
    names::{Names, Tag},
    scan::{self, Follows},
    value::to_text,
    write::{Measure, Pieces, Rope, Sink},
};

/// How many members are opened, whatever their size, and of how many bytes each more one has to be.
const MANY: usize = 1024;
const BYTES_EACH: usize = 32;

/// A JSON object, opened one level deep.
///
/// Members that nobody touches are written as they came: their spelling, their order, the space
/// around them. Where a name occurs more than once the last one counts, as it does for the model
/// servers: the others are not there, and leave only with the text of an object in which nothing
/// has changed.
///
/// What is opened takes more memory than its text. So an object is not opened, as if it were none,
/// if it has more than 1,024 members and they are shorter than 32 bytes on average.
#[derive(Debug, Clone, Default)]
pub struct Object {
    source: Bytes,
    members: Vec<Member>,
    names: Names,
    changed: bool,
}

#[derive(Debug, Clone)]
struct Member {
    key: Key,
    /// Whether there is an escape in the key.
    escaped: bool,
    value: Value,
    /// Where the whole member stands in `source`, from separator to separator.
    place: Option<Range<usize>>,
}

impl Member {
    fn is(&self, source: &[u8], name: &str) -> bool {
        scan::key_is(self.key.text(source), self.escaped, name)
    }

    /// What tells the name from others.
    fn name<'a>(&'a self, source: &'a [u8]) -> Cow<'a, [u8]> {
        scan::key_name(self.key.text(source), self.escaped)
    }
}

impl Object {
    /// `{}`.
    pub fn new() -> Self {
        Self { source: Bytes::from_static(b"{}"), ..Self::default() }
    }

    /// Checks that `text` is JSON and opens it.
    ///
    /// # Errors
    /// Where `text` is not UTF-8, not JSON, or no object.
    pub fn parse(text: Bytes) -> Result<Self, SyntaxError> {
        // Bodies have more members than events and items.
        match Self::split_members::<true>(&text, 40) {
            Some((object, end)) if scan::skip_space(&text, end) == text.len() => Ok(object),
            _ => Err(SyntaxError::of(&text)),
        }
    }

    /// Opens text that is known to be JSON, or that passes as it is where it turns out not to be.
    /// `None` if no object can be made out.
    pub fn split(text: Bytes) -> Option<Self> {
        Self::split_members::<false>(&text, 8).map(|(object, _)| object)
    }

    /// The same, and opens the member of this name as well, if it is an object: in one pass.
    pub(crate) fn split_with(text: Bytes, opened: &str) -> Option<Self> {
        let (object, _) = Self::members_with::<false>(&text, 4, |key| {
            if key.is(&text, opened) && text.get(key.value) == Some(&b'{') {
                let (inner, end) = Self::split_at::<false>(&text, key.value, 40)?;
                Some((inner.into(), end))
            } else {
                Value::at::<false>(&text, key.value)
            }
        })?;
        Some(object)
    }

    /// What [`parse`](Self::parse) gives, with the array of this name and the first objects in it
    /// opened: in one pass.
    ///
    /// # Errors
    /// Where `text` is not UTF-8, not JSON, or no object.
    pub(crate) fn parse_with(text: Bytes, opened: &str) -> Result<Self, SyntaxError> {
        let parsed = Self::members_with::<true>(&text, 40, |key| {
            if key.is(&text, opened) && text.get(key.value) == Some(&b'[') {
                let (array, end) = Array::check_at(&text, key.value)?;
                Some((array.into(), end))
            } else {
                Value::at::<true>(&text, key.value)
            }
        });
        match parsed {
            Some((object, end)) if scan::skip_space(&text, end) == text.len() => Ok(object),
            _ => Err(SyntaxError::of(&text)),
        }
    }

    /// The object that begins there, and where it ends.
    pub(super) fn split_at<const CHECK: bool>(text: &Bytes, at: usize, expected: usize) -> Option<(Self, usize)> {
        let (mut object, length) = Self::split_members::<CHECK>(&text.slice(at..), expected)?;
        object.source.truncate(length);
        Some((object, at + length))
    }

    /// The object, and where it ends in the text. About so many members are `expected`.
    fn split_members<const CHECK: bool>(text: &Bytes, expected: usize) -> Option<(Self, usize)> {
        Self::members_with::<CHECK>(text, expected, |key| Value::at::<CHECK>(text, key.value))
    }

    /// The same; `value` gives the value of a key, and where it ends.
    #[inline(always)]
    fn members_with<const CHECK: bool>(
        text: &Bytes,
        expected: usize,
        mut value: impl FnMut(&scan::Key) -> Option<(Value, usize)>,
    ) -> Option<(Self, usize)> {
        let mut object = Self::with_room(text, expected);
        let mut at = match scan::start(text, b'{', b'}')? {
            ControlFlow::Break(end) => return Some((object, end)),
            ControlFlow::Continue(at) => at,
        };
        loop {
            let key = scan::Key::after::<CHECK>(text, at)?;
            let (value, end) = value(&key)?;
            let (member, follows) = key.member(text, end)?;
            at = member.whole.end;
            object.push_came(member, value);
            if follows == Follows::Nothing {
                object.keep_last();
                return Some((object, at + 1));
            }
            if object.members.len() > MANY && Self::is_dense(object.members.len(), at) {
                return None;
            }
        }
    }

    /// Whether so many members in so many bytes are more than are opened.
    pub(super) fn is_dense(members: usize, bytes: usize) -> bool {
        members > MANY + bytes / BYTES_EACH
    }

    /// Of members that bear the same name only the last one stays.
    #[inline]
    pub(super) fn keep_last(&mut self) {
        if self.names.may_repeat() {
            self.drop_repeated();
        }
    }

    #[cold]
    fn drop_repeated(&mut self) {
        let mut seen = HashSet::with_capacity(self.members.len());
        let source = &self.source[..];
        let last: Vec<_> = self.members.iter().rev().map(|member| seen.insert(member.name(source))).collect();
        drop(seen);
        if last.contains(&false) {
            self.retain_members(|at| last[last.len() - 1 - at]);
        }
    }

    /// Without the members of the object that is `text`, but with room for so many.
    pub(super) fn with_room(text: &Bytes, members: usize) -> Self {
        Self {
            source: text.clone(),
            members: Vec::with_capacity(members),
            names: Names::with_capacity(members),
            changed: false,
        }
    }

    /// Adds a member that stands there in the text.
    #[inline]
    pub(super) fn push_came(&mut self, range: scan::MemberRange, value: Value) {
        let scan::Key { place: key, escaped, .. } = range.key;
        let name = key.start + 1..key.end - 1;
        self.names.push(if escaped { Tag::ESCAPED } else { Tag::within(&self.source, name) });
        self.members.push(Member { key: Key::Came(key), escaped, value, place: Some(range.whole) });
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    #[inline]
    fn position(&self, name: &str) -> Option<usize> {
        self.place_of(Tag::of(name.as_bytes()), name)
    }

    /// Where the member of this name is. `tag` is that of the name: nearly all are constants, and so
    /// are their tags.
    fn place_of(&self, tag: Tag, name: &str) -> Option<usize> {
        let is_whole = self.tells_all(tag);
        self.names.find(tag, |at| is_whole || self.members[at].is(&self.source, name))
    }

    /// Whether a member with this tag can have no other name.
    #[inline]
    fn tells_all(&self, tag: Tag) -> bool {
        tag.is_whole() && !self.names.has_escapes()
    }

    fn push(&mut self, name: &str, value: Value) {
        let (key, escaped) = match ShortKey::of(name) {
            Some(key) => (Key::Short(key), false),
            None => {
                let key = Value::string(name).text();
                let escaped = key.len() != name.len() + 2;
                (Key::Ours(key), escaped)
            }
        };
        self.names.push_new(if escaped { Tag::ESCAPED } else { Tag::of(name.as_bytes()) });
        self.members.push(Member { key, escaped, value, place: None });
    }

    /// Keeps the members of which `keep` says so.
    fn retain_members(&mut self, keep: impl Fn(usize) -> bool) {
        self.names.retain(&keep);
        let mut at = 0;
        self.members.retain(|_| {
            at += 1;
            keep(at - 1)
        });
    }

    /// The member called `name`.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).map(|at| &self.members[at].value)
    }

    /// The member called `name`, to be changed or opened.
    #[inline]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.position(name).map(|at| &mut self.members[at].value)
    }

    /// The member called `name`, if it is a string.
    #[inline]
    pub fn get_str(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name)?.as_str()
    }

    /// Whether the member called `name` is a string that is decoded to `string`.
    #[inline]
    pub fn member_is(&self, name: &str, string: &str) -> bool {
        self.get(name).is_some_and(|value| *value == *string)
    }

    /// The member called `name`, opened, if it is an object.
    #[inline]
    pub fn object_mut(&mut self, name: &str) -> Option<&mut Object> {
        self.get_mut(name)?.as_object_mut()
    }

    /// The member called `name`, opened, if it is an array.
    #[inline]
    pub fn array_mut(&mut self, name: &str) -> Option<&mut Array> {
        self.get_mut(name)?.as_array_mut()
    }

    /// Whether there is a member called `name` that is not `null`.
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_null())
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &Value)> {
        let source = &self.source[..];
        self.members
            .iter()
            .map(move |member| (scan::decode_string(member.key.text(source)).unwrap_or_default(), &member.value))
    }

    /// The names as they are spelled, with their quotes, and the values, in order: what
    /// [`iter`](Self::iter) gives, without decoding it.
    pub fn spelled(&self) -> impl Iterator<Item = (&[u8], &Value)> {
        let source = &self.source[..];
        self.members.iter().map(move |member| (member.key.text(source), &member.value))
    }

    /// The values, in order, to be opened and changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.members.iter_mut().map(|member| &mut member.value)
    }

    /// Gives the member called `name` this value, in its place if it was there, else at the end.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.changed = true;
        let value = value.into();
        let Some(at) = self.position(name) else { return self.push(name, value) };
        let member = &mut self.members[at];
        member.value = value;
        member.place = None;
    }

    /// The member called `name`; if there was none, one at the end with the value that `make` gives.
    ///
    /// ```
    /// use tower_responses_core::json::{Object, Value};
    ///
    /// let mut response = Object::parse(r#"{"store":true}"#.into()).unwrap();
    /// assert_eq!(response.get_or_insert_with("store", Value::null).as_bool(), Some(true));
    /// assert!(response.get_or_insert_with("error", Value::null).is_null());
    /// assert_eq!(response.text(), r#"{"store":true,"error":null}"#);
    /// ```
    pub fn get_or_insert_with(&mut self, name: &str, make: impl FnOnce() -> Value) -> &Value {
        let at = self.position(name).unwrap_or_else(|| {
            self.changed = true;
            self.push(name, make());
            self.members.len() - 1
        });
        &self.members[at].value
    }

    /// Removes the member called `name` and gives it.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.position(name)?;
        self.changed = true;
        self.names.retain(|place| place != at);
        Some(self.members.remove(at).value)
    }

    /// Keeps the members of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Value) -> bool) {
        let source = &self.source[..];
        let name = |member: &Member| scan::decode_string(member.key.text(source)).unwrap_or_default().into_owned();
        let kept: Vec<_> = self.members.iter().map(|member| keep(&name(member), &member.value)).collect();
        if kept.contains(&false) {
            self.changed = true;
            self.retain_members(|at| kept[at]);
        }
    }

    /// The text of the object: what it was opened from, unless something has changed.
    pub fn text(&self) -> Bytes {
        if self.is_changed() { self.written(self.measure()) } else { self.source.clone() }
    }

    /// Whether the text differs from what the object was opened from.
    pub fn is_changed(&self) -> bool {
        self.changed || self.members.iter().any(|member| member.value.is_changed())
    }

    /// How much the text is.
    pub(crate) fn measure(&self) -> Measure {
        let mut measure = Measure::default();
        self.write(&mut measure);
        measure
    }

    /// The text, which is so much.
    pub(crate) fn written(&self, measure: Measure) -> Bytes {
        if self.is_changed() { to_text(measure.length, |text| self.write(text)) } else { self.source.clone() }
    }

    /// The same, in pieces.
    pub(crate) fn frames(&self, measure: Measure) -> VecDeque<Bytes> {
        let mut rope = Rope::with_room(measure);
        self.write(&mut rope);
        rope.into_frames()
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        if !self.is_changed() {
            return sink.text(&self.source);
        }
        sink.byte(b'{');
        let mut pieces = Pieces::new(&self.source);
        for member in &self.members {
            match &member.place {
                Some(place) if !member.value.is_changed() => pieces.kept(place.clone(), sink),
                _ => {
                    pieces.separate(sink);
                    match &member.key {
                        Key::Came(place) => sink.part(&self.source, place.clone()),
                        Key::Short(key) => sink.bytes(key.text()),
                        Key::Ours(text) => sink.text(text),
                    }
                    sink.byte(b':');
                    member.value.write(sink);
                }
            }
        }
        pieces.flush(sink);
        sink.byte(b'}');
    }
}
