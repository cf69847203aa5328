//! One request and its response, without any IO: what the filters of a proxy put in, and what
//! they are to send on.

use std::mem;

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use tower_responses::{
    ApiError, BoxError,
    call_restore::{Restorer, StreamRestorer},
    json::Object,
    rewrite::Limits,
    tool_normalize::Normalizer,
};

/// What is known of an exchange so far. `Default` is one that passes untouched.
#[derive(Default)]
pub struct Exchange {
    limits: Limits,
    request: Request,
    answer: Answer,
}

#[derive(Default)]
enum Request {
    #[default]
    Passes,
    Collecting(BytesMut),
}

#[derive(Default)]
enum Answer {
    #[default]
    Passes,
    /// The request has been read, and the answer has not begun.
    Awaited(Box<Restorer>),
    Stream(Box<StreamRestorer>),
    Object(Box<Restorer>, BytesMut),
}

impl Exchange {
    /// Takes the head of a request that makes a response, whose body is to be normalized.
    ///
    /// # Errors
    /// What the headers alone rule out.
    pub fn begin(headers: &HeaderMap, limits: Limits) -> Result<Self, ApiError> {
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed"));
        }
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length > Some(limits.request) {
            return Err(too_large(limits));
        }
        Ok(Self { limits, request: Request::Collecting(BytesMut::new()), answer: Answer::Passes })
    }

    /// Whether the request's body is collected and changed.
    pub fn changes_request(&self) -> bool {
        matches!(self.request, Request::Collecting(_))
    }

    /// Takes a piece of the request's body and gives what the upstream gets in its place: nothing,
    /// until `end`.
    ///
    /// # Errors
    /// What the client gets instead of an answer.
    pub fn request_piece(
        &mut self,
        normalizer: &Normalizer,
        piece: Option<Bytes>,
        end: bool,
    ) -> Result<Option<Bytes>, ApiError> {
        let Request::Collecting(collected) = &mut self.request else { return Ok(piece) };
        let piece = piece.unwrap_or_default();
        if collected.len() + piece.len() > self.limits.request {
            return Err(too_large(self.limits));
        }
        collected.extend_from_slice(&piece);
        if !end {
            return Ok(Some(Bytes::new()));
        }
        let text = mem::take(collected).freeze();
        self.request = Request::Passes;
        let mut request = Object::parse(text).map_err(|error| {
            ApiError::bad_request(format!("the body could not be parsed as a JSON object: {error}"))
        })?;
        let normalized = normalizer.normalize(&mut request)?;
        self.answer = Answer::Awaited(Box::new(Restorer::new(normalized.map)));
        Ok(Some(request.text()))
    }

    /// Takes the head of the answer, and says whether its body will have another length.
    pub fn answer_head(&mut self, status: StatusCode, headers: &HeaderMap) -> bool {
        // An answer to a request that has not been read to its end can only be an error.
        let Answer::Awaited(restorer) = mem::take(&mut self.answer) else { return false };
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        self.answer = match kind.split(';').next().unwrap_or_default().trim() {
            _ if !status.is_success() || headers.contains_key(CONTENT_ENCODING) => Answer::Passes,
            "text/event-stream" => Answer::Stream(Box::new(StreamRestorer::new(*restorer, self.limits.response))),
            "application/json" => Answer::Object(restorer, BytesMut::new()),
            _ => Answer::Passes,
        };
        !matches!(self.answer, Answer::Passes)
    }

    /// Takes a piece of the answer's body and gives what the client gets in its place.
    ///
    /// # Errors
    /// Where the answer cannot go on.
    pub fn answer_piece(&mut self, piece: Option<Bytes>, end: bool) -> Result<Option<Bytes>, BoxError> {
        match &mut self.answer {
            Answer::Passes | Answer::Awaited(_) => Ok(piece),
            Answer::Stream(restorer) => {
                let out = restorer.push(piece.unwrap_or_default())?;
                if !end {
                    return Ok(Some(out));
                }
                let rest = restorer.end();
                Ok(Some(if rest.is_empty() { out } else { [out, rest].concat().into() }))
            }
            Answer::Object(restorer, collected) => {
                let piece = piece.unwrap_or_default();
                if collected.len() + piece.len() > self.limits.response {
                    return Err("the answer is too large".into());
                }
                collected.extend_from_slice(&piece);
                if !end {
                    return Ok(Some(Bytes::new()));
                }
                let text = mem::take(collected).freeze();
                Ok(Some(match Object::parse(text.clone()) {
                    Ok(mut object) => {
                        restorer.restore_object(&mut object);
                        object.text()
                    }
                    Err(_) => text,
                }))
            }
        }
    }
}

fn too_large(limits: Limits) -> ApiError {
    let message = format!("the body is larger than {} bytes", limits.request);
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
