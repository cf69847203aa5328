//! What is done with a response: it gets our id, says what is true, and is stored before its
//! client sees the end of it.

use std::{
    collections::BTreeMap,
    fmt,
    task::{Context, Poll, ready},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    response::Parts,
};
use tower_responses_core::{
    ApiError,
    json::{Object, Value},
    rewrite::RewriteResponse,
    sse::{Event, EventFilter, Events},
};

use crate::{
    ResponseId,
    storing::{Storing, Write},
};

/// Looks at the response to one request.
pub(crate) struct Keep {
    pub(crate) id: ResponseId,
    pub(crate) previous: Option<ResponseId>,
    pub(crate) instructions: Value,
    /// `None` if nothing is to be stored.
    /// Boxed, as the write is: futures that are moved hold them.
    pub(crate) storing: Option<Box<Storing>>,
    success: bool,
    kept: bool,
    collected: Collected,
    write: Option<Box<Write>>,
    /// Whether the stream has begun.
    begun: bool,
    done: bool,
}

/// Items of a stream, for an upstream whose last event does not repeat them.
#[derive(Default)]
struct Collected {
    items: BTreeMap<i64, Bytes>,
    bytes: usize,
}

/// More than this is not collected: the response is not stored then.
const MAX_COLLECTED: usize = 64 << 20;

impl Keep {
    pub(crate) fn new(
        id: ResponseId,
        previous: Option<ResponseId>,
        instructions: Value,
        storing: Option<Storing>,
    ) -> Self {
        Self {
            id,
            previous,
            instructions,
            storing: storing.map(Box::new),
            success: false,
            kept: false,
            collected: Collected::default(),
            write: None,
            begun: false,
            done: false,
        }
    }

    /// Says what is true of a response that may still be under way.
    fn stamp(&self, response: &mut Object) {
        response.set("id", self.id.to_json());
        let previous = self.previous.map_or_else(Value::null, ResponseId::to_json);
        for (name, value) in [
            ("store", Value::bool(self.kept || self.storing.is_some())),
            ("previous_response_id", previous),
            ("instructions", self.instructions.clone()),
        ] {
            if response.get(name) != Some(&value) {
                response.set(name, value);
            }
        }
    }

    /// Takes the whole response; the write begins here if there is to be one.
    fn finish(&mut self, response: &mut Object, status: &str) -> Option<Box<Write>> {
        self.done = true;
        self.stamp(response);
        if response.get("status").is_none_or(Value::is_null) {
            response.set("status", status);
        }
        if status == "completed" && !response.has("completed_at") {
            response.set("completed_at", Value::serialize(&now()));
        }
        self.storing.as_ref()?;
        let output = response.get("output").and_then(Value::elements).into_iter().flatten();
        let output = match output.map(|item| item.text()).collect::<Vec<_>>() {
            none if none.is_empty() => self.collected.take()?,
            output => output,
        };
        Some(Box::new(Write::new(output)))
    }

    /// Goes on with the write; says whether the response was stored.
    fn poll_write(&mut self, cx: &mut Context<'_>, object: Option<&Object>) -> Poll<bool> {
        let (Some(write), Some(storing)) = (&mut self.write, &mut self.storing) else { return Poll::Ready(false) };
        let result = ready!(write.poll(cx, (self.id, self.previous), storing, object));
        let Some(storing) = self.storing.take() else { return Poll::Ready(false) };
        Poll::Ready(match result {
            Ok(record) => {
                metrics::counter!("tower_responses_store_writes_total").increment(1);
                storing.done(&record);
                self.kept = true;
                true
            }
            Err(error) => {
                metrics::counter!("tower_responses_store_write_failures_total").increment(1);
                tracing::error!(%error, "a response could not be stored: it is delivered with store: false");
                false
            }
        })
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Whether a success is announced as what a response can be.
fn is_announced(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    // As nearly everybody spells them.
    if matches!(kind, b"application/json" | b"text/event-stream" | b"text/event-stream; charset=utf-8") {
        return true;
    }
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/json") || essence.eq_ignore_ascii_case(b"text/event-stream")
}

fn is_response(object: &Object) -> bool {
    match object.get("output").filter(|output| !output.is_null()) {
        Some(output) => output.is_array(),
        None => object.member_is("object", "response"),
    }
}

/// The upstream speaks of success, and has nothing to show for it.
fn no_response() -> ApiError {
    tracing::warn!("the upstream answered with something that is no response");
    let message = "The upstream answered with something that is no response.";
    ApiError::new(StatusCode::BAD_GATEWAY, message).code("upstream_error")
}

fn is_terminal(status: &str) -> bool {
    matches!(status, "completed" | "incomplete" | "failed" | "cancelled")
}

impl Collected {
    fn item(&mut self, event: &Event) {
        let Some(item) = event.member("item") else { return };
        let next = self.items.last_key_value().map_or(0, |(index, _)| index + 1);
        let index = event.member("output_index").and_then(|index| index.as_i64()).unwrap_or(next);
        let text = item.text();
        self.bytes += text.len();
        if self.bytes <= MAX_COLLECTED {
            self.items.insert(index, text);
        }
    }

    /// `None` if they were too many.
    fn take(&mut self) -> Option<Vec<Bytes>> {
        (self.bytes <= MAX_COLLECTED).then(|| std::mem::take(&mut self.items).into_values().collect())
    }
}

impl EventFilter for Keep {
    fn passes_by(&mut self, event: &Event) -> bool {
        event.is_delta()
    }

    fn event(&mut self, mut event: Event, next: &mut Events) {
        let status = match event.kind() {
            "response.output_item.done" if self.storing.is_some() && !self.done => {
                self.collected.item(&event);
                return next.push(event);
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(storing) = self.storing.as_mut().filter(|_| self.begun) {
                    storing.prepare(self.id);
                }
                self.begun = true;
                None
            }
            "response.completed" => Some("completed"),
            "response.incomplete" => Some("incomplete"),
            "response.failed" => Some("failed"),
            _ => return next.push(event),
        };
        let Some(response) = event.object_mut().and_then(|event| event.object_mut("response")) else {
            return next.push(event);
        };
        match status.filter(|_| !self.done) {
            None => self.stamp(response),
            Some(status) => {
                // An upstream may say that a response is incomplete in an event called completed.
                let said = response.get_str("status").map(|said| said.into_owned());
                let status = said.as_deref().filter(|said| is_terminal(said)).unwrap_or(status);
                self.write = self.finish(response, status);
                if let Some(write) = &mut self.write {
                    write.event = Some(event);
                    return;
                }
                if self.storing.take().is_some() {
                    self.stamp(response);
                }
            }
        }
        next.push(event);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, next: &mut Events) -> Poll<()> {
        if self.write.is_none() {
            return Poll::Ready(());
        }
        let is_stored = ready!(self.poll_write(cx, None));
        let Some(mut event) = self.write.take().and_then(|write| write.event) else { return Poll::Ready(()) };
        if !is_stored && let Some(response) = event.object_mut().and_then(|event| event.object_mut("response")) {
            response.set("store", Value::bool(false));
        }
        next.push(event);
        Poll::Ready(())
    }
}

impl RewriteResponse for Keep {
    fn waiting(&mut self, cx: &mut Context<'_>) {
        if let Some(storing) = &mut self.storing {
            storing.write_ahead(cx, self.id);
        }
    }

    fn head(&mut self, head: &mut Parts) {
        self.success = head.status.is_success();
        // What is announced as neither is read all the same, to find out whether it is a response.
        if self.success && !is_announced(&head.headers) {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }

    fn text(&mut self, head: &mut Parts, text: Bytes) -> Bytes {
        if !self.success {
            return text;
        }
        let error = no_response();
        head.status = error.status();
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        error.to_body()
    }

    fn object(&mut self, head: &mut Parts, response: &mut Object) -> Result<(), ApiError> {
        if !self.success {
            return Ok(());
        }
        if !is_response(response) {
            // It may say why it is none.
            if response.get("error").is_none_or(|error| error.member_str("message").is_none()) {
                return Err(no_response());
            }
            head.status = StatusCode::BAD_GATEWAY;
            return Ok(());
        }
        let status = response.get_str("status").map_or_else(|| "completed".to_owned(), |status| status.into_owned());
        let ended = is_terminal(&status);
        if ended {
            self.write = self.finish(response, &status);
        }
        if self.write.is_none() && (self.storing.take().is_some() || !ended) {
            self.stamp(response);
        }
        Ok(())
    }

    fn poll_object(&mut self, cx: &mut Context<'_>, response: &mut Object) -> Poll<()> {
        if self.write.is_none() {
            return Poll::Ready(());
        }
        let is_stored = ready!(self.poll_write(cx, Some(response)));
        self.write = None;
        if !is_stored {
            response.set("store", Value::bool(false));
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keep").field("id", &self.id).finish_non_exhaustive()
    }
}
