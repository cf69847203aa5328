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
    /// Two names may be the same.
    repeated: bool,
    /// Places in `tags`, found by the tag.
    table: Option<Box<[u8; SLOTS]>>,
}

/// Up to so many tags are looked through one by one.
const FEW: usize = 12;

/// So are more than these: a table that is fuller is slow, and so is one of keys that somebody has
/// chosen to have one tag.
const MANY: usize = SLOTS / 2;

const SLOTS: usize = 128;

/// No place of a tag.
const FREE: u8 = u8::MAX;

impl Names {
    pub(super) fn with_capacity(names: usize) -> Self {
        Self { tags: Vec::with_capacity(names), ..Self::default() }
    }

    /// Whether some key may spell anything.
    #[inline]
    pub(super) fn has_escapes(&self) -> bool {
        self.escaped
    }

    /// Whether two names may be the same. Says yes too often, and never too rarely.
    #[inline]
    pub(super) fn may_repeat(&self) -> bool {
        self.repeated | self.escaped
    }

    #[inline]
    pub(super) fn push(&mut self, tag: Tag) {
        if self.tags.len() < FEW {
            self.repeated |= self.tags.contains(&tag);
        }
        self.push_new(tag);
    }

    /// The same of a name that is known not to be there.
    #[inline]
    pub(super) fn push_new(&mut self, tag: Tag) {
        self.escaped |= tag == Tag::ESCAPED;
        if self.tags.len() < FEW {
            self.tags.push(tag);
        } else {
            self.push_to_many(tag);
        }
    }

    fn push_to_many(&mut self, tag: Tag) {
        self.tags.push(tag);
        match &mut self.table {
            Some(_) if self.tags.len() > MANY => {
                self.table = None;
                self.repeated = true;
            }
            Some(table) => self.repeated |= enter(table, &self.tags, self.tags.len() - 1),
            None if self.tags.len() == FEW + 1 => {
                let mut table = Box::new([FREE; SLOTS]);
                (0..self.tags.len()).for_each(|at| self.repeated |= enter(&mut table, &self.tags, at));
                self.table = Some(table);
            }
            None => {}
        }
    }

    /// The place of a name. `is` says whether the name at a place with its tag is the one.
    #[inline]
    pub(super) fn find(&self, tag: Tag, is: impl Fn(usize) -> bool) -> Option<usize> {
        match &self.table {
            Some(table) if !self.escaped => places(table, &self.tags, tag).find(|at| is(*at)),
            _ if self.escaped => self.find_escaped(tag, is),
            _ => {
                let mut tags = self.tags.iter().enumerate();
                tags.find(|(at, known)| **known == tag && is(*at)).map(|(at, _)| at)
            }
        }
    }

    #[cold]
    fn find_escaped(&self, tag: Tag, is: impl Fn(usize) -> bool) -> Option<usize> {
        let may_be = |at: &usize| (self.tags[*at] == tag || self.tags[*at] == Tag::ESCAPED) && is(*at);
        (0..self.tags.len()).find(may_be)
    }

    /// Keeps the places of which `keep` says so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let tags = std::mem::take(&mut self.tags);
        *self = Self::with_capacity(tags.len());
        tags.into_iter().enumerate().filter(|(at, _)| keep(*at)).for_each(|(_, tag)| self.push_new(tag));
    }
}

/// Puts the tag that stands at this place into the table; whether the same was there.
fn enter(table: &mut [u8; SLOTS], tags: &[Tag], at: usize) -> bool {
    let mut repeated = false;
    let mut slot = slot(tags[at]);
    while let Some(tag) = tags.get(usize::from(table[slot])) {
        repeated |= *tag == tags[at];
        slot = (slot + 1) % SLOTS;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below MANY")]
    let place = at as u8;
    table[slot] = place;
    repeated
}

/// The places of a tag, in their order.
#[inline]
fn places(table: &[u8; SLOTS], tags: &[Tag], tag: Tag) -> impl Iterator<Item = usize> {
    let mut slot = slot(tag);
    std::iter::from_fn(move || {
        loop {
            let at = usize::from(table[slot]);
            let found = *tags.get(at)?;
            slot = (slot + 1) % SLOTS;
            if found == tag {
                return Some(at);
            }
        }
    })
}

#[inline]
fn slot(tag: Tag) -> usize {
    let hash = tag.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> 40) as usize % SLOTS
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
