//! The frames of the protocol: what a client asks for, and what it is told beside events.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use tower_responses_core::{
    ApiError, ReadError, RequestBody,
    json::{Object, Value},
    read_bool,
};

#[cfg(test)]
mod tests;

/// One `response.create` frame: the body of a `POST …/responses`, with `"type"` beside it.
#[derive(Debug)]
pub struct Create {
    /// The body as it goes inward: without `type` and `generate`, with `"stream": true`.
    pub request: Object,
    /// `"generate": false`: the client wants its input and tools taken in, and no answer of a
    /// model. Codex opens every connection with such a frame.
    pub prewarm: bool,
    /// The bytes of the frame, which the parts of `request` keep in memory.
    pub(crate) frame: usize,
}

impl Create {
    /// Reads a text frame.
    ///
    /// # Errors
    /// 400 for what is no JSON object, or of another type than `response.create`.
    pub fn parse(text: Bytes) -> Result<Self, ApiError> {
        let frame = text.len();
        let mut request = RequestBody::parse(text).map_err(|error| match error {
            ReadError::Syntax(error) => {
                ApiError::bad_request(format!("the frame could not be parsed as a JSON object: {error}"))
                    .code("invalid_json")
            }
            error => error.into(),
        })?;
        match request.remove("type").as_ref().and_then(Value::as_str).as_deref() {
            Some("response.create") => {}
            other => {
                let message = match other {
                    Some(kind) => format!("unknown frame type '{}'", kind.chars().take(64).collect::<String>()),
                    None => "the frame has no type".to_owned(),
                };
                return Err(ApiError::bad_request(format!("{message}: only response.create is understood"))
                    .param("type")
                    .code("unknown_frame_type"));
            }
        }
        let prewarm = read_bool(&request, "generate")? == Some(false);
        request.remove("generate");
        if request.get("stream").and_then(Value::as_bool) != Some(true) {
            request.set("stream", Value::bool(true));
        }
        Ok(Self { request, prewarm, frame })
    }
}

/// The frame that tells an error: `{"type":"error","status":…,"error":{…}}`, with the status that
/// HTTP would have had.
pub fn error_frame(error: &ApiError) -> Bytes {
    frame(error.status(), error.to_object().into(), None)
}

/// The same for an HTTP response: its `error` object as it stands in the body, or one made of
/// what the body says. A `retry-after` goes along under `headers`.
pub fn error_frame_from(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Bytes {
    let error = match Object::parse(body.clone()).ok().and_then(|mut object| object.remove("error")) {
        Some(error) if error.is_object() => error,
        Some(error) if error.is_string() => made_up(status, error.as_str().as_deref().unwrap_or_default()),
        _ => made_up(status, &String::from_utf8_lossy(body)),
    };
    frame(status, error, headers.get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()))
}

fn made_up(status: StatusCode, text: &str) -> Value {
    let text = match text.trim() {
        "" => status.canonical_reason().unwrap_or("the request failed"),
        text => text,
    };
    ApiError::new(status, text.to_owned()).to_object().into()
}

fn frame(status: StatusCode, error: Value, retry_after: Option<&str>) -> Bytes {
    let mut frame = Object::new();
    frame.set("type", "error");
    frame.set("status", Value::serialize(&status.as_u16()));
    frame.set("error", error);
    if let Some(seconds) = retry_after {
        let mut headers = Object::new();
        headers.set("retry-after", seconds);
        frame.set("headers", headers);
    }
    frame.text()
}

/// What is said of an id that no response of this connection and none of a store bears.
pub(crate) fn previous_response_not_found(id: &str) -> ApiError {
    ApiError::bad_request(format!("Previous response with id '{id}' not found."))
        .param("previous_response_id")
        .code("previous_response_not_found")
}

/// What a connection that has been idle for too long is told before it ends. Codex and the other
/// clients then connect again.
pub(crate) fn idle_for_too_long(seconds: u64) -> ApiError {
    ApiError::bad_request(format!(
        "The connection was idle for {seconds} seconds. Create a new websocket connection to continue."
    ))
    .code("websocket_connection_limit_reached")
}
