//! What is done with a response: it gets our id, says what is true, and is stored before its
//! client sees the end of it.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::response::Parts;
use tower_responses_core::{
    ApiError,
    json::{Object, Value},
    rewrite::RewriteResponse,
    sse::{Event, EventFilter, Events},
};

use crate::{
    NewTurn, Owner, Record, ResponseId, StoreError, StoreFuture, TurnInput, create::Remembered, items::input_items,
    keeper::Keeper,
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

/// What is needed to store the response.
pub(crate) struct Storing {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) owner: Owner,
    pub(crate) request: Remembered,
    /// Whether the request asks for a stream.
    pub(crate) streams: bool,
    /// What the request adds, if it was written down before the end.
    pub(crate) input: Option<TurnInput>,
    /// Whether the store was told what the request adds.
    pub(crate) prepared: Option<Prepared>,
}

/// A response that the store was told of, until it is put: else the store hears that it does not
/// come.
pub(crate) struct Prepared {
    keeper: Arc<Keeper>,
    id: ResponseId,
    was_put: bool,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.was_put {
            self.keeper.store().abandon(self.id);
        }
    }
}

/// A request that adds at least so many bytes is written down while its response is waited for,
/// and the store hears of it.
const LARGE: usize = 32 << 10;

/// What is written down behind the items is seldom longer: to grow would copy the rest once more.
const ROOM_AFTER_ITEMS: usize = 256;

impl Storing {
    /// What the request adds, with room for so many bytes after it.
    fn take_input(&mut self, room: usize) -> TurnInput {
        self.input.take().unwrap_or_else(|| self.write_input(room))
    }

    /// Tells the store what is written down, unless it knows.
    fn prepare(&mut self, id: ResponseId) {
        let Some(input) = self.input.as_mut().filter(|_| self.prepared.is_none()) else { return };
        let (place, part) = input.written();
        self.keeper.store().prepare(id, place, part);
        self.prepared = Some(Prepared { keeper: self.keeper.clone(), id, was_put: false });
    }

    fn write_input(&mut self, room: usize) -> TurnInput {
        let Remembered { input, pending, tools, known, .. } = &mut self.request;
        // The body of the request is held by nothing else.
        let (input, pending, known) = (mem::take(input), mem::take(pending), mem::take(known));
        TurnInput::new(&self.owner, &input, pending, tools.take().as_ref(), known, room)
    }
}

/// A write that the end of a response waits for.
struct Write {
    event: Option<Event>,
    record: Arc<Record>,
    future: StoreFuture<()>,
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
        let storing = self.storing.as_mut()?;
        let mut output = response.get("output").and_then(|output| input_items(Some(output))).unwrap_or_default();
        if output.is_empty() {
            output = self.collected.take()?;
        }
        let room = output.iter().map(|item| item.len() + 6).sum::<usize>() + ROOM_AFTER_ITEMS;
        let input = storing.take_input(room);
        let record = NewTurn {
            id: self.id,
            previous: self.previous,
            depth: storing.request.depth,
            owner: &storing.owner,
            input,
            output: &output,
            response,
            tool_choice: storing.request.tool_choice.as_ref(),
        };
        let record = Arc::new(record.into_record());
        let future = storing.keeper.store().put(record.clone());
        Some(Box::new(Write { event: None, record, future }))
    }

    /// The write is done: whether the response was stored.
    fn written(&mut self, record: &Record, result: Result<(), StoreError>) -> bool {
        let Some(mut storing) = self.storing.take() else { return false };
        match result {
            Ok(()) => {
                if let Some(prepared) = &mut storing.prepared {
                    prepared.was_put = true;
                }
                metrics::counter!("tower_responses_store_writes_total").increment(1);
                storing.keeper.keep(record);
                self.kept = true;
                true
            }
            Err(error) => {
                metrics::counter!("tower_responses_store_write_failures_total").increment(1);
                tracing::error!(%error, "a response could not be stored: it is delivered with store: false");
                false
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
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
        let Some(write) = &mut self.write else { return Poll::Ready(()) };
        let result = ready!(write.future.as_mut().poll(cx));
        let Some(mut write) = self.write.take() else { return Poll::Ready(()) };
        let is_stored = self.written(&write.record, result);
        let Some(mut event) = write.event.take() else { return Poll::Ready(()) };
        if !is_stored && let Some(response) = event.object_mut().and_then(|event| event.object_mut("response")) {
            response.set("store", Value::bool(false));
        }
        next.push(event);
        Poll::Ready(())
    }
}

impl RewriteResponse for Keep {
    fn waiting(&mut self) {
        if let Some(storing) = self.storing.as_mut().filter(|storing| storing.input.is_none())
            && storing.request.input.iter().map(Bytes::len).sum::<usize>() >= LARGE
        {
            storing.input = Some(storing.write_input(LARGE / 4));
            // The first event of a stream is not to compete with the store: there is time after it.
            if !storing.streams {
                storing.prepare(self.id);
            }
        }
    }

    fn head(&mut self, head: &mut Parts) {
        self.success = head.status.is_success();
    }

    fn object(&mut self, _: &mut Parts, response: &mut Object) -> Result<(), ApiError> {
        if !self.success || !(response.member_is("object", "response") || response.has("output")) {
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
        let Some(write) = &mut self.write else { return Poll::Ready(()) };
        let result = ready!(write.future.as_mut().poll(cx));
        let Some(write) = self.write.take() else { return Poll::Ready(()) };
        if !self.written(&write.record, result) {
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
