use super::{Event, EventFilter, Events, StreamEnd};
use crate::json::{Array, Object, Value};

#[cfg(test)]
mod tests;

/// How many events are held at most. A response with more calls in doubt loses those over it.
const MAX_HELD: usize = 256;

/// Keeps a call that was cut from being shown as done.
///
/// A client runs a call as soon as it sees its `response.output_item.done`, and a model server
/// that hits its token limit in the middle of one sends that event all the same (vLLM 0.32 even
/// says `"status":"completed"`). Half a shell command is worse than none, so:
///
/// - the event is held while the call is in doubt: its JSON arguments are not complete, or it is
///   a `custom_tool_call`, whose free text cannot show whether it is;
/// - it goes on as soon as the model is seen to go on, by another `response.output_item.added`,
///   or once a terminal event says that the response is complete;
/// - if the response turns out to be incomplete or failed, or ends without a terminal event, it
///   never goes on: the call stands in the `output` of the terminal event alone, with the status
///   `incomplete`.
///
/// It is an [`EventFilter`] of its own, and can be asked by another one, which gets what goes on
/// by [`Events::forward`]:
///
/// ```
/// use tower_responses_core::sse::{CutCalls, Event, EventFilter, Events};
///
/// let mut cut_calls = CutCalls::default();
/// let mut next = Events::default();
/// for data in [
///     r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"fc_1","arguments":"{\"cmd\":\"rm -rf /tm"}}"#,
///     r#"{"type":"response.incomplete","response":{"status":"incomplete","output":[]}}"#,
/// ] {
///     cut_calls.event(Event::from_text(format!("data: {data}\n\n").into()), &mut next);
/// }
/// let events: Vec<_> = next.drain().collect();
/// assert_eq!(events.len(), 1);
/// assert_eq!(events[0].kind(), "response.incomplete");
/// let item = &events[0].member("response").unwrap().member("output").unwrap().elements().unwrap().next().unwrap();
/// assert_eq!(item.member_str("status").as_deref(), Some("incomplete"));
/// ```
#[derive(Debug, Default)]
pub struct CutCalls {
    held: Vec<Held>,
    /// The `output_index` of each item that was added and is not done.
    open: Vec<i64>,
}

#[derive(Debug)]
struct Held {
    event: Event,
    call: Call,
    /// Another numbered event has gone on since: this one needs a new number.
    overtaken: bool,
}

/// What a call is found by.
#[derive(Debug)]
struct Call {
    output_index: Option<i64>,
    item: Value,
}

impl CutCalls {
    /// Whether an event is held.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Gives up what is held: the items of the calls that were cut, with the status `incomplete`,
    /// for a terminal event that is made in place of one that did not come. Call it from
    /// [`EventFilter::end`].
    pub fn take_cut(&mut self, next: &mut Events) -> Vec<Value> {
        self.cut(next).into_iter().map(|call| incomplete(call.item)).collect()
    }

    /// Does for a response object what is done for a stream: if its status says that it is not
    /// complete, the calls in its `output` whose arguments are cut say so too.
    pub fn mark(response: &mut Object) {
        if response.get_str("status").is_some_and(|status| is_cut(&status)) {
            mark(response, Vec::new());
        }
    }

    fn cut(&mut self, next: &mut Events) -> Vec<Call> {
        self.overtake(next);
        self.open.clear();
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            metrics::counter!("tower_responses_cut_calls_total").increment(held.len() as u64);
        }
        held.into_iter().map(|held| held.call).collect()
    }

    /// The model has come to this item: what is held was not cut, unless it is the same.
    fn reach(&mut self, event: &Event, next: &mut Events) {
        let output_index = output_index(event);
        let id = event.member("item").and_then(|item| item.member("id"));
        let same = |held: &Held| match (held.call.output_index, output_index) {
            (Some(held), Some(reached)) => held == reached,
            _ => id.is_some() && held.call.item.member("id") == id,
        };
        if !self.held.iter().any(same) {
            self.release(next);
        }
    }

    fn added(&mut self, event: &Event, next: &mut Events) {
        self.reach(event, next);
        self.overtake(next);
        if let Some(output_index) = output_index(event)
            && self.open.len() < MAX_HELD
        {
            self.open.push(output_index);
        }
    }

    fn done(&mut self, event: Event, next: &mut Events) {
        let output_index = output_index(&event);
        match self.open.iter().position(|open| Some(*open) == output_index) {
            Some(at) => {
                self.open.swap_remove(at);
            }
            // It comes without having been added.
            None => self.reach(&event, next),
        }
        self.overtake(next);
        match event.member("item") {
            Some(item) if is_call(&item) && !is_whole(&item) => {
                if self.held.len() < MAX_HELD {
                    self.held.push(Held { event, call: Call { output_index, item }, overtaken: false });
                } else {
                    next.drop_event(&event);
                }
            }
            _ => next.push(event),
        }
    }

    fn terminal(&mut self, mut event: Event, next: &mut Events) {
        let cut = event.kind() != "response.completed"
            || event
                .member("response")
                .is_some_and(|response| response.member_str("status").is_some_and(|s| is_cut(&s)));
        if cut {
            let cut = self.cut(next);
            if let Some(response) = event.object_mut().and_then(|event| event.object_mut("response")) {
                mark(response, cut);
            }
        } else {
            self.release(next);
        }
        next.push(event);
    }

    /// What is held goes on.
    fn release(&mut self, next: &mut Events) {
        for mut held in self.held.drain(..) {
            if held.overtaken
                && let Some(object) = held.event.object_mut()
            {
                object.remove("sequence_number");
                let object = std::mem::take(object);
                next.push(Event::new(object));
            } else {
                next.push(held.event);
            }
        }
    }

    /// Leaves the place in the stream where the events that are held stood.
    fn overtake(&mut self, next: &mut Events) {
        for held in self.held.iter_mut().filter(|held| !held.overtaken) {
            held.overtaken = true;
            next.drop_event(&held.event);
        }
    }
}

impl EventFilter for CutCalls {
    fn event(&mut self, event: Event, next: &mut Events) {
        match event.kind() {
            "response.output_item.added" => {
                self.added(&event, next);
                next.push(event);
            }
            "response.output_item.done" => self.done(event, next),
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.terminal(event, next);
            }
            _ => {
                if self.is_holding() && !event.is_comment() {
                    self.overtake(next);
                }
                next.push(event);
            }
        }
    }

    fn end(&mut self, end: StreamEnd, next: &mut Events) -> StreamEnd {
        self.cut(next);
        end
    }
}

fn output_index(event: &Event) -> Option<i64> {
    event.member("output_index")?.as_i64()
}

/// Whether a response with this status lacks its end.
fn is_cut(status: &str) -> bool {
    matches!(status, "incomplete" | "failed" | "cancelled")
}

fn is_call(item: &Value) -> bool {
    matches!(item.member_str("type").as_deref(), Some("function_call" | "custom_tool_call" | "tool_search_call"))
}

/// Whether a call shows by itself that nothing of it is missing.
fn is_whole(item: &Value) -> bool {
    if item.member_str("status").is_some_and(|status| status == "incomplete") {
        return false;
    }
    match item.member("arguments") {
        Some(arguments) if arguments.is_string() => {
            arguments.as_str().is_some_and(|arguments| Value::parse(arguments.into_owned().into()).is_ok())
        }
        Some(arguments) => !arguments.is_null(),
        None => false,
    }
}

/// Puts the calls that were cut into the `output` of `response`, and says of each that it is
/// incomplete.
fn mark(response: &mut Object, mut cut: Vec<Call>) {
    if let Some(output) = response.array_mut("output") {
        let last = output.len().saturating_sub(1);
        output.for_each_mut(|at, item| {
            if !is_call(item) {
                return;
            }
            let held = cut.iter().position(|call| call.is(item, at));
            if let Some(held) = held {
                cut.swap_remove(held);
            }
            // Free text that the model went on after is whole.
            let free_text_before = at < last && item.member("arguments").is_none();
            if held.is_some() || !free_text_before && !is_whole(item) {
                set_incomplete(item);
            }
        });
    }
    if cut.is_empty() {
        return;
    }
    cut.sort_by_key(|call| call.output_index);
    if !response.get("output").is_some_and(Value::is_array) {
        response.set("output", Array::new());
    }
    if let Some(output) = response.array_mut("output") {
        for call in cut {
            output.push(incomplete(call.item));
        }
    }
}

impl Call {
    /// Whether `item`, at this place in the output, is the call.
    fn is(&self, item: &Value, at: usize) -> bool {
        let same = |name| {
            let value = item.member(name).filter(Value::is_string)?;
            self.item.member(name).filter(Value::is_string).map(|ours| ours == value)
        };
        same("id").or_else(|| same("call_id")).unwrap_or_else(|| {
            self.output_index.and_then(|index| usize::try_from(index).ok()) == Some(at)
                && item.member("name") == self.item.member("name")
        })
    }
}

fn incomplete(mut item: Value) -> Value {
    set_incomplete(&mut item);
    item
}

fn set_incomplete(item: &mut Value) {
    if item.member_str("status").is_some_and(|status| status == "incomplete") {
        return;
    }
    if let Some(item) = item.as_object_mut() {
        item.set("status", "incomplete");
    }
}
