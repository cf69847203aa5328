use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
    response::Parts,
};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use tower_responses_core::{
    ApiError, BoxError, ResponseBody,
    json::{Array, Object, Value},
    sse::Event,
};

use crate::{
    Fix, Quirks,
    answer::{correct_error, is_error, wrap_text},
    failure::Failure,
    fix::Tally,
    shape::number,
};

pub(super) type Collecting = Pin<Box<dyn Future<Output = Result<Bytes, BoxError>> + Send>>;

/// A body of events that is there before the upstream's response is. What comes instead of events
/// ends it: a whole response as events, an error as an error of the body.
pub(super) struct LateBody<F> {
    state: State<F>,
    quirks: Quirks,
    limit: usize,
}

enum State<F> {
    Waiting(Pin<Box<F>>),
    Reading(Option<Box<Parts>>, Collecting),
    Streaming(ResponseBody),
    Done,
}

impl<F> LateBody<F> {
    pub(super) fn new(future: Pin<Box<F>>, quirks: Quirks, limit: usize) -> Self {
        Self { state: State::Waiting(future), quirks, limit }
    }

    /// What is told of an answer that is no stream.
    fn tell(&self, head: Option<Box<Parts>>, text: Result<Bytes, BoxError>) -> Result<Bytes, BoxError> {
        let text = text.map_err(|error| Failure::server(format!("the upstream's answer broke off: {error}")))?;
        let Some(mut head) = head else { return Ok(Bytes::new()) };
        let mut tally = Tally::new(self.quirks.fixes);
        let mut body = match Object::parse(text.clone()) {
            Ok(body) if !is_error(head.status) && is_response(&body) => {
                tally.count(Fix::JsonForStream);
                return Ok(as_events(body));
            }
            Ok(body) => body,
            Err(_) => wrap_text(head.status, &text),
        };
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        correct_error(&mut head, &mut body, &self.quirks, &mut tally);
        let error = body.object_mut("error").map(std::mem::take).unwrap_or_default();
        Err(Failure::of_status(head.status, &error, retry_after.as_deref()).into())
    }
}

/// Reads a body whole.
pub(super) fn collect(body: ResponseBody, limit: usize) -> Collecting {
    let body = Limited::new(body, limit);
    Box::pin(async move { body.collect().await.map(|collected| collected.to_bytes()) })
}

fn is_response(object: &Object) -> bool {
    object.has("output") && (!object.has("error") || object.has("status"))
}

/// The answer to a request for a stream that was answered with an object: a stream of it, if it
/// is a response, and else the object.
pub(super) fn stream_of_object(
    mut head: Parts,
    text: Result<Bytes, BoxError>,
    quirks: &Quirks,
) -> Response<ResponseBody> {
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the upstream's answer broke off: {error}");
            return ApiError::new(StatusCode::BAD_GATEWAY, message).code("upstream_error").into_response();
        }
    };
    match Object::parse(text.clone()) {
        Ok(object) if is_response(&object) => {
            Tally::new(quirks.fixes).count(Fix::JsonForStream);
            head.headers.remove(CONTENT_LENGTH);
            head.headers.insert(CONTENT_TYPE, super::EVENTS);
            Response::from_parts(head, ResponseBody::from(as_events(object)))
        }
        _ => Response::from_parts(head, ResponseBody::from(text)),
    }
}

/// A whole response as the first and the last event of a stream; those between are made where
/// items are found to be missing.
fn as_events(response: Object) -> Bytes {
    let status = match response.get_str("status").as_deref() {
        Some("failed") => "failed",
        Some("incomplete") => "incomplete",
        _ => "completed",
    };
    let mut created = response.clone();
    created.set("status", "in_progress");
    created.set("output", Array::new());
    for name in ["usage", "completed_at", "incomplete_details"] {
        created.set(name, Value::null());
    }
    let event = |name: &str, response: Object, sequence: i64| {
        let mut event = Object::new();
        event.set("type", ["response.", name].concat().as_str());
        event.set("response", response);
        event.set("sequence_number", number(sequence));
        Event::new(event).into_text()
    };
    [event("created", created, 0), event(status, response, 1)].concat().into()
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    kind.is_some_and(|kind| kind.starts_with(b"application/json"))
}

impl<F, B, E> Body for LateBody<F>
where
    F: Future<Output = Result<Response<B>, E>> + Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Waiting(future) => match ready!(future.as_mut().poll(cx)) {
                    Ok(response) => {
                        let (head, body) = response.map(ResponseBody::new).into_parts();
                        if is_error(head.status) || is_json(&head.headers) {
                            let text = collect(body, this.limit);
                            this.state = State::Reading(Some(Box::new(head)), text);
                        } else {
                            this.state = State::Streaming(body);
                        }
                    }
                    // Any error: what it is only those who know the service inside could say.
                    Err(_) => {
                        this.state = State::Done;
                        return Poll::Ready(Some(Err(Failure::server("the upstream did not answer").into())));
                    }
                },
                State::Reading(head, text) => {
                    let text = ready!(text.as_mut().poll(cx));
                    let head = head.take();
                    this.state = State::Done;
                    return Poll::Ready(Some(this.tell(head, text).map(Frame::data)));
                }
                State::Streaming(body) => return Pin::new(body).poll_frame(cx),
                State::Done => return Poll::Ready(None),
            }
        }
    }
}
