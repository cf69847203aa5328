use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::answer::{Answer, text_part};

/// An answer as a stream: each frame is an event, written when it is asked for.
pub struct Events {
    events: Box<dyn Iterator<Item = Event> + Send>,
    number: usize,
    pace: Option<Interval>,
}

/// Kind, the members before the number, those after the type.
type Event = (&'static str, String, String);

impl Events {
    pub fn new(answer: Answer, pace: Option<Duration>) -> Self {
        let pace = pace.map(|pace| {
            let mut interval = interval(pace);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self { events: Box::new(events(Arc::new(answer))), number: 0, pace }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll_tick(cx));
        }
        let Some((kind, before, after)) = self.events.next() else { return Poll::Ready(None) };
        let text = format!(
            "event: {kind}\ndata: {{{before}\"sequence_number\":{},\"type\":\"{kind}\"{after}}}\n\n",
            self.number
        );
        self.number += 1;
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}

fn event(kind: &'static str, before: String) -> Event {
    (kind, before, String::new())
}

fn events(answer: Arc<Answer>) -> impl Iterator<Item = Event> + Send {
    let (opening, items, end) = (answer.clone(), answer.clone(), answer.clone());
    let opening = ["response.created", "response.in_progress"]
        .into_iter()
        .map(move |kind| event(kind, format!(r#""response":{},"#, opening.started())));
    let items = (0..answer.items()).flat_map(move |index| item(items.clone(), index));
    let end = std::iter::once_with(move || event("response.completed", format!(r#""response":{},"#, end.finished())));
    opening.chain(items).chain(end)
}

fn item(answer: Arc<Answer>, index: usize) -> impl Iterator<Item = Event> + Send {
    let place = format!(r#""output_index":{index},"#);
    let added = event("response.output_item.added", format!(r#""item":{},{place}"#, answer.item(index, false)));
    let inside: Box<dyn Iterator<Item = Event> + Send> = match answer.call(index) {
        Some((call, name)) => Box::new(arguments(&answer, index, &call.arguments, call.pieces, name).into_iter()),
        None => Box::new(text(answer.clone(), index)),
    };
    let done = std::iter::once_with(move || {
        event("response.output_item.done", format!(r#""item":{},{place}"#, answer.item(index, true)))
    });
    std::iter::once(added).chain(inside).chain(done)
}

fn text(answer: Arc<Answer>, index: usize) -> impl Iterator<Item = Event> + Send {
    let (id, place) = (answer.id(index), format!(r#""output_index":{index},"#));
    let at = format!(r#""content_index":0,"item_id":"{id}","#);
    let part = event("response.content_part.added", format!(r#"{at}{place}"part":{},"#, text_part("", "[]")));
    let delta =
        format!(r#""content_index":0,"delta":{},"item_id":"{id}","logprobs":[],{place}"#, Value::from(answer.delta()));
    let deltas = (0..answer.deltas()).map(move |_| event("response.output_text.delta", delta.clone()));
    let end = std::iter::once_with(move || {
        let whole = answer.text();
        let done = format!(r#"{at}"logprobs":[],{place}"#);
        [
            ("response.output_text.done", done, format!(r#","text":{}"#, Value::from(&*whole))),
            event("response.content_part.done", format!(r#"{at}{place}"part":{},"#, text_part(&whole, "null"))),
        ]
    });
    std::iter::once(part).chain(deltas).chain(end.flatten())
}

fn arguments(answer: &Answer, index: usize, arguments: &str, pieces: usize, name: &str) -> Vec<Event> {
    let at = format!(r#""item_id":"{}","output_index":{index},"#, answer.id(index));
    let characters: Vec<char> = arguments.chars().collect();
    let mut events: Vec<_> = characters
        .chunks(characters.len().div_ceil(pieces.max(1)).max(1))
        .map(|piece| {
            let delta = Value::from(String::from_iter(piece));
            event("response.function_call_arguments.delta", format!(r#""delta":{delta},{at}"#))
        })
        .collect();
    let done = format!(r#""arguments":{},{at}"#, Value::from(arguments));
    events.push(("response.function_call_arguments.done", done, format!(r#","name":{}"#, Value::from(name))));
    events
}
