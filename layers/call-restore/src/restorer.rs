use std::hash::{BuildHasher, RandomState};

use http::{header::CONTENT_ENCODING, response};
use tower_responses_core::{
    ApiError, ToolKind, ToolMap,
    json::{Object, Value},
    rewrite::RewriteResponse,
    sse::{CutCalls, Event, EventFilter, Events, StreamEnd},
};

use crate::{
    calls::{Call, Calls, Shape, is_id, output_index},
    custom_input::decode_input,
    echo, events,
    item::{Item, Stage, argument_text, called_tool, is_blank},
};

#[cfg(test)]
mod tests;

/// Turns the function calls of one response into the calls that the client declared.
///
/// Sans-IO. What to do with it depends on what is at hand: a JSON object goes through
/// [`restore_object`](Self::restore_object); events go one by one through
/// [`EventFilter::event`]; bytes or WebSocket frames go through a
/// [`StreamRestorer`](crate::StreamRestorer), which also keeps the numbers of events contiguous.
/// [`CallRestore`](crate::CallRestore) does all that for a tower service.
///
/// ```
/// use tower_responses_call_restore::Restorer;
/// use tower_responses_core::{ClientTool, ToolKind, ToolMap, json::Object};
///
/// let mut tools = ToolMap::builder();
/// tools.tool("mcp__fs__read", ClientTool::new(ToolKind::Function, Some("mcp__fs"), "read"));
///
/// let response = r#"{"object":"response","output":[{"type":"function_call","id":"fc_1","call_id":"c","name":"mcp__fs__read","arguments":"{}","status":"completed"}]}"#;
/// let mut response = Object::parse(response.into()).unwrap();
/// Restorer::new(tools.build()).restore_object(&mut response);
/// let item = &response.get("output").unwrap().elements().unwrap().next().unwrap();
/// assert_eq!(item.member_str("namespace").as_deref(), Some("mcp__fs"));
/// assert_eq!(item.member_str("name").as_deref(), Some("read"));
/// ```
#[derive(Debug)]
pub struct Restorer {
    map: ToolMap,
    calls: Calls,
    cut_calls: CutCalls,
    inbox: Events,
    /// Makes the ids of calls that came without any unlike those of other responses.
    seed: u64,
}

impl Restorer {
    /// Restores by this map.
    pub fn new(map: ToolMap) -> Self {
        Self {
            map,
            calls: Calls::default(),
            cut_calls: CutCalls::default(),
            inbox: Events::default(),
            seed: RandomState::new().hash_one(()),
        }
    }

    /// Restores a response object: the calls in its `output`, and its echo of `tools` and
    /// `tool_choice`. A call that was cut gets the status `incomplete`.
    pub fn restore_object(&self, response: &mut Object) {
        CutCalls::mark(response);
        self.restore_response(response, Stage::Done);
    }

    /// Restores one output item that is whole and stands at this place in the output.
    pub fn restore_item(&self, item: &mut Value, output_index: i64) {
        self.item(Stage::Done, Some(output_index), None).restore(item);
    }

    fn item<'a>(&'a self, stage: Stage, output_index: Option<i64>, told: Option<&'a Value>) -> Item<'a> {
        Item { map: &self.map, stage, name: (self.seed, output_index.unwrap_or_default()), told }
    }

    fn restore_response(&self, response: &mut Object, stage: Stage) {
        if let Some(output) = response.array_mut("output") {
            output.for_each_mut(|at, item| {
                self.item(stage, i64::try_from(at).ok(), None).restore(item);
            });
        }
        echo::restore(&self.map, response);
    }

    /// Restores what is not held back.
    fn restore_all(&mut self, next: &mut Events) {
        let mut inbox = std::mem::take(&mut self.inbox);
        inbox.forward(next, |event, next| self.restore(event, next));
        self.inbox = inbox;
    }

    fn restore(&mut self, event: Event, next: &mut Events) {
        match event.kind() {
            "response.function_call_arguments.delta" => self.arguments_delta(event, next),
            "response.function_call_arguments.done" => self.arguments_done(event, next),
            "response.output_item.added" => self.item_added(event, next),
            "response.output_item.done" => self.item_done(event, next),
            "response.created"
            | "response.queued"
            | "response.in_progress"
            | "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => self.response(event, next),
            events::DONE => {
                let mut event = event;
                events::unquote_input(&mut event);
                next.push(event);
            }
            _ => next.push(event),
        }
    }

    fn response(&mut self, mut event: Event, next: &mut Events) {
        if let Some(response) = event.object_mut().and_then(|event| event.object_mut("response")) {
            self.restore_response(response, Stage::Listed);
        }
        next.push(event);
    }

    fn item_added(&mut self, mut event: Event, next: &mut Events) {
        let output_index = output_index(&event);
        if let Some(came) = event.member("item")
            && let Some(item) = event.object_mut().and_then(|event| event.get_mut("item"))
        {
            self.item(Stage::Added, output_index, None).restore(item);
            if let Some(shape) = self.shape(&came)
                && let Some(id) = item.member("id")
            {
                let upstream_id = came.member("id").filter(is_id);
                self.calls.open(Call { output_index, upstream_id, id, shape, arguments: None });
            }
        }
        next.push(event);
    }

    /// What becomes of the events of this item, unless they pass.
    fn shape(&self, item: &Value) -> Option<Shape> {
        if item.member_str("type")? != "function_call" {
            return None;
        }
        match called_tool(&self.map, item)?.kind() {
            ToolKind::Custom => Some(Shape::Custom(Box::default())),
            ToolKind::ToolSearch => Some(Shape::ToolSearch),
            _ => None,
        }
    }

    fn item_done(&mut self, mut event: Event, next: &mut Events) {
        if let Some(came) = event.member("item") {
            let call = self.calls.close(&event, &came);
            let told = call.as_ref().and_then(|call| call.arguments.as_ref());
            let output_index = output_index(&event);
            if let Some(item) = event.object_mut().and_then(|event| event.get_mut("item")) {
                self.item(Stage::Done, output_index, told).restore(item);
            }
        }
        next.push(event);
    }

    fn arguments_delta(&mut self, mut event: Event, next: &mut Events) {
        let Some(call) = self.calls.of_event(&event) else { return next.push(event) };
        match &mut call.shape {
            Shape::Function => next.push(event),
            Shape::ToolSearch => next.drop_event(&event),
            Shape::Custom(decoding) => {
                let delta = event.member("delta");
                let input = delta.as_ref().map(|delta| decoding.delta(delta)).unwrap_or_default();
                if input.is_empty() {
                    return next.drop_event(&event);
                }
                events::convert(&mut event, events::DELTA, Some(&call.id));
                if let Some(event) = event.object_mut() {
                    event.set("delta", input);
                }
                next.push(event);
            }
        }
    }

    fn arguments_done(&mut self, mut event: Event, next: &mut Events) {
        let tool = event.member_str("name").and_then(|name| self.map.get(&name));
        let arguments = event.member("arguments").filter(|arguments| !is_blank(Some(arguments)));
        let kind = match self.calls.of_event(&event) {
            Some(call) => call.shape.kind(),
            None => tool.map_or(ToolKind::Function, |tool| tool.kind()),
        };
        if let Some(arguments) = &arguments {
            self.calls.tell(&event, arguments.clone());
        }
        if let Some(tool) = tool {
            events::rename(&mut event, tool.name());
        }
        match kind {
            ToolKind::ToolSearch => next.drop_event(&event),
            ToolKind::Custom => self.input_done(event, arguments.as_ref(), next),
            _ => next.push(event),
        }
    }

    fn input_done(&mut self, mut event: Event, arguments: Option<&Value>, next: &mut Events) {
        let arguments = arguments.map(argument_text).unwrap_or_default();
        let input = decode_input(&arguments);
        let call = self.calls.of_event(&event);
        if let Some(Call { shape: Shape::Custom(decoding), id, .. }) = &call
            && let Some(rest) = decoding.rest(&input)
        {
            next.push(events::delta_before(&event, id, rest));
        }
        events::convert(&mut event, events::DONE, call.map(|call| &call.id));
        if let Some(event) = event.object_mut() {
            event.remove("arguments");
            event.set("input", &*input.text);
        }
        next.push(event);
    }
}

impl EventFilter for Restorer {
    fn passes_by(&mut self, event: &Event) -> bool {
        event.is_delta() && event.kind() != "response.function_call_arguments.delta" && !self.cut_calls.is_holding()
    }

    fn event(&mut self, event: Event, next: &mut Events) {
        self.cut_calls.event(event, &mut self.inbox);
        self.restore_all(next);
    }

    fn end(&mut self, end: StreamEnd, next: &mut Events) -> StreamEnd {
        let end = self.cut_calls.end(end, &mut self.inbox);
        self.restore_all(next);
        end
    }
}

impl RewriteResponse for Restorer {
    fn head(&mut self, head: &mut response::Parts) {
        if head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            metrics::counter!("tower_responses_compressed_answers_total").increment(1);
            tracing::warn!("the upstream answered compressed though it was not asked to: calls are not restored");
        }
    }

    fn object(&mut self, head: &mut response::Parts, object: &mut Object) -> Result<(), ApiError> {
        if head.status.is_success() {
            self.restore_object(object);
        }
        Ok(())
    }
}
