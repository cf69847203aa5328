//! Objects that are still text, with what was seen of their members when the text was checked.

use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Value,
    names::Tag,
    scan::{self, Key, MemberRange, check::check_value},
    value::Repr,
};

/// Where the members of many objects stand, one object after the other.
#[derive(Debug, Default)]
pub(super) struct Index(Vec<Place>);

/// Where a member's value stands in its object.
#[derive(Debug)]
struct Place {
    /// That of the key.
    tag: Tag,
    start: u32,
    end: u32,
}

/// An object as text, and its places in an [`Index`].
#[derive(Debug)]
pub(super) struct Indexed {
    text: Bytes,
    index: Arc<Index>,
    own: Range<u32>,
}

impl Index {
    /// The end of the value that starts at `at`, if it is JSON in UTF-8, and the places of its
    /// members: none if it is no object, or one that is too large or too strange for this.
    pub(super) fn check(&mut self, text: &[u8], at: usize) -> Option<(usize, Range<u32>)> {
        let known = self.0.len();
        if text.get(at)? != &b'{' {
            return Some((check_value(text, at)?, 0..0));
        }
        let object = &text[at..];
        let mut fits = true;
        let end = scan::members::<true>(object, |member| {
            match Place::of(object, &member) {
                Some(place) => self.0.push(place),
                None => fits = false,
            }
            ControlFlow::Continue(())
        });
        let own = u32::try_from(known).ok().zip(u32::try_from(self.0.len()).ok());
        let own = own.filter(|_| fits && end.is_some()).map(|(start, end)| start..end);
        if own.is_none() {
            self.0.truncate(known);
        }
        Some((at + end?, own.unwrap_or_default()))
    }
}

impl Place {
    fn of(object: &[u8], MemberRange { key, value, .. }: &MemberRange) -> Option<Self> {
        if key.escaped {
            return None;
        }
        let tag = Tag::within(object, key.place.start + 1..key.place.end - 1);
        Some(Self { tag, start: u32::try_from(value.start).ok()?, end: u32::try_from(value.end).ok()? })
    }

    fn value(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Indexed {
    /// The value that is `text`, which has these places in the index.
    pub(super) fn value(text: Bytes, index: &Arc<Index>, own: Range<u32>) -> Value {
        if own.is_empty() {
            return Value::from_text(text);
        }
        Value(Repr::Indexed(Box::new(Self { text, index: index.clone(), own })))
    }

    #[inline]
    pub(super) fn text(&self) -> &Bytes {
        &self.text
    }

    fn places(&self) -> &[Place] {
        self.index.0.get(self.own.start as usize..self.own.end as usize).unwrap_or_default()
    }

    /// The value of the first member called `name`.
    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<&[u8]> {
        let tag = Tag::of(name.as_bytes());
        let mut same = self.places().iter().filter(|place| place.tag == tag);
        let found =
            if tag.is_whole() { same.next() } else { same.find(|place| self.key_of(place).is(&self.text, name)) };
        self.text.get(found?.value())
    }

    /// Shows the members to `each`, as [`scan::members`] does it.
    pub(super) fn members(&self, mut each: impl FnMut(MemberRange) -> ControlFlow<()>) -> Option<usize> {
        let mut separator = 0;
        for place in self.places() {
            let value = place.value();
            let end = scan::skip_space(&self.text, value.end);
            let key = Key { start: separator + 1, ..self.key_of(place) };
            separator = end;
            if each(MemberRange { whole: key.start..end, value, key }).is_break() {
                return None;
            }
        }
        Some(separator + 1)
    }

    /// The key before a value. There is no escape in it, and so no quote.
    fn key_of(&self, place: &Place) -> Key {
        let value = place.start as usize;
        let is_quote = |byte: &u8| *byte == b'"';
        let before = &self.text[..value];
        let end = before.iter().rposition(is_quote).unwrap_or_default();
        let start = before[..end].iter().rposition(is_quote).unwrap_or_default();
        Key { place: start..end + 1, escaped: false, start, value }
    }
}
