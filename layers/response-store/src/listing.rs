//! `GET …/responses/{id}/input_items`: all that the model was shown for a response.

use std::{borrow::Cow, collections::HashSet};

use bytes::Bytes;
use tower_responses_core::{
    ApiError,
    json::{Array, Object, Value},
};

use crate::{ResponseId, cache::Chain};

/// Which items are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    limit: usize,
    after: Option<String>,
    ascending: bool,
}

impl Listing {
    /// OpenAI's defaults: 20, newest first.
    pub(crate) fn of_query(query: &str) -> Result<Self, ApiError> {
        let mut listing = Self { limit: 20, after: None, ascending: false };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => {
                    listing.limit = value.parse().ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| {
                        ApiError::bad_request("'limit' has to be a number from 1 to 100.").param("limit")
                    })?;
                }
                "after" => listing.after = Some(value.to_owned()),
                "order" => {
                    listing.ascending = match value {
                        "asc" => true,
                        "desc" => false,
                        _ => return Err(ApiError::bad_request("'order' has to be 'asc' or 'desc'.").param("order")),
                    };
                }
                _ => {}
            }
        }
        Ok(listing)
    }
}

/// The page of items that is asked for.
pub(crate) fn list(id: ResponseId, chain: &Chain, listing: &Listing) -> Result<Object, ApiError> {
    let Some((last, before)) = chain.turns.split_last() else { return Ok(Object::new()) };
    let earlier = before.iter().flat_map(|turn| turn.replayed());
    let texts: Vec<_> = earlier.chain(last.input()).collect();
    let names = Names::of(&texts);
    let place = |at: usize| if listing.ascending { at } else { texts.len() - 1 - at };
    let start = match &listing.after {
        None => 0,
        Some(after) => {
            let is_it = |at: &usize| names.id(id, place(*at)) == *after;
            let at = (0..texts.len()).find(is_it);
            at.ok_or_else(|| ApiError::bad_request(format!("No item with id '{after}' found.")).param("after"))? + 1
        }
    };
    let end = texts.len().min(start + listing.limit);
    let page: Vec<_> = (start..end).map(place).map(|at| shown(texts[at], &names.id(id, at))).collect();
    let id_of = |item: Option<&Value>| item.and_then(|item| item.member("id")).unwrap_or_else(Value::null);
    let mut object = Object::new();
    object.set("object", "list");
    object.set("first_id", id_of(page.first()));
    object.set("last_id", id_of(page.last()));
    object.set("has_more", Value::bool(end < texts.len()));
    object.set("data", page.into_iter().collect::<Array>());
    Ok(object)
}

/// The ids of items, each of another: clients ask for what comes after one.
struct Names(Vec<Option<String>>);

impl Names {
    fn of(texts: &[&Bytes]) -> Self {
        let mut known = HashSet::new();
        let own = |text: &&Bytes| Value::from_text(Bytes::clone(text)).member_str("id").map(Cow::into_owned);
        // Clients replay items with their ids: the first that has one keeps it.
        Self(texts.iter().map(|text| own(text).filter(|id| known.insert(id.clone()))).collect())
    }

    /// The item's own id, or one that is the same each time it is listed.
    fn id(&self, response: ResponseId, at: usize) -> Cow<'_, str> {
        match self.0.get(at).and_then(Option::as_deref) {
            Some(own) => own.into(),
            None => format!("item_{:.48}_{at}", &response.to_string()["resp_".len()..]).into(),
        }
    }
}

/// The item as clients read it. What is stored stays as it was said.
fn shown(text: &Bytes, id: &str) -> Value {
    let value = Value::from_text(text.clone());
    let Some(mut item) = Object::split(text.clone()) else { return value };
    if !item.member_is("id", id) {
        item.set("id", id);
    }
    let is_message = item.member_is("type", "message") || !item.has("type") && item.has("role");
    if is_message {
        complete_message(&mut item);
    }
    item.into()
}

/// Gives a message what the short forms leave out, which are only for requests.
fn complete_message(message: &mut Object) {
    for (name, value) in [("type", "message"), ("status", "completed")] {
        if !message.has(name) {
            message.set(name, value);
        }
    }
    let Some(text) = message.get("content").filter(|content| content.is_string()).cloned() else { return };
    let mut part = Object::new();
    if message.member_is("role", "assistant") {
        part.set("type", "output_text");
        part.set("text", text);
        part.set("annotations", Array::new());
        part.set("logprobs", Array::new());
    } else {
        part.set("type", "input_text");
        part.set("text", text);
    }
    message.set("content", Array::from_iter([Value::from(part)]));
}
