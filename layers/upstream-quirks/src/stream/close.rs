//! Events that the upstream did not send: what opens, what closes, what fails.

use tower_responses_core::{
    json::{Array, Object, Value},
    sse::{Event, Events},
};

use super::{
    Stream,
    content::replace_item,
    items::{Class, ItemState},
    kind::{PartEvents, Text},
    lifecycle,
};
use crate::{
    failure::Failure,
    fix::Fix,
    shape::{self, number},
};

impl Stream {
    /// The index of the event's item, as the client knows it.
    pub(super) fn index_of(&self, event: &Event) -> Option<i64> {
        Some(event.member("output_index")?.as_i64()? - self.shift)
    }

    pub(super) fn next_index(&self) -> i64 {
        self.items.last().map_or(0, |item| item.index + 1)
    }

    /// The item that an event is about, if it was added.
    pub(super) fn located(&self, event: &Event) -> Option<usize> {
        match self.items.single_open() {
            Some(at) => Some(at),
            None => self.items.position(self.index_of(event)?),
        }
    }

    /// The item that an event is about; a message and reasoning are added if they were not.
    pub(super) fn item_of(&mut self, event: &Event, class: Class, next: &mut Events) -> Option<usize> {
        let index = self.index_of(event);
        let known = match index {
            Some(index) => self.items.position(index),
            None => self.items.single_open(),
        };
        if let Some(at) = known {
            return Some(at);
        }
        if !self.tally.on(Fix::MissingItemEvents) {
            return None;
        }
        let (kind, prefix) = match class {
            Class::Message => ("message", "msg"),
            Class::Reasoning => ("reasoning", "rs"),
            Class::Call | Class::Other => return None,
        };
        self.settle_blank(Some(false), next);
        let id = event.member_str("item_id").filter(|id| !id.is_empty());
        let mut item = Object::new();
        item.set("id", &*id.unwrap_or_else(|| shape::new_id(prefix).into()));
        item.set("type", kind);
        item.set("status", "in_progress");
        if class == Class::Message {
            item.set("role", "assistant");
            item.set("content", Array::new());
        } else {
            item.set("summary", Array::new());
        }
        Some(self.add_item(&item.into(), index.unwrap_or_else(|| self.next_index()), next))
    }

    /// Gives an item an id if it has none.
    pub(super) fn identify(&mut self, item: &mut Value) -> String {
        if let Some(id) = item.member_str("id").filter(|id| !id.is_empty()) {
            return id.into_owned();
        }
        let prefix = match item.member_str("type").as_deref() {
            Some("message") => "msg",
            Some("reasoning") => "rs",
            Some("function_call") => "fc",
            Some("custom_tool_call") => "ctc",
            _ => "item",
        };
        let id = shape::new_id(prefix);
        if self.tally.on(Fix::ItemIds)
            && let Some(item) = item.as_object_mut()
        {
            item.set("id", id.as_str());
            self.tally.count(Fix::ItemIds);
        }
        id
    }

    fn add_item(&mut self, item: &Value, index: i64, next: &mut Events) -> usize {
        self.tally.count(Fix::MissingItemEvents);
        let id = item.member_str("id").unwrap_or_default().into_owned();
        let at = self.items.add(index, id, item);
        let mut event = item_event("response.output_item.added", index);
        event.set("item", item.clone());
        self.pass_item(Event::new(event), next);
        at
    }

    /// Tells of an item that nothing was told of, all but that it is done.
    pub(super) fn tell_item(&mut self, item: &Value, index: i64, next: &mut Events) -> usize {
        let mut added = item.clone();
        let arguments = ["arguments", "input"].into_iter().find_map(|name| Some((name, item.member(name)?)));
        if let Some(added) = added.as_object_mut() {
            added.set("status", "in_progress");
            for name in ["content", "summary"] {
                if added.get(name).is_some_and(Value::is_array) {
                    added.set(name, Array::new());
                }
            }
            if let Some((name, _)) = &arguments {
                added.set(name, "");
            }
        }
        let at = self.add_item(&added, index, next);
        let parts = ["summary", "content"].iter().filter_map(|name| item.member(name)?.elements()).flatten();
        for part in parts {
            let Some(text) = part.member_str("type").and_then(|kind| Text::of_part(&kind)) else { continue };
            self.open_part(at, text, next);
            if let Some(whole) = part.member(text.member()) {
                self.send_delta(at, text, &whole, next);
            }
            self.close_parts(at, next);
        }
        if let Some((name, whole)) = arguments
            && name == "arguments"
        {
            self.send_delta(at, Text::Arguments, &whole, next);
            let mut event = self.text_event(at, Text::Arguments.done_event(), None);
            event.set("arguments", whole);
            self.pass(Event::new(event), next);
        }
        at
    }

    fn send_delta(&mut self, at: usize, text: Text, whole: &Value, next: &mut Events) {
        if whole.text().len() <= 2 {
            return;
        }
        self.items.append(at, &whole.text());
        let part = (text != Text::Arguments).then(|| text.events());
        let mut event = self.text_event(at, text.delta_event(), part);
        event.set("delta", whole.clone());
        if text == Text::Output {
            event.set("logprobs", shape::empty_array());
        }
        self.pass(Event::new(event), next);
    }

    /// Opens a part that the upstream writes into without having opened it.
    pub(super) fn open_part(&mut self, at: usize, text: Text, next: &mut Events) {
        self.items.get(at).open_part(text);
        if !self.tally.on(Fix::MissingItemEvents) {
            return;
        }
        self.tally.count(Fix::MissingItemEvents);
        let part = self.items.get(at).last_part().map(|part| part.value());
        let events = text.events();
        let mut event = self.text_event(at, &format!("{}.added", events.name()), Some(events));
        event.set("part", part.unwrap_or(Value::null()));
        self.pass(Event::new(event), next);
    }

    /// An event about the last part of an item, or about its arguments.
    fn text_event(&mut self, at: usize, kind: &str, part: Option<PartEvents>) -> Object {
        let item = self.items.get(at);
        let mut event = item_event(kind, item.index);
        event.set("item_id", item.id.as_str());
        if let Some(events) = part {
            let part = item.parts().len().saturating_sub(1);
            event.set(events.index(), number(item.part_index(part)));
        }
        event
    }

    /// Ends the text of the part that is open; whether it was.
    pub(super) fn close_text(&mut self, at: usize, next: &mut Events) -> bool {
        let open = self.items.get(at).last_part().filter(|part| !part.text_done && !part.done);
        let Some(part) = open else { return false };
        part.text_done = true;
        let (text, so_far) = (part.text, part.so_far());
        let mut event = self.text_event(at, text.done_event(), Some(text.events()));
        event.set(text.member(), so_far);
        if text == Text::Output {
            event.set("logprobs", shape::empty_array());
        }
        self.pass(Event::new(event), next);
        true
    }

    /// Ends the part that is open; whether it was.
    pub(super) fn close_parts(&mut self, at: usize, next: &mut Events) -> bool {
        self.close_text(at, next);
        let Some(part) = self.items.get(at).last_part().filter(|part| !part.done) else { return false };
        part.done = true;
        let (events, value) = (part.text.events(), part.value());
        let mut event = self.text_event(at, &format!("{}.done", events.name()), Some(events));
        event.set("part", value);
        self.pass(Event::new(event), next);
        true
    }

    /// Closes the messages and the reasoning that are open, as incomplete. Calls stay open: what
    /// is done is run.
    pub(super) fn close_open(&mut self, next: &mut Events) {
        for at in 0..self.items.len() {
            let item = self.items.get(at);
            if item.state != ItemState::Open || !matches!(item.class, Class::Message | Class::Reasoning) {
                continue;
            }
            self.close_parts(at, next);
            let item = self.items.get(at);
            let Some(value) = item.value() else { continue };
            let mut event = item_event("response.output_item.done", item.index);
            event.set("item", value.clone());
            self.items.end(at, &value);
            self.pass_item(Event::new(event), next);
        }
    }

    /// Ends the stream with `response.failed`.
    pub(super) fn fail(&mut self, failure: &Failure, next: &mut Events) {
        if matches!(self.opened, super::Opened::Not) {
            self.open(next);
        }
        self.drop_blank(next);
        self.close_open(next);
        let mut output = self.items.output();
        for cut in self.cut.take_cut(next) {
            let id = cut.member("id");
            let at = output.iter().position(|item| item.member("id") == id);
            if let Some(item) = at.and_then(|at| output.get_mut(at)) {
                *item = cut;
            }
        }
        let mut response = self.echo.response("failed");
        response.set("error", failure.to_object());
        response.set("output", output);
        next.push(lifecycle("response.failed", response));
        self.ended = true;
    }

    /// Gives an event the ids and indices of its item; whether anything had to be changed.
    pub(super) fn align(&mut self, event: &mut Event, at: usize, part: Option<PartEvents>) -> bool {
        let item = self.items.get(at);
        let index = item.index;
        let mut wrong = Vec::new();
        let moves = self.shift != 0 || self.tally.on(Fix::ItemIds);
        if moves && event.member("output_index").and_then(|index| index.as_i64()) != Some(index) {
            wrong.push(("output_index", number(index)));
        }
        if self.tally.on(Fix::ItemIds) {
            if event.member_str("item_id").as_deref() != Some(&item.id) {
                wrong.push(("item_id", Value::string(&item.id)));
            }
            if let Some(events) = part.filter(|_| !item.parts().is_empty()) {
                let index = item.part_index(item.parts().len() - 1);
                if event.member(events.index()).and_then(|index| index.as_i64()) != Some(index) {
                    wrong.push((events.index(), number(index)));
                }
            }
        }
        let Some(object) = (!wrong.is_empty()).then(|| event.object_mut()).flatten() else { return false };
        if self.shift == 0 || wrong.len() > 1 {
            self.tally.count(Fix::ItemIds);
        }
        for (name, value) in wrong {
            object.set(name, value);
        }
        true
    }

    /// Gives the part of an event the arrays that it lacks.
    pub(super) fn complete_part_of(&mut self, event: &mut Event) {
        let Some(mut part) = event.member("part") else { return };
        let before = part.clone();
        shape::complete_part(&mut part, &mut self.tally);
        if part != before
            && let Some(event) = event.object_mut()
        {
            event.set("part", part);
        }
    }

    /// Gives an event about text the `logprobs` that it lacks; whether it lacked them.
    pub(super) fn complete_logprobs(&mut self, text: Text, event: &mut Event) -> bool {
        let lacks = text == Text::Output
            && self.tally.on(Fix::ContentArrays)
            && event.member("logprobs").is_none_or(|logprobs| !logprobs.is_array());
        if lacks && let Some(event) = event.object_mut() {
            event.set("logprobs", shape::empty_array());
            self.tally.count(Fix::ContentArrays);
        }
        lacks
    }

    /// Sends the end of an item that was open, as `item` says it ended.
    pub(super) fn send_done(&mut self, at: usize, item: Value, next: &mut Events) {
        self.tally.count(Fix::MissingItemEvents);
        self.close_parts(at, next);
        let index = self.items.get(at).index;
        self.items.end(at, &item);
        let mut event = Event::new(item_event("response.output_item.done", index));
        replace_item(&mut event, item, index);
        self.pass_item(event, next);
    }
}

/// The start of an event about an item.
fn item_event(kind: &str, index: i64) -> Object {
    let mut event = Object::new();
    event.set("type", kind);
    event.set("output_index", number(index));
    event
}
