use std::fmt;

use crate::{
    ApiError,
    json::{Refusal, Refused},
};

/// Why an element of `input` or `tools` is not taken: no server takes anything but objects there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementError {
    list: &'static str,
    refused: Refused,
}

impl ElementError {
    pub(super) fn new(list: &'static str, refused: Refused) -> Self {
        Self { list, refused }
    }

    /// The path of the element, such as `input[3]`.
    pub fn param(&self) -> String {
        format!("{}[{}]", self.list, self.refused.index)
    }
}

impl fmt::Display for ElementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let param = self.param();
        match self.refused.why {
            Refusal::NoObject(first) => {
                let found = match first {
                    b'"' => "a string",
                    b'[' => "an array",
                    b't' | b'f' => "a boolean",
                    b'n' => "null",
                    _ => "a number",
                };
                write!(f, "Invalid type for '{param}': expected an object, but got {found} instead.")
            }
            Refusal::Dense => write!(f, "Invalid '{param}': too many properties."),
            Refusal::TooMany => write!(f, "Invalid '{}': array too long for elements that are so short.", self.list),
        }
    }
}

impl std::error::Error for ElementError {}

impl From<ElementError> for ApiError {
    fn from(error: ElementError) -> Self {
        let (param, code) = match error.refused.why {
            Refusal::NoObject(_) => (error.param(), "invalid_type"),
            Refusal::Dense => (error.param(), "object_above_max_properties"),
            Refusal::TooMany => (error.list.to_owned(), "array_above_max_length"),
        };
        Self::bad_request(error.to_string()).param(param).code(code)
    }
}
