//! Elements of an array that are still text, with what was seen of their members when the text was
//! checked.

use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Object,
    names::Tag,
    scan::{self, Key, MemberRange, Repeats, check::check_value},
    unique,
};

/// Where the members of the objects in an array stand, one object after the other. Places are bytes
/// of the array's text, which is shorter than 4 GiB.
#[derive(Debug, Default)]
pub(super) struct Index(Vec<Place>);

/// Where a member's value stands.
#[derive(Debug)]
struct Place {
    /// That of the key.
    tag: Tag,
    start: u32,
    end: u32,
}

/// Where an element stands in the text of its array, and where its members begin in the [`Index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) start: u32,
    pub(super) end: u32,
    members: u32,
}

/// An element that is looked at where it stands.
#[derive(Debug)]
pub(super) struct Part {
    source: Bytes,
    index: Arc<Index>,
    spot: Spot,
}

/// What was seen of an element.
pub(super) struct Checked {
    pub(super) spot: Spot,
    /// What it is, if it is no object whose members have names of their own.
    pub(super) oddity: Option<Oddity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oddity {
    /// It is no object, and begins with this byte.
    NoObject(u8),
    /// It has a name twice.
    Repeats,
    /// It has more members than are opened.
    Dense,
}

impl Spot {
    /// Nothing is known of the members.
    const UNKNOWN: u32 = u32::MAX;

    /// An element of which nothing is known. `None` where the text is too long.
    pub(super) fn new(value: Range<usize>) -> Option<Self> {
        let (start, end) = (u32::try_from(value.start).ok()?, u32::try_from(value.end).ok()?);
        Some(Self { start, end, members: Self::UNKNOWN })
    }

    /// Whether it is known where the members are. Then each has its own name.
    pub(super) fn is_known(self) -> bool {
        self.members != Self::UNKNOWN
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Index {
    /// What is seen of the value that begins at `at`, if it is JSON in UTF-8. The array begins at
    /// `start`. Of members with escapes in their keys no places are kept, and of odd objects neither.
    pub(super) fn check(&mut self, text: &[u8], start: usize, at: usize) -> Option<Checked> {
        let first = *text.get(at)?;
        if first != b'{' {
            let spot = Spot::new(at - start..check_value(text, at)? - start)?;
            return Some(Checked { spot, oddity: Some(Oddity::NoObject(first)) });
        }
        let known = self.0.len();
        let offset = at - start;
        let object = &text[at..];
        let (mut fits, mut may_repeat, mut dense) = (true, false, false);
        let end = scan::members::<true>(object, |member| {
            let own = &self.0[known..];
            match Place::of(object, offset, &member) {
                Some(place) if !dense => {
                    may_repeat |= own.len() >= MANY || own.iter().any(|other| other.tag == place.tag);
                    dense = own.len() > MANY && Object::is_dense(own.len(), member.whole.end);
                    self.0.push(place);
                }
                _ => fits = false,
            }
            ControlFlow::Continue(())
        });
        let Some(end) = end else {
            self.0.truncate(known);
            return None;
        };
        let mut spot = Spot::new(offset..offset + end)?;
        let oddity = match dense {
            true => Some(Oddity::Dense),
            false if may_repeat || !fits => unique::odd(&object[..end]),
            false => None,
        };
        match u32::try_from(known) {
            Ok(known) if fits && oddity.is_none() => spot.members = known,
            _ => self.0.truncate(known),
        }
        Some(Checked { spot, oddity })
    }
}

/// More members than this are not compared one by one.
const MANY: usize = 24;

impl Place {
    fn of(object: &[u8], offset: usize, MemberRange { key, value, .. }: &MemberRange) -> Option<Self> {
        if key.escaped {
            return None;
        }
        let tag = Tag::within(object, key.place.start + 1..key.place.end - 1);
        Some(Self {
            tag,
            start: u32::try_from(offset + value.start).ok()?,
            end: u32::try_from(offset + value.end).ok()?,
        })
    }

    fn value(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Part {
    pub(super) fn new(source: Bytes, index: Arc<Index>, spot: Spot) -> Self {
        Self { source, index, spot }
    }

    pub(super) fn show(&mut self, spot: Spot) {
        self.spot = spot;
    }

    /// Whether this is still the element there of the array that is `source`.
    pub(super) fn is(&self, source: &Bytes, spot: Spot) -> bool {
        self.spot == spot && self.source.as_ptr() == source.as_ptr()
    }

    #[inline]
    pub(super) fn text(&self) -> &[u8] {
        self.source.get(self.spot.range()).unwrap_or_default()
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        self.source.slice(self.spot.range())
    }

    /// A piece of the text, shared.
    pub(super) fn slice(&self, piece: &[u8]) -> Bytes {
        self.source.slice_ref(piece)
    }

    /// Whether it is known where the members are. Then each has its own name.
    pub(super) fn is_known(&self) -> bool {
        self.spot.is_known()
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        let places = self.index.0.get(self.spot.members as usize..).unwrap_or_default();
        places.iter().take_while(|place| place.start < self.spot.end)
    }

    /// The value of the member called `name`.
    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<&[u8]> {
        if !self.is_known() {
            return scan::find(self.text(), name, Repeats::Last);
        }
        let tag = Tag::of(name.as_bytes());
        let is_whole = tag.is_whole();
        let found =
            self.places().find(|place| place.tag == tag && (is_whole || self.key_of(place).is(&self.source, name)));
        self.source.get(found?.value())
    }

    /// Shows the members to `each`, as [`scan::members`] does it with the text.
    pub(super) fn members(&self, mut each: impl FnMut(MemberRange) -> ControlFlow<()>) -> Option<usize> {
        if !self.is_known() {
            return scan::members::<false>(self.text(), each);
        }
        let offset = self.spot.start as usize;
        let within = |range: Range<usize>| range.start - offset..range.end - offset;
        let mut separator = 0;
        for place in self.places() {
            let Key { place: key, .. } = self.key_of(place);
            let value = within(place.value());
            let end = scan::skip_space(self.text(), value.end);
            let key = Key { place: within(key), escaped: false, start: separator + 1, value: value.start };
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
        let before = &self.source[..value];
        let end = before.iter().rposition(is_quote).unwrap_or_default();
        let start = before[..end].iter().rposition(is_quote).unwrap_or_default();
        Key { place: start..end + 1, escaped: false, start, value }
    }
}
