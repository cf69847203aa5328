use bytes::Bytes;
use memchr::memchr2;

use crate::json::Value;

/// The type of an event. Those of the Responses API cost neither a copy nor a reference.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Known(&'static str),
    Other(Bytes),
}

impl Kind {
    pub(super) const NONE: Self = Self::Known("");

    pub(super) fn of(text: &[u8]) -> Self {
        match known(text) {
            Some(kind) => Self::Known(kind),
            None => Self::Other(Bytes::copy_from_slice(text)),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Known(kind) => kind,
            Self::Other(kind) => std::str::from_utf8(kind).unwrap_or_default(),
        }
    }
}

impl Kind {
    /// The type as it stands in an `event:` line. Empty where it cannot stand in a line.
    pub(super) fn line(&self) -> &str {
        match self {
            Self::Other(kind) if memchr2(b'\n', b'\r', kind).is_some() => "",
            _ => self.as_str(),
        }
    }

    /// The type as a JSON string.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Known(kind) => Value::from_text(quoted(kind)),
            Self::Other(_) => Value::string(self.as_str()),
        }
    }
}

macro_rules! known {
    ($($kind:literal)*) => {
        fn quoted(known: &'static str) -> &'static str {
            match known {
                $($kind => concat!("\"", $kind, "\""),)*
                other => other,
            }
        }

        fn known(text: &[u8]) -> Option<&'static str> {
            // By length first, then by content.
            match std::str::from_utf8(text).ok()? {
                $($kind => Some($kind),)*
                _ => None,
            }
        }
    };
}

known! {
    "response.output_text.delta"
    "response.function_call_arguments.delta"
    "response.reasoning_text.delta"
    "response.reasoning_summary_text.delta"
    "response.custom_tool_call_input.delta"
    "response.created"
    "response.in_progress"
    "response.output_item.added"
    "response.content_part.added"
    "response.output_text.done"
    "response.content_part.done"
    "response.function_call_arguments.done"
    "response.custom_tool_call_input.done"
    "response.output_item.done"
    "response.reasoning_text.done"
    "response.reasoning_part.added"
    "response.reasoning_part.done"
    "response.reasoning_summary_part.added"
    "response.reasoning_summary_part.done"
    "response.reasoning_summary_text.done"
    "response.output_text.annotation.added"
    "response.refusal.delta"
    "response.refusal.done"
    "response.completed"
    "response.incomplete"
    "response.failed"
    "response.queued"
    "error"
    ""
}
