//! The shapes that clients require of a response, of its items, and of their events.

mod item;
mod response;
mod usage;

use std::hash::{BuildHasher, RandomState};

use tower_responses_core::json::Value;

pub(crate) use self::{
    item::{complete_item, complete_part, drop_whitespace, is_call, mark_incomplete},
    response::{Echo, complete},
};

/// A new id, such as `resp_` and 32 hexadecimal digits.
pub(crate) fn new_id(prefix: &str) -> String {
    let word = || getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(prefix));
    format!("{prefix}_{:016x}{:016x}", word(), word())
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

pub(crate) fn number(number: i64) -> Value {
    Value::serialize(&number)
}

pub(crate) fn empty_array() -> Value {
    Value::from_text("[]")
}

/// Sets a member of a value that is an object.
pub(crate) fn set_member(value: &mut Value, name: &str, member: impl Into<Value>) {
    if let Some(object) = value.as_object_mut() {
        object.set(name, member);
    }
}
