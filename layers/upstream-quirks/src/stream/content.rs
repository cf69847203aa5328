//! The events of items, of their parts, and of their text.

use tower_responses_core::{
    json::Value,
    sse::{Event, Events},
};

use super::{
    Numbers, Stream,
    items::{self, Class},
    kind::{Kind, PartEvents, Text},
    whitespace::Blank,
};
use crate::{fix::Fix, shape};

impl Stream {
    pub(super) fn item_added(&mut self, mut event: Event, next: &mut Events) {
        let Some(mut item) = event.member("item").filter(Value::is_object) else { return self.pass(event, next) };
        self.settle_blank(Some(shape::is_call(&item)), next);
        let index = self.index_of(&event).unwrap_or_else(|| self.next_index());
        let id = self.identify(&mut item);
        shape::complete_item(&mut item, "in_progress", &mut self.tally);
        let at = self.items.add(index, id, &item);
        replace_item(&mut event, item, index);
        if self.tally.on(Fix::WhitespaceMessage) && self.items.get(at).class == Class::Message {
            self.blank = Some(Blank::new(at));
        }
        self.pass_item(event, next);
    }

    pub(super) fn item_done(&mut self, mut event: Event, next: &mut Events) {
        let Some(mut item) = event.member("item").filter(Value::is_object) else { return self.pass(event, next) };
        let index = self.index_of(&event);
        let known = match index {
            Some(index) => self.items.position(index),
            None => self.items.single_open(),
        };
        let at = match known {
            Some(at) => at,
            None if self.tally.on(Fix::MissingItemEvents) => {
                self.settle_blank(Some(shape::is_call(&item)), next);
                self.identify(&mut item);
                let index = self.index_of(&event).unwrap_or_else(|| self.next_index());
                self.tell_item(&item, index, next)
            }
            None => return self.pass_item(event, next),
        };
        if self.tally.on(Fix::MissingItemEvents) && self.close_parts(at, next) {
            self.tally.count(Fix::MissingItemEvents);
        }
        let known = self.items.get(at);
        let (index, class) = (known.index, known.class);
        if self.tally.on(Fix::ItemIds) && item.member_str("id").as_deref() != Some(&known.id) {
            let id = known.id.clone();
            shape::set_member(&mut item, "id", id.as_str());
            self.tally.count(Fix::ItemIds);
        }
        shape::complete_item(&mut item, "completed", &mut self.tally);
        self.items.end(at, &item);
        replace_item(&mut event, item, index);
        self.pass_done(event, class, index, next);
    }

    pub(super) fn part_added(&mut self, events: PartEvents, mut event: Event, next: &mut Events) {
        let text = event.member("part").and_then(|part| Text::of_part(&part.member_str("type")?));
        let Some(text) = text.filter(|text| text.events() == events) else { return self.pass(event, next) };
        let Some(at) = self.item_of(&event, Class::with(text), next) else { return self.pass(event, next) };
        self.items.get(at).open_part(text);
        self.align(&mut event, at, Some(events));
        self.complete_part_of(&mut event);
        self.pass(event, next);
    }

    pub(super) fn part_done(&mut self, events: PartEvents, mut event: Event, next: &mut Events) {
        if let Some(at) = self.located(&event) {
            if self.tally.on(Fix::MissingItemEvents) && self.close_text(at, next) {
                self.tally.count(Fix::MissingItemEvents);
            }
            if let Some(part) = self.items.get(at).last_part() {
                part.done = true;
            }
            self.align(&mut event, at, Some(events));
        }
        self.complete_part_of(&mut event);
        self.pass(event, next);
    }

    pub(super) fn text_done(&mut self, text: Text, mut event: Event, next: &mut Events) {
        if let Some(at) = self.located(&event) {
            if text != Text::Arguments
                && let Some(part) = self.items.get(at).last_part()
            {
                part.text_done = true;
            }
            self.align(&mut event, at, (text != Text::Arguments).then(|| text.events()));
            self.complete_logprobs(text, &mut event);
        }
        self.pass(event, next);
    }

    /// Notes a piece of text of the one item that is being written, if all is well with the event;
    /// of any other nothing.
    pub(super) fn note_delta(&mut self, event: &Event) -> bool {
        let Kind::Delta(text) = Kind::of(event.kind()) else { return false };
        let held = self.blank.is_some() || self.last_done.is_some() || self.cut.is_holding();
        let numbered = !self.tally.on(Fix::SequenceNumbers) || self.numbers == Numbers::Upstream;
        if held || self.ended || !numbered {
            return false;
        }
        let Some(at) = self.items.single_open() else { return false };
        let item = self.items.get(at);
        let written = item.class == Class::with(text)
            && (text == Text::Arguments || item.last_part().is_some_and(|part| part.text == text && !part.done));
        // The first piece has shown that those after it need no change.
        if !written || item.repair() != Some(false) {
            return false;
        }
        let Some(piece) = event.member_text("delta") else { return false };
        self.items.append(at, piece);
        true
    }

    pub(super) fn delta(&mut self, text: Text, mut event: Event, next: &mut Events) {
        let single = self.items.single_open().filter(|at| self.items.get(*at).class == Class::with(text));
        let at = match single.or_else(|| self.item_of(&event, Class::with(text), next)) {
            Some(at) => at,
            // It belongs to a call that was not added: that is told whole when it is done.
            None if self.tally.on(Fix::MissingItemEvents) => {
                self.tally.count(Fix::MissingItemEvents);
                return Self::discard(&event, next);
            }
            None => return self.pass(event, next),
        };
        let Some(piece) = event.member("delta").map(|piece| piece.text()) else { return self.pass(event, next) };
        if text != Text::Arguments {
            let part = self.items.get(at).last_part();
            if part.is_none_or(|part| part.text != text || part.done) {
                self.open_part(at, text, next);
            }
        }
        self.items.append(at, &piece);
        if self.blank.as_ref().is_some_and(|blank| blank.is_full() || !items::is_blank_string(&piece)) {
            self.release_blank(next);
        }
        if self.items.get(at).repair() != Some(false) {
            let part = (text != Text::Arguments).then(|| text.events());
            let changed = self.align(&mut event, at, part) | self.complete_logprobs(text, &mut event);
            self.items.get(at).set_repair(changed);
        }
        self.pass(event, next);
    }
}

/// Puts the item and its index into the event, where they differ.
pub(super) fn replace_item(event: &mut Event, item: Value, index: i64) {
    let same_item = event.member("item").is_some_and(|before| before == item);
    let same_index = event.member("output_index").and_then(|index| index.as_i64()) == Some(index);
    let Some(object) = (!same_item || !same_index).then(|| event.object_mut()).flatten() else { return };
    if !same_item {
        object.set("item", item);
    }
    if !same_index {
        object.set("output_index", shape::number(index));
    }
}
