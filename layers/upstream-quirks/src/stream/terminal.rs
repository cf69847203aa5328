//! The event that ends a response.

use std::{
    cell::LazyCell,
    collections::{HashMap, HashSet},
};

use tower_responses_core::{
    json::{Object, Value},
    sse::{Event, EventFilter, Events},
};

use super::{
    Opened, Stream,
    items::{Class, ItemState},
};
use crate::{answer::complete_error, failure::Failure, fix::Fix, shape};

impl Stream {
    pub(super) fn terminal(&mut self, mut event: Event, next: &mut Events) {
        let Some(response) = event.object_mut().and_then(|event| event.object_mut("response")) else {
            self.release_done(next);
            if !self.tally.on(Fix::MissingTerminal) {
                self.ended = true;
                return self.pass(event, next);
            }
            self.tally.count(Fix::MissingTerminal);
            Self::discard(&event, next);
            return self.fail(&Failure::server("the upstream's stream ended without a response"), next);
        };
        let mut response = std::mem::take(response);
        let status = Self::status(event.kind(), &response);
        self.settle_blank(None, next);
        self.settle_done(status == "incomplete", next);
        if let Opened::Us(id) = &self.opened {
            response.set("id", id.as_str());
        }
        if self.tally.on(Fix::ItemStatus) && !response.member_is("status", status) {
            response.set("status", status);
            self.tally.count(Fix::ItemStatus);
        }
        self.finish_items(status, &mut response, next);
        if status == "incomplete" && self.tally.on(Fix::IncompleteStatus) {
            shape::mark_incomplete(&mut response, &mut self.tally);
        }
        if status == "failed" {
            complete_error(&mut response, self.profile, &mut self.tally);
        }
        shape::complete(&mut response, status, &self.echo, &mut self.tally);
        let kind = ["response.", status].concat();
        if event.kind() != kind && self.tally.on(Fix::IncompleteStatus) {
            self.tally.count(Fix::IncompleteStatus);
            event.set_kind(&kind);
        }
        if let Some(emptied) = event.object_mut().and_then(|event| event.object_mut("response")) {
            *emptied = response;
        }
        if self.tally.on(Fix::CutCall) {
            if self.cut.is_holding() && status != "completed" {
                self.tally.count(Fix::CutCall);
            }
            self.cut.event(event, next);
        } else {
            self.pass(event, next);
        }
        self.ended = true;
    }

    /// How the response ended: what the event's name says, and what the response says of itself
    /// where the name promises more.
    fn status(kind: &str, response: &Object) -> &'static str {
        let own = response.get_str("status").unwrap_or_default();
        let named = kind.strip_prefix("response.").unwrap_or_default();
        let of = |status: &str| ["incomplete", "failed", "cancelled"].into_iter().find(|known| *known == status);
        of(named).or_else(|| of(&own)).unwrap_or("completed")
    }

    /// Makes the items of the stream and those of the final object the same.
    fn finish_items(&mut self, status: &str, response: &mut Object, next: &mut Events) {
        if self.shift != 0 {
            shape::drop_whitespace(response, &mut self.tally);
        }
        if self.tally.on(Fix::MissingItemEvents) {
            if status == "completed" {
                self.send_missing(response, next);
            } else if status == "incomplete" {
                self.close_open(next);
            }
            let empty = response.get("output").and_then(Value::elements).is_none_or(|mut items| items.next().is_none());
            if empty && self.items.len() > 0 {
                self.tally.count(Fix::MissingItemEvents);
                response.set("output", self.items.output());
            }
        }
        if self.tally.on(Fix::ItemIds) {
            self.align_output(response);
        }
    }

    /// Sends what a complete response holds and the stream did not tell.
    fn send_missing(&mut self, response: &mut Object, next: &mut Events) {
        let output: Vec<_> = response.get("output").and_then(Value::elements).into_iter().flatten().collect();
        let told = self.items.len();
        // The first of each id. Most streams have told all, and need none of this.
        let places = LazyCell::new(|| {
            let ids = output.iter().enumerate().rev();
            ids.filter_map(|(at, item)| Some((item.member_str("id")?, at))).collect::<HashMap<_, _>>()
        });
        for at in 0..told {
            let item = self.items.get(at);
            if item.state != ItemState::Open {
                continue;
            }
            let (id, index, class) = (item.id.clone(), item.index, item.class);
            let there = usize::try_from(index).ok().and_then(|index| output.get(index));
            let same = places.get(&*id).and_then(|at| output.get(*at));
            let ended = same.or(there).filter(|item| Class::of_item(item) == class);
            match ended {
                Some(item) => {
                    let mut item = item.clone();
                    shape::set_member(&mut item, "id", id.as_str());
                    shape::complete_item(&mut item, "completed", &mut self.tally);
                    self.send_done(at, item, next);
                }
                None => self.close_as_it_stands(at, next),
            }
        }
        let mut known = HashSet::new();
        if output.len() > told {
            known.extend(self.items.iter().map(|item| item.id.clone()));
        }
        for item in output.iter().skip(told) {
            if item.member_str("id").is_some_and(|id| known.contains(&*id)) {
                continue;
            }
            let mut item = item.clone();
            known.insert(self.identify(&mut item));
            shape::complete_item(&mut item, "completed", &mut self.tally);
            let at = self.tell_item(&item, self.next_index(), next);
            self.send_done(at, item, next);
        }
    }

    /// The response is complete and says nothing of this item: so the item is what came of it.
    fn close_as_it_stands(&mut self, at: usize, next: &mut Events) {
        let Some(mut item) = self.items.get(at).value() else { return };
        if let Some(item) = item.as_object_mut() {
            item.set("status", "completed");
        }
        self.send_done(at, item, next);
    }

    /// Gives the items of the final object the ids that the stream gave them.
    fn align_output(&mut self, response: &mut Object) {
        let Some(output) = response.array_mut("output") else { return };
        let ours = |at: usize, item: &Value| {
            let known = self.items.at_index(at)?;
            let same = item.member_str("id").as_deref() == Some(&known.id);
            (!same && Class::of_item(item) == known.class).then(|| known.id.clone())
        };
        let mut changed = false;
        output.for_each_mut(|at, item| {
            if let Some(id) = ours(at, item)
                && let Some(item) = item.as_object_mut()
            {
                item.set("id", id.as_str());
                changed = true;
            }
        });
        if changed {
            self.tally.count(Fix::ItemIds);
        }
    }
}
