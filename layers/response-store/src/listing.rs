//! `GET …/responses/{id}/input_items`: all that the model was shown for a response.

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
    let mut items: Vec<_> = earlier.chain(last.input()).enumerate().map(|(at, text)| with_id(text, id, at)).collect();
    if !listing.ascending {
        items.reverse();
    }
    let start = match &listing.after {
        None => 0,
        Some(after) => {
            let is_it = |item: &Value| item.member_str("id").as_deref() == Some(after);
            let at = items
                .iter()
                .position(is_it)
                .ok_or_else(|| ApiError::bad_request(format!("No item with id '{after}' found.")).param("after"))?;
            at + 1
        }
    };
    let has_more = items.len() - start > listing.limit;
    let page: Vec<_> = items.drain(start..).take(listing.limit).collect();
    let id_of = |item: Option<&Value>| item.and_then(|item| item.member("id")).unwrap_or_else(Value::null);
    let mut object = Object::new();
    object.set("object", "list");
    object.set("first_id", id_of(page.first()));
    object.set("last_id", id_of(page.last()));
    object.set("has_more", Value::bool(has_more));
    object.set("data", page.into_iter().collect::<Array>());
    Ok(object)
}

/// The item with an id, which is the same each time it is listed.
fn with_id(text: &Bytes, response: ResponseId, at: usize) -> Value {
    let value = Value::from_text(text.clone());
    if value.member_str("id").is_some() {
        return value;
    }
    let Some(mut item) = Object::split(text.clone()) else { return value };
    item.set("id", format!("item_{:.48}_{at}", &response.to_string()["resp_".len()..]).as_str());
    Value::from(item)
}
