//! Items of a request that stand elsewhere: `{"type":"item_reference","id":…}`.

use std::collections::HashMap;

use bytes::Bytes;
use tower_responses_core::json::{Edit, Object, Value};

use crate::{ResponseId, Turn};

/// The items that a request refers to, by their ids.
#[derive(Debug, Default)]
pub(crate) struct References {
    wanted: HashMap<String, Wanted>,
    missing: usize,
}

#[derive(Debug)]
struct Wanted {
    /// How many others were referred to before it.
    place: usize,
    /// How often it is referred to.
    count: usize,
    /// The response that has it, once the store has said so.
    response: Option<ResponseId>,
    item: Option<Bytes>,
}

/// What a reference refers to.
fn referenced(item: &Value) -> Option<String> {
    item.member_is("type", "item_reference").then(|| item.member_str("id"))?.map(Into::into)
}

impl References {
    /// Takes note of what an item of the request refers to, if it is a reference.
    pub(crate) fn note(&mut self, item: &Value) {
        let Some(id) = referenced(item) else { return };
        let place = self.wanted.len();
        self.wanted.entry(id).or_insert(Wanted { place, count: 0, response: None, item: None }).count += 1;
        self.missing += self.wanted.len() - place;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The ids of the items that are still to be found, in the order of the request.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing = self.wanted.iter().filter(|(_, wanted)| wanted.item.is_none());
        let mut missing: Vec<_> = missing.map(|(id, wanted)| (wanted.place, id.clone())).collect();
        missing.sort_unstable();
        missing.into_iter().map(|(_, id)| id).collect()
    }

    /// Notes which response has the item.
    pub(crate) fn locate(&mut self, id: &str, response: ResponseId) {
        if let Some(wanted) = self.wanted.get_mut(id) {
            wanted.response = Some(response);
        }
    }

    /// Takes what is still to be found from a turn of the conversation: of items with the same id
    /// the newest.
    pub(crate) fn take_from(&mut self, turn: &Turn) {
        self.take(turn, |_| true, Bytes::clone);
    }

    /// Takes what was located in this response. None of it keeps the whole response in memory,
    /// unless it is most of it.
    pub(crate) fn take_located(&mut self, turn: &Turn, response: ResponseId) {
        let copy =
            |item: &Bytes| if item.len() > turn.size() / 2 { item.clone() } else { Bytes::copy_from_slice(item) };
        self.take(turn, |wanted| wanted.response == Some(response), copy);
    }

    fn take(&mut self, turn: &Turn, is_here: impl Fn(&Wanted) -> bool, share: impl Fn(&Bytes) -> Bytes) {
        for text in turn.items_backwards() {
            if self.missing == 0 {
                return;
            }
            let item = Value::from_unique(text.clone());
            let wanted = item.member_str("id").and_then(|id| self.wanted.get_mut(&*id));
            if let Some(wanted) = wanted.filter(|wanted| wanted.item.is_none() && is_here(wanted)) {
                wanted.item = Some(share(text));
                self.missing -= 1;
            }
        }
    }

    /// How many bytes the items are together, each as often as it is referred to.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |wanted: &Wanted| wanted.item.as_ref().map_or(0, Bytes::len).saturating_mul(wanted.count);
        self.wanted.values().fold(0, |all, wanted| all.saturating_add(bytes(wanted)))
    }

    /// Puts the items in the place of the references to them.
    pub(crate) fn resolve(&self, request: &mut Object) {
        let Some(input) = request.array_mut("input").filter(|_| !self.is_empty()) else { return };
        input.map(|item| match referenced(item).and_then(|id| self.wanted.get(&id)?.item.clone()) {
            Some(text) => Edit::with(Value::from_unique(text)),
            None => Edit::Keep,
        });
    }
}
