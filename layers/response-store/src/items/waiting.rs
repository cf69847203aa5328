//! The calls that wait for an output.

use std::collections::{HashMap, hash_map::Entry};

use super::PendingCall;

/// Calls by their `call_id`, in the order in which they came. Of calls with the same one the first
/// counts: an output answers them all.
#[derive(Debug, Clone)]
pub(super) enum Waiting {
    /// Few enough to look through, as nearly always: clients answer what they are asked.
    Few(Vec<PendingCall>),
    Many(Many),
}

#[derive(Debug, Clone)]
pub(super) struct Many {
    /// With the `type`, and how many came before.
    calls: HashMap<String, (usize, String)>,
    next: usize,
}

const FEW: usize = 16;

impl Waiting {
    pub(super) fn new(calls: Vec<PendingCall>) -> Self {
        if calls.len() <= FEW { Self::Few(calls) } else { Self::Many(Many::new(calls)) }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(calls) => calls.is_empty(),
            Self::Many(many) => many.calls.is_empty(),
        }
    }

    pub(super) fn insert(&mut self, call: PendingCall) {
        match self {
            Self::Few(calls) if calls.iter().any(|known| known.call_id == call.call_id) => {}
            Self::Few(calls) => {
                calls.push(call);
                if calls.len() > FEW {
                    *self = Self::Many(Many::new(std::mem::take(calls)));
                }
            }
            Self::Many(many) => many.insert(call),
        }
    }

    pub(super) fn remove(&mut self, call_id: &str) {
        match self {
            Self::Few(calls) => calls.retain(|call| call.call_id != call_id),
            Self::Many(many) => drop(many.calls.remove(call_id)),
        }
    }

    pub(super) fn into_calls(self) -> Vec<PendingCall> {
        match self {
            Self::Few(calls) => calls,
            Self::Many(many) => many.into_calls(),
        }
    }
}

impl Many {
    fn new(calls: Vec<PendingCall>) -> Self {
        let mut many = Self { calls: HashMap::with_capacity(calls.len()), next: 0 };
        calls.into_iter().for_each(|call| many.insert(call));
        many
    }

    fn insert(&mut self, call: PendingCall) {
        if let Entry::Vacant(free) = self.calls.entry(call.call_id) {
            free.insert((self.next, call.kind));
            self.next += 1;
        }
    }

    fn into_calls(self) -> Vec<PendingCall> {
        let mut calls: Vec<_> = self.calls.into_iter().collect();
        calls.sort_unstable_by_key(|(_, (place, _))| *place);
        calls.into_iter().map(|(call_id, (_, kind))| PendingCall { kind, call_id }).collect()
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}
