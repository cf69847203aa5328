//! Conversations in the order of their last use, bounded by bytes.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use crate::Conversation;

/// A value for each conversation; the ones that were not used for longest go first, whole.
#[derive(Debug)]
pub(crate) struct Aged<V> {
    slots: HashMap<Conversation, Slot<V>>,
    order: BTreeMap<u64, Conversation>,
    clock: u64,
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    stamp: u64,
    bytes: usize,
}

#[cfg_attr(not(feature = "memory"), allow(dead_code, reason = "the cache needs less than the store"))]
impl<V> Aged<V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { slots: HashMap::new(), order: BTreeMap::new(), clock: 0, bytes: 0, limit }
    }

    pub(crate) fn get(&self, conversation: Conversation) -> Option<&V> {
        self.slots.get(&conversation).map(|slot| &slot.value)
    }

    pub(crate) fn get_mut(&mut self, conversation: Conversation) -> Option<&mut V> {
        self.slots.get_mut(&conversation).map(|slot| &mut slot.value)
    }

    /// Makes the conversation the one that was used last.
    pub(crate) fn touch(&mut self, conversation: Conversation) {
        let Some(slot) = self.slots.get_mut(&conversation) else { return };
        self.clock += 1;
        self.order.remove(&slot.stamp);
        slot.stamp = self.clock;
        self.order.insert(self.clock, conversation);
    }

    /// The value of the conversation, made if there is none. The conversation grows by so many
    /// bytes, and is the one that was used last.
    pub(crate) fn grow(&mut self, conversation: Conversation, bytes: usize, make: impl FnOnce() -> V) -> &mut V {
        let Self { slots, order, clock, bytes: all, .. } = self;
        *clock += 1;
        *all += bytes;
        order.insert(*clock, conversation);
        match slots.entry(conversation) {
            Entry::Occupied(slot) => {
                let slot = slot.into_mut();
                order.remove(&std::mem::replace(&mut slot.stamp, *clock));
                slot.bytes += bytes;
                &mut slot.value
            }
            Entry::Vacant(free) => &mut free.insert(Slot { value: make(), stamp: *clock, bytes }).value,
        }
    }

    pub(crate) fn remove(&mut self, conversation: Conversation) -> Option<V> {
        let slot = self.slots.remove(&conversation)?;
        self.order.remove(&slot.stamp);
        self.bytes -= slot.bytes;
        Some(slot.value)
    }

    /// Notes that the conversation has become smaller.
    pub(crate) fn shrink(&mut self, conversation: Conversation, bytes: usize) {
        if let Some(slot) = self.slots.get_mut(&conversation) {
            let bytes = bytes.min(slot.bytes);
            slot.bytes -= bytes;
            self.bytes -= bytes;
        }
    }

    /// Takes out the oldest conversation if all of them, and `more` bytes beside them, are over
    /// the limit.
    pub(crate) fn pop_over(&mut self, more: usize) -> Option<V> {
        if self.bytes + more <= self.limit {
            return None;
        }
        let oldest = self.oldest()?;
        self.remove(oldest)
    }

    pub(crate) fn oldest(&self) -> Option<Conversation> {
        self.order.first_key_value().map(|(_, conversation)| *conversation)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Conversations, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Conversation, &V)> {
        self.order.values().filter_map(|conversation| Some((*conversation, self.get(*conversation)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_goes_last_and_takes_all_of_its_bytes_along() {
        let [one, two] = [1, 2].map(Conversation::from_i64);
        let mut aged = Aged::new(10);
        *aged.grow(one, 4, || 0) += 1;
        aged.grow(two, 3, || 20);
        *aged.grow(one, 2, || unreachable!("it is there")) += 1;
        assert_eq!((aged.len(), aged.bytes(), aged.oldest()), (2, 9, Some(two)));
        assert_eq!(aged.pop_over(1), None);
        assert_eq!(aged.pop_over(2), Some(20));
        assert_eq!((aged.bytes(), aged.remove(one)), (6, Some(2)));
        assert_eq!((aged.len(), aged.bytes(), aged.oldest()), (0, 0, None));
    }
}
