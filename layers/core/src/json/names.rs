//! Where in an object the member of a name stands.

use std::ops::Range;

/// What tells keys apart without looking at them: the whole of a short one, length and ends of
/// others. 0 for a key with an escape, which may spell anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(u64);

/// The longest name that its tag holds whole.
const SHORT: usize = 7;

/// The first bytes of a long name, and the last, as they stand in a word.
const FIRST: u64 = 0x00ff_ffff;
const LAST: u64 = 0xffff_ffff << 32;

impl Tag {
    pub(super) const ESCAPED: Self = Self(0);

    #[inline]
    pub(super) fn of(name: &[u8]) -> Self {
        match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => Self::long(name.len(), u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => Self::short(name.len(), name.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))),
        }
    }

    /// The tag of the name that stands there in `text`: what stands behind a short one is read with it.
    #[inline]
    pub(super) fn within(text: &[u8], name: Range<usize>) -> Self {
        let length = name.len();
        match text.get(name.start..).and_then(<[u8]>::first_chunk) {
            Some(word) if length <= SHORT => Self::short(length, u64::from_le_bytes(*word) & ((1 << (length * 8)) - 1)),
            _ => Self::of(text.get(name).unwrap_or_default()),
        }
    }

    #[inline]
    fn short(length: usize, name: u64) -> Self {
        Self((length as u64 + 1) << 56 | name)
    }

    #[inline]
    fn long(length: usize, first: u64, last: u64) -> Self {
        // Lengths far apart may have one tag.
        let length = (length as u64 + 1).min(0xff);
        Self(length << 56 | (last & LAST) >> 8 | first & FIRST)
    }

    /// Whether no other name has this tag.
    #[inline]
    pub(super) fn is_whole(self) -> bool {
        (1..=SHORT as u64 + 1).contains(&(self.0 >> 56))
    }
}

/// The tags of an object's members, in order. Of more than a few there is a hash table: bodies
/// are asked for dozens of names.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    tags: Vec<Tag>,
    /// Some key is escaped: then the table is of no use.
    escaped: bool,
    /// Some tag is in the table more than once.
    repeated: bool,
    /// Places in `tags`, found by the tag; twice as many as there are tags, or more.
    slots: Vec<u16>,
}

/// Where a name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The last place, which counts.
    pub(super) last: usize,
    /// Whether there is another.
    pub(super) repeated: bool,
}

/// Up to so many tags are looked through one by one.
const FEW: usize = 12;

/// So are more than these: keys that somebody has chosen to have one tag would make the table slow.
const MANY: usize = 256;

const FREE: u16 = u16::MAX;

/// A table with room for as many again.
fn slots_for(names: usize) -> usize {
    (names * 4).next_power_of_two()
}

impl Names {
    pub(super) fn with_capacity(names: usize) -> Self {
        let slots = if (FEW + 1..=MANY).contains(&names) { vec![FREE; slots_for(names)] } else { Vec::new() };
        Self { tags: Vec::with_capacity(names), escaped: false, repeated: false, slots }
    }

    /// Whether some key may spell anything.
    #[inline]
    pub(super) fn has_escapes(&self) -> bool {
        self.escaped
    }

    pub(super) fn push(&mut self, tag: Tag) {
        self.escaped |= tag == Tag::ESCAPED;
        self.tags.push(tag);
        if self.tags.len() <= FEW {
            return;
        }
        if self.tags.len() > MANY {
            return self.slots.clear();
        }
        if self.tags.len() == FEW + 1 || self.slots.len() < self.tags.len() * 2 {
            self.grow();
        } else {
            self.enter(self.tags.len() - 1);
        }
    }

    /// Makes a table of all that is there.
    fn grow(&mut self) {
        let slots = self.slots.len().max(slots_for(self.tags.len()));
        self.slots.clear();
        self.slots.resize(slots, FREE);
        (0..self.tags.len()).for_each(|at| self.enter(at));
    }

    fn enter(&mut self, at: usize) {
        #[allow(clippy::cast_possible_truncation, reason = "below MANY")]
        let place = at as u16;
        let mut slot = self.slot(self.tags[at]);
        while self.slots[slot] != FREE {
            self.repeated |= self.tags[usize::from(self.slots[slot])] == self.tags[at];
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = place;
    }

    #[inline]
    fn slot(&self, tag: Tag) -> usize {
        let hash = tag.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> 40) as usize & (self.slots.len() - 1)
    }

    /// The last place of a name, which counts. `is` says whether the name at a place is the one.
    #[inline]
    pub(super) fn last(&self, tag: Tag, is: impl Fn(usize) -> bool) -> Option<usize> {
        if self.has_no_table() {
            return self.search(tag, is).next();
        }
        let mut places = self.probe(tag).filter(|at| is(*at));
        if self.repeated { places.last() } else { places.next() }
    }

    /// The same, and whether there is another.
    pub(super) fn find(&self, tag: Tag, is: impl Fn(usize) -> bool) -> Option<Found> {
        if self.has_no_table() {
            let mut places = self.search(tag, is);
            return Some(Found { last: places.next()?, repeated: places.next().is_some() });
        }
        self.probe(tag).filter(|at| is(*at)).fold(None, |found, at| Some(Found { last: at, repeated: found.is_some() }))
    }

    #[inline]
    fn has_no_table(&self) -> bool {
        self.tags.len() <= FEW || self.slots.is_empty() || self.escaped
    }

    /// The places of a tag in their order, by the table.
    #[inline]
    fn probe(&self, tag: Tag) -> impl Iterator<Item = usize> {
        let mut slot = self.slot(tag);
        std::iter::from_fn(move || {
            let at = self.slots[slot];
            slot = (slot + 1) & (self.slots.len() - 1);
            (at != FREE).then_some(usize::from(at))
        })
        .filter(move |at| self.tags[*at] == tag)
    }

    /// The places of a name, the last first, by looking at all.
    #[inline]
    fn search(&self, tag: Tag, is: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
        let may_be = move |at: &usize| (self.tags[*at] == tag || self.tags[*at] == Tag::ESCAPED) && is(*at);
        (0..self.tags.len()).rev().filter(may_be)
    }

    /// Keeps the places of which `keep` says so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let tags = std::mem::take(&mut self.tags);
        *self = Self::with_capacity(tags.len());
        tags.into_iter().enumerate().filter(|(at, _)| keep(*at)).for_each(|(_, tag)| self.push(tag));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tag_is_that_of_the_name_whatever_stands_around_it(before in ".{0,9}", name in ".{0,20}", after in ".{0,9}") {
            let text = format!("{before}{name}{after}");
            let tag = Tag::within(text.as_bytes(), before.len()..before.len() + name.len());
            prop_assert_eq!(tag, Tag::of(name.as_bytes()));
            prop_assert!(tag != Tag::ESCAPED);
            prop_assert_eq!(tag.is_whole(), name.len() <= SHORT);
        }

        #[test]
        fn short_names_have_tags_of_their_own(one in "[a\0b]{0,7}", other in "[a\0b]{0,9}") {
            let tags = [&one, &other].map(|name| Tag::of(name.as_bytes()));
            prop_assert_eq!(tags[0] == tags[1], one == other);
        }
    }
}
