//! Storing a response. What its request adds is written down while the response is on its way, and
//! the rest at its end.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tower_responses_core::{json::Object, sse::Event};

use crate::{
    NewTurn, Owner, Record, ResponseId, StoreError, StoreFuture, TurnInput, create::Remembered, keeper::Keeper, pace,
};

/// What is needed to store a response.
pub(crate) struct Storing {
    pub(crate) keeper: Arc<Keeper>,
    owner: Owner,
    request: Remembered,
    /// Whether the request asks for a stream.
    streams: bool,
    /// What the request adds, as far as it is written down.
    input: Option<TurnInput>,
    /// How many of its items are written down.
    written: usize,
    /// Whether the store was told what the request adds.
    prepared: Option<Prepared>,
}

/// A response that the store was told of, until it is put: else the store hears that it does not
/// come.
struct Prepared {
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
    pub(crate) fn new(keeper: Arc<Keeper>, owner: Owner, request: Remembered, streams: bool) -> Self {
        Self { keeper, owner, request, streams, input: None, written: 0, prepared: None }
    }

    /// Writes down the next step of a large request, for whose response there is to wait.
    pub(crate) fn write_ahead(&mut self, cx: &mut Context<'_>, id: ResponseId) {
        if self.is_written() || self.input.is_none() && !self.is_large() {
            return;
        }
        if !self.write_step(LARGE / 4) {
            return cx.waker().wake_by_ref();
        }
        // The first event of a stream is not to compete with the store: there is time after it.
        if !self.streams {
            self.prepare(id);
        }
    }

    fn is_large(&self) -> bool {
        self.request.input.iter().map(Bytes::len).sum::<usize>() >= LARGE
    }

    fn is_written(&self) -> bool {
        self.input.is_some() && self.written == self.request.input.len()
    }

    /// Tells the store what is written down, unless it knows already.
    pub(crate) fn prepare(&mut self, id: ResponseId) {
        if self.prepared.is_some() || !self.is_written() {
            return;
        }
        let Some(input) = &mut self.input else { return };
        let (place, part) = input.written();
        self.keeper.store().prepare(id, place, part);
        self.prepared = Some(Prepared { keeper: self.keeper.clone(), id, was_put: false });
    }

    /// Writes down the next items of the request, with room for so many bytes after all of them;
    /// whether these were the last.
    fn write_step(&mut self, room: usize) -> bool {
        let Remembered { input: items, pending, tools, known, .. } = &mut self.request;
        let input = self.input.get_or_insert_with(|| {
            TurnInput::begin(items, mem::take(pending), tools.take().as_ref(), mem::take(known), room)
        });
        let step = pace::step(&items[self.written..]);
        if !step.is_empty() {
            input.write(&self.owner, step);
            self.written += step.len();
        }
        if self.written < items.len() {
            return false;
        }
        // The body of the request is held by nothing else.
        (*items, self.written) = (Vec::new(), 0);
        true
    }

    /// The response was stored.
    pub(crate) fn done(mut self: Box<Self>, record: &Record) {
        if let Some(prepared) = &mut self.prepared {
            prepared.was_put = true;
        }
        self.keeper.keep(record);
    }
}

/// A write that the end of a response waits for.
pub(crate) struct Write {
    /// The event that ends a stream.
    pub(crate) event: Option<Event>,
    output: Vec<Bytes>,
    /// How many items of the output are written down.
    written: usize,
    put: Option<(Arc<Record>, StoreFuture<()>)>,
}

impl Write {
    pub(crate) fn new(output: Vec<Bytes>) -> Self {
        Self { event: None, output, written: 0, put: None }
    }

    /// Writes down what is still to be written down, step by step, and stores it. `object` is the
    /// response, unless it is in the event.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (id, previous): (ResponseId, Option<ResponseId>),
        storing: &mut Storing,
        object: Option<&Object>,
    ) -> Poll<Result<Arc<Record>, StoreError>> {
        if self.put.is_none() {
            let room = self.output.iter().map(|item| item.len() + 6).sum::<usize>() + ROOM_AFTER_ITEMS;
            let is_input_written = storing.write_step(room);
            let Some(input) = storing.input.as_mut().filter(|_| is_input_written) else { return step_again(cx) };
            let step = pace::step(&self.output[self.written..]);
            input.write_output(&storing.owner, step);
            self.written += step.len();
            if self.written < self.output.len() {
                return step_again(cx);
            }
            let of_event = self.event.as_mut().and_then(|event| event.object_mut()?.object_mut("response"));
            let response = object.or(of_event.map(|response| &*response));
            let (Some(input), Some(response)) = (storing.input.take(), response) else {
                return Poll::Ready(Err(StoreError::unavailable("there is no response that could be stored")));
            };
            let record = NewTurn {
                id,
                previous,
                depth: storing.request.depth,
                owner: &storing.owner,
                input,
                // It is written down.
                output: &[],
                response,
                tool_choice: storing.request.tool_choice.as_ref(),
            };
            let record = Arc::new(record.into_record());
            let future = storing.keeper.store().put(record.clone());
            self.put = Some((record, future));
        }
        let Some((record, future)) = &mut self.put else { return step_again(cx) };
        let result = ready!(future.as_mut().poll(cx));
        Poll::Ready(result.map(|()| record.clone()))
    }
}

/// Lets others go on first.
fn step_again<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}
