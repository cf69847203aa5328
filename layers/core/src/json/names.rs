//! Where in an object the member of a name stands.

/// What tells most keys apart without looking at them: their length and their ends. 0 for a key
/// with an escape, which may spell anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(u32);

impl Tag {
    pub(super) const ESCAPED: Self = Self(0);

    #[inline]
    pub(super) fn of(name: &[u8]) -> Self {
        let end = |byte: Option<&u8>| u32::from(byte.copied().unwrap_or_default());
        #[allow(clippy::cast_possible_truncation, reason = "keys of lengths far apart may have one tag")]
        let length = name.len() as u16;
        Self(1 << 31 | u32::from(length) << 16 | end(name.first()) << 8 | end(name.last()))
    }
}

/// The tags of an object's members, in order. Of more than a few there is a hash table: bodies
/// are asked for dozens of names.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    tags: Vec<Tag>,
    /// Some key is escaped: then the table is of no use.
    escaped: bool,
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
        Self { tags: Vec::with_capacity(names), escaped: false, slots }
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
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = place;
    }

    #[inline]
    fn slot(&self, tag: Tag) -> usize {
        let hash = tag.0.wrapping_mul(0x9E37_79B1);
        (hash >> 16) as usize & (self.slots.len() - 1)
    }

    /// The places of a name. `is` says whether the name at a place is the one.
    #[inline]
    pub(super) fn find(&self, tag: Tag, is: impl Fn(usize) -> bool) -> Option<Found> {
        if self.tags.len() <= FEW || self.slots.is_empty() || self.escaped {
            return self.search(tag, is);
        }
        let mut found: Option<Found> = None;
        let mut slot = self.slot(tag);
        while self.slots[slot] != FREE {
            let at = usize::from(self.slots[slot]);
            if self.tags[at] == tag && is(at) {
                // They were entered in their order.
                found = Some(Found { last: at, repeated: found.is_some() });
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        found
    }

    fn search(&self, tag: Tag, is: impl Fn(usize) -> bool) -> Option<Found> {
        let may_be = |at: &usize| (self.tags[*at] == tag || self.tags[*at] == Tag::ESCAPED) && is(*at);
        let mut places = (0..self.tags.len()).rev().filter(may_be);
        let last = places.next()?;
        Some(Found { last, repeated: places.next().is_some() })
    }

    /// Keeps the places of which `keep` says so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let tags = std::mem::take(&mut self.tags);
        *self = Self::with_capacity(tags.len());
        tags.into_iter().enumerate().filter(|(at, _)| keep(*at)).for_each(|(_, tag)| self.push(tag));
    }
}
