//! What is made of the answer to one request.

use std::{
    borrow::Cow,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE},
    response::Parts,
};
use tower_responses_core::{
    ApiError,
    json::{Object, Value},
    rewrite::RewriteResponse,
    sse::{CutCalls, Event, EventFilter, Events, StreamEnd},
};

use crate::{
    Profile, Quirks,
    early::OpenedEarly,
    failure::{Failure, OVERFLOW, bounded, is_overflow},
    fix::{Fix, Tally},
    shape::{self, Echo},
    stream::Stream,
};

/// Puts the answer to one request right: its head, its object or its error, or its events.
#[derive(Debug)]
pub struct Answer {
    quirks: Quirks,
    tally: Tally,
    echo: Echo,
    /// Only streams pay for what streams need.
    stream: Option<Box<Stream>>,
}

impl Answer {
    pub(crate) fn new(quirks: &Quirks, tally: Tally, echo: Echo) -> Self {
        Self { quirks: quirks.clone(), tally, echo, stream: None }
    }

    fn stream(&mut self) -> &mut Stream {
        let new = || Box::new(Stream::new(&self.quirks, self.tally, self.echo.clone()));
        self.stream.get_or_insert_with(new)
    }

    fn response(&mut self, response: &mut Object) {
        let tally = &mut self.tally;
        if tally.on(Fix::WhitespaceMessage) {
            shape::drop_whitespace(response, tally);
        }
        let status = response.get_str("status").map(Cow::into_owned).unwrap_or_default();
        if status == "incomplete" {
            if tally.on(Fix::CutCall) {
                CutCalls::mark(response);
            }
            if tally.on(Fix::IncompleteStatus) {
                shape::mark_incomplete(response, tally);
            }
        } else if status == "failed" {
            complete_error(response, self.quirks.profile, tally);
        }
        shape::complete(response, "completed", &self.echo, tally);
    }
}

impl RewriteResponse for Answer {
    fn head(&mut self, head: &mut Parts) {
        if self.tally.on(Fix::ModelHeader) && head.headers.remove("openai-model").is_some() {
            self.tally.count(Fix::ModelHeader);
        }
        if head.extensions.remove::<OpenedEarly>().is_some() {
            self.tally.count(Fix::EarlyStream);
            self.stream().open_at_once();
        }
        // An error of whatever kind is read as if it were JSON, and wrapped if it is not.
        if is_error(head.status) && self.tally.on(Fix::ErrorBody) {
            let kind = head.headers.get(CONTENT_TYPE);
            if kind.is_none_or(|kind| !kind.as_bytes().to_ascii_lowercase().starts_with(b"application/json")) {
                head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
        }
    }

    fn object(&mut self, head: &mut Parts, object: &mut Object) -> Result<(), ApiError> {
        let failed = object.has("error") && !object.has("output");
        if is_error(head.status) || failed && self.tally.on(Fix::ErrorStatus) {
            correct_error(head, object, &self.quirks, &mut self.tally);
        } else if object.member_is("object", "response") || object.has("output") {
            self.response(object);
        }
        Ok(())
    }

    fn text(&mut self, head: &mut Parts, text: Bytes) -> Bytes {
        if !is_error(head.status) || !self.tally.on(Fix::ErrorBody) {
            return text;
        }
        head.headers.remove(CONTENT_LENGTH);
        let mut body = wrap_text(head.status, &text);
        self.tally.count(Fix::ErrorBody);
        correct_error(head, &mut body, &self.quirks, &mut self.tally);
        body.text()
    }
}

impl EventFilter for Answer {
    fn passes_by(&mut self, event: &Event) -> bool {
        self.stream.as_mut().is_some_and(|stream| stream.passes_by(event))
    }

    fn event(&mut self, event: Event, next: &mut Events) {
        self.stream().event(event, next);
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        self.stream().poll_silence(cx, next)
    }

    fn end(&mut self, end: StreamEnd, next: &mut Events) -> StreamEnd {
        self.stream().end(end, next)
    }

    fn is_done(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.is_done())
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream().poll_linger(cx)
    }
}

pub(crate) fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// An error object around text that is none.
pub(crate) fn wrap_text(status: StatusCode, text: &[u8]) -> Object {
    let text = String::from_utf8_lossy(text);
    let message = match bounded(&text) {
        "" => format!("the upstream answered {status} and said nothing"),
        text => text.to_owned(),
    };
    wrapped(ApiError::new(status, message).to_object())
}

fn wrapped(error: Object) -> Object {
    let mut body = Object::new();
    body.set("error", error);
    body
}

/// Puts an error right: its shape, its status, its code.
pub(crate) fn correct_error(head: &mut Parts, body: &mut Object, quirks: &Quirks, tally: &mut Tally) {
    if tally.on(Fix::ErrorBody)
        && let Some(error) = reshape(body, head.status)
    {
        tally.count(Fix::ErrorBody);
        head.headers.remove(CONTENT_LENGTH);
        *body = wrapped(error);
    }
    let Some(error) = body.object_mut("error") else { return };
    if !is_error(head.status) {
        tally.count(Fix::ErrorStatus);
        head.status = named_status(error);
    }
    if tally.on(Fix::ErrorBody) {
        complete_members(error, head.status, tally);
    }
    let refused = matches!(head.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if refused && quirks.gateway_key && tally.on(Fix::GatewayKey) {
        tally.count(Fix::GatewayKey);
        let message = format!(
            "the upstream refused the key of this gateway with {}: {}",
            head.status,
            error.get_str("message").unwrap_or_default()
        );
        tracing::error!(status = head.status.as_u16(), "the upstream refused the key of this gateway");
        head.status = StatusCode::BAD_GATEWAY;
        head.headers.remove(WWW_AUTHENTICATE);
        *error = ApiError::new(head.status, message).code("upstream_authentication_failed").to_object();
        return;
    }
    if correct_overflow(error, quirks.profile, tally) {
        head.status = StatusCode::BAD_REQUEST;
        error.set("type", "invalid_request_error");
    }
    correct_code(error, tally);
}

/// The object that is to stand under `error`, if the body does not have it.
fn reshape(body: &Object, status: StatusCode) -> Option<Object> {
    let error = body.get("error");
    if error.is_some_and(|error| error.member_str("message").is_some()) {
        return None;
    }
    let named = |value: &Value, name: &str| value.member_str(name).map(Cow::into_owned);
    let message = match error {
        Some(error) if error.is_string() => error.as_str().map(Cow::into_owned),
        Some(error) if error.is_object() => named(error, "detail"),
        _ => ["message", "detail"].iter().find_map(|name| body.get_str(name)).map(Cow::into_owned),
    };
    let message = message.unwrap_or_else(|| bounded(&String::from_utf8_lossy(&body.text())).to_owned());
    let mut reshaped = ApiError::new(status, bounded(&message).to_owned()).to_object();
    // An older vLLM puts these beside the message.
    for name in ["type", "param", "code"] {
        let there = match error {
            Some(error) if error.is_object() => error.member(name),
            _ => body.get(name).cloned(),
        };
        if let Some(value) = there.filter(|value| !value.is_null()) {
            reshaped.set(name, value);
        }
    }
    Some(reshaped)
}

/// Gives an error the members that it lacks.
fn complete_members(error: &mut Object, status: StatusCode, tally: &mut Tally) {
    if error.has("type") && ["param", "code"].iter().all(|name| error.get(name).is_some()) {
        return;
    }
    tally.count(Fix::ErrorBody);
    for (name, value) in ApiError::new(status, "").to_object().iter() {
        if !error.has(&name) {
            error.set(&name, value.clone());
        }
    }
}

/// The status that an error names which came with a status of success.
fn named_status(error: &Object) -> StatusCode {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let named = ["status", "status_code", "code"].iter().find_map(|name| number(error.get(name)?));
    let named = named.and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    named.filter(|status| is_error(*status)).unwrap_or(StatusCode::BAD_GATEWAY)
}

/// Gives an error that says that the prompt is too long the code for it; whether it was one.
fn correct_overflow(error: &mut Object, profile: Profile, tally: &mut Tally) -> bool {
    if !tally.on(Fix::ContextOverflow) {
        return false;
    }
    let known = error.member_is("code", OVERFLOW);
    let message = error.get_str("message").unwrap_or_default();
    if !known && !is_overflow(profile, &message, error.get_str("param").as_deref()) {
        return false;
    }
    tally.count(Fix::ContextOverflow);
    error.set("code", OVERFLOW);
    true
}

fn correct_code(error: &mut Object, tally: &mut Tally) {
    if tally.on(Fix::ErrorCode)
        && let Some(number) = error.get("code").and_then(Value::as_i64)
    {
        tally.count(Fix::ErrorCode);
        error.set("code", number.to_string().as_str());
    }
}

/// Puts the `error` of a failed response right.
pub(crate) fn complete_error(response: &mut Object, profile: Profile, tally: &mut Tally) {
    if let Some(error) = response.object_mut("error") {
        correct_overflow(error, profile, tally);
        correct_code(error, tally);
    } else if tally.on(Fix::FailedError) {
        tally.count(Fix::FailedError);
        let message = response.get_str("error").map(Cow::into_owned);
        let message = message.unwrap_or_else(|| "the upstream gave no reason".to_owned());
        response.set("error", Failure::server(message).to_object());
    }
}
