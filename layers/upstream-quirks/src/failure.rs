use std::{borrow::Cow, fmt};

use http::StatusCode;
use tower_responses_core::json::{Object, Value};

use crate::{
    Profile,
    fix::{Fix, Tally},
};

/// The code of a prompt that is too long. Codex makes room when it reads it.
pub(crate) const OVERFLOW: &str = "context_length_exceeded";

/// Why a response failed, as `error` of a response object says it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
}

/// Codes that say by themselves that it is no use to try again.
const FATAL: [&str; 5] =
    [OVERFLOW, "insufficient_quota", "invalid_prompt", "usage_not_included", "server_is_overloaded"];

impl Failure {
    /// Something that may go better next time. Clients try again.
    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self { code: "server_error".into(), message: message.into() }
    }

    /// What the upstream answered instead of a stream that has been opened already.
    ///
    /// The code decides whether Codex 0.169 tries again: not after `invalid_prompt`, and after
    /// `rate_limit_exceeded` when the message says.
    pub(crate) fn of_status(status: StatusCode, error: &Object, retry_after: Option<&str>) -> Self {
        let message = error.get_str("message").unwrap_or_default().into_owned();
        let code = error.get_str("code").filter(|code| code.parse::<u16>().is_err());
        let failure = |code: &'static str| Self { code: code.into(), message: message.clone() };
        if let Some(code) = code.as_deref().and_then(|code| FATAL.iter().find(|known| **known == code)) {
            return failure(code);
        }
        match status.as_u16() {
            429 => {
                let wait = retry_after.and_then(|seconds| seconds.parse::<u32>().ok());
                let wait = wait.filter(|_| !message.contains("try again in"));
                let wait = wait.map(|seconds| format!(" Please try again in {seconds}s.")).unwrap_or_default();
                Self { code: "rate_limit_exceeded".into(), message: message + &wait }
            }
            401 | 403 | 408 => failure("server_error"),
            400..=499 => failure("invalid_prompt"),
            _ => Self { code: code.map_or("server_error".into(), |code| code.into_owned().into()), message },
        }
    }

    /// What an `error` event says, flat or nested; `data` is what stands for an event that is no
    /// JSON.
    pub(crate) fn of_event(event: Option<&mut Object>, data: &[u8], profile: Profile, tally: &mut Tally) -> Self {
        let Some(event) = event else { return Self::server(bounded(&String::from_utf8_lossy(data))) };
        if let Some(message) = event.get_str("error") {
            return Self::judged(message.into_owned(), None, None, profile, tally);
        }
        let nested = event.get("error").is_some_and(Value::is_object);
        let error = if nested { event.object_mut("error") } else { Some(event) };
        let Some(error) = error else { return Self::server("the upstream sent an error without a message") };
        let text = |name: &str| error.get_str(name).map(Cow::into_owned);
        let message = text("message").unwrap_or_else(|| "the upstream sent an error without a message".to_owned());
        Self::judged(message, text("code"), text("param").as_deref(), profile, tally)
    }

    fn judged(message: String, code: Option<String>, param: Option<&str>, profile: Profile, tally: &mut Tally) -> Self {
        let code = match code.filter(|code| code.parse::<u16>().is_err()) {
            _ if tally.on(Fix::ContextOverflow) && is_overflow(profile, &message, param) => {
                tally.count(Fix::ContextOverflow);
                OVERFLOW.into()
            }
            Some(code) => code.into(),
            None => "server_error".into(),
        };
        Self { code, message }
    }

    /// As `error` of a response.
    pub(crate) fn to_object(&self) -> Object {
        let mut error = Object::new();
        error.set("code", &*self.code);
        error.set("message", self.message.as_str());
        error
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Whether an error says that the prompt does not fit. That the output asked for does not is
/// another matter: nothing is gained by making room in the prompt.
pub(crate) fn is_overflow(profile: Profile, message: &str, param: Option<&str>) -> bool {
    if matches!(param, Some("max_output_tokens" | "max_tokens" | "max_completion_tokens")) {
        return false;
    }
    let message = message.to_ascii_lowercase();
    let known = profile.overflow_messages();
    known.iter().any(|part| message.contains(part)) || !known.is_empty() && param == Some("input_tokens")
}

/// The text of an error that is kept, in bytes.
const MAX_TEXT: usize = 4096;

/// The start of a text that may be long.
pub(crate) fn bounded(text: &str) -> &str {
    let text = text.trim();
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
