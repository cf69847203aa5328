//! The shape of a stream.

use serde_json::Value;

use crate::{
    gateway::commands::{
        check::report::{Report, State},
        http::Answer,
    },
    json,
};

/// What was seen of a stream of events.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The types, in order.
    kinds: Vec<String>,
    /// Events whose `event:` line is there.
    named: usize,
    numbers: Vec<Option<i64>>,
    done: bool,
    /// Events that are no JSON.
    garbage: usize,
    usage: Option<Value>,
}

const TERMINAL: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

impl Shape {
    pub(super) fn of(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
        let mut shape = Self::default();
        for event in text.split("\n\n") {
            let data: Vec<_> =
                event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
            let data = data.join("\n");
            match data.as_str() {
                "" => {}
                "[DONE]" => shape.done = true,
                _ => shape.add(&data, event.lines().any(|line| line.starts_with("event:"))),
            }
        }
        shape
    }

    fn add(&mut self, data: &str, named: bool) {
        let event = json::Value::parse(data.to_owned().into()).ok().and_then(|event| event.decode::<Value>().ok());
        let Some((event, kind)) = event.and_then(|event| {
            let kind = event.get("type")?.as_str()?.to_owned();
            Some((event, kind))
        }) else {
            self.garbage += 1;
            return;
        };
        self.named += usize::from(named);
        self.numbers.push(event.get("sequence_number").and_then(Value::as_i64));
        if TERMINAL.contains(&kind.as_str()) {
            self.usage = event.get("response").and_then(|response| response.get("usage")).cloned();
        }
        self.kinds.push(kind);
    }

    fn terminal(&self) -> Option<&str> {
        self.kinds.iter().map(String::as_str).find(|kind| TERMINAL.contains(kind))
    }

    fn has(&self, kind: &str) -> bool {
        self.kinds.iter().any(|seen| seen == kind)
    }

    fn contiguous(&self) -> bool {
        self.numbers.windows(2).all(|pair| matches!(pair, [Some(a), Some(b)] if *b == *a + 1))
            && self.numbers.iter().all(Option::is_some)
    }

    /// Whether Codex would take the usage: whole numbers, details complete or absent.
    fn usage_is_whole(&self) -> bool {
        let Some(usage) = &self.usage else { return false };
        let number = |value: &Value, name: &str| value.get(name).is_some_and(Value::is_i64);
        let detail = |name: &str, member: &str| match usage.get(name) {
            None | Some(Value::Null) => true,
            Some(details) => number(details, member),
        };
        ["input_tokens", "output_tokens", "total_tokens"].iter().all(|name| number(usage, name))
            && detail("input_tokens_details", "cached_tokens")
            && detail("output_tokens_details", "reasoning_tokens")
    }

    /// The rows about it.
    pub(super) fn report(&self, answer: &Answer, report: &mut Report) {
        if self.kinds.is_empty() {
            if answer.json().is_some_and(|body| body.get("output").is_some()) {
                return report.add("streaming", State::No, "a whole response in place of events", "makes events of it");
            }
            let kind =
                answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
            let cut = answer.cut.as_deref().unwrap_or("no events came");
            return report.add("streaming", State::Broken, format!("{cut} ({kind})"), "");
        }
        report.add(
            "streaming",
            State::Yes,
            format!("{} events in {} ms", self.kinds.len(), answer.took.as_millis()),
            "",
        );
        match (self.terminal(), &answer.cut) {
            (Some(kind), None) => report.add("stream end", State::Yes, kind, ""),
            (Some(kind), Some(_)) => {
                report.add("stream end", State::Yes, format!("{kind}, then it stays open or breaks"), "ends it there")
            }
            (None, cut) => {
                let last = self.kinds.last().map_or("", String::as_str);
                let how = cut.as_deref().unwrap_or("it ends");
                report.add("stream end", State::Broken, format!("{how} after {last}"), "says response.failed");
            }
        }
        let row = |condition, yes: &str, no: &str| {
            if condition { (State::Yes, yes.to_owned()) } else { (State::No, no.to_owned()) }
        };
        let (state, found) =
            row(self.has("response.output_item.done"), "response.output_item.done", "no response.output_item.done");
        report.add(
            "whole items",
            state,
            found,
            if state == State::Yes { "" } else { "completes them: Codex reads nothing else" },
        );
        let named = self.named == self.kinds.len();
        let (state, found) = row(named, "on every event", "not on every event");
        report.add("event lines", state, found, if state == State::Yes { "" } else { "reads the type from the data" });
        let (state, found) = row(self.contiguous(), "contiguous", "missing or with gaps");
        report.add("sequence numbers", state, found, if state == State::Yes { "" } else { "numbers the events" });
        let (state, found) = row(self.usage_is_whole(), "complete", "missing, or not as clients read it");
        report.add("usage", state, found, if state == State::Yes { "" } else { "completes what is there" });
        let (state, found) = row(self.done, "sent", "not sent");
        report.add("[DONE]", state, found, if self.done { "drops what follows the end" } else { "" });
        if self.garbage > 0 {
            report.add("unreadable events", State::No, self.garbage.to_string(), "passes them");
        }
    }
}

#[cfg(test)]
mod tests;
