//! JSON that is opened only where it is read or changed.
//!
//! Bodies and events pass through a gateway nearly as they came. So text is checked once, split
//! one level deep where somebody looks, and what nobody changes is written as the very bytes
//! that were received: unknown members, the spelling of numbers, the order of keys.
//!
//! ```
//! use tower_responses_core::json::Object;
//!
//! let mut body = Object::parse(r#"{ "model": "a", "x": 1.0e+2, "input": [ {"id":1}, 2 ] }"#.into()).unwrap();
//! assert_eq!(body.get_str("model").as_deref(), Some("a"));
//! body.set("model", "b");
//! assert_eq!(body.text(), r#"{"model":"b", "x": 1.0e+2, "input": [ {"id":1}, 2 ] }"#);
//! ```

mod array;
mod change;
mod edit;
mod key;
mod lookup;
mod names;
mod object;
mod opening;
mod part;
mod rows;
pub(crate) mod scan;
mod unique;
mod value;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny};

pub use self::{
    array::Array,
    edit::Edit,
    object::Object,
    rows::{Elements, Entries, Row, Rows},
    scan::string::escape,
    value::Value,
};
pub(crate) use self::{
    opening::{NotOpened, Opening, Refusal, Refused},
    write::Measure,
};

/// Why text is not the JSON that was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError(String);

impl SyntaxError {
    /// What is wrong with text that is not what was wanted: serde_json says where.
    #[allow(clippy::disallowed_methods, reason = "only what is refused is parsed here")]
    fn of(text: &[u8]) -> Self {
        match serde_json::from_slice::<IgnoredAny>(text) {
            Ok(_) => std::str::from_utf8(text).map_or_else(|error| Self(error.to_string()), |_| Self::not_an_object()),
            Err(error) => Self(error.to_string()),
        }
    }

    fn not_an_object() -> Self {
        Self("the JSON value is not an object".to_owned())
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SyntaxError {}

#[allow(clippy::disallowed_methods, reason = "the one place that decodes")]
fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text)
}
