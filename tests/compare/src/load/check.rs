use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::connection::Timed;

/// What every answer has to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    stream: bool,
    model: String,
    text_bytes: usize,
    /// The calls, as the client declared them. None: as they please.
    calls: Option<Vec<Call>>,
}

/// What an answer was found to be.
#[derive(Debug)]
pub struct Found {
    pub id: String,
    pub events: usize,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Call {
    #[serde(rename = "type")]
    kind: String,
    namespace: Option<String>,
    name: String,
    arguments: Option<String>,
    input: Option<String>,
}

#[derive(Deserialize)]
struct Response<'a> {
    id: String,
    status: String,
    model: String,
    #[serde(borrow)]
    output: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow, default)]
    content: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    delta: Option<Cow<'a, str>>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    sequence_number: Option<usize>,
}

impl Expected {
    pub fn check(&self, answer: &Timed) -> Result<Found, String> {
        let text = std::str::from_utf8(&answer.body).map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("status {}: {}", answer.status, shortened(text)));
        }
        if self.stream { self.check_stream(text) } else { Ok(Found { id: self.check_object(text)?, events: 0 }) }
    }

    fn check_object(&self, text: &str) -> Result<String, String> {
        let response: Response = parse(text)?;
        if response.status != "completed" || response.model != self.model {
            return Err(format!("status {:?}, model {:?}", response.status, response.model));
        }
        self.check_output(&response.output)?;
        Ok(response.id)
    }

    fn check_output(&self, output: &[&RawValue]) -> Result<(), String> {
        let (mut bytes, mut calls) = (0, Vec::new());
        for item in output {
            let Item { kind, content } = parse(item.get())?;
            match kind {
                "message" => bytes += content.iter().flatten().map(|part| part.text.len()).sum::<usize>(),
                _ => calls.push(parse::<Call>(item.get())?),
            }
        }
        if bytes != self.text_bytes {
            return Err(format!("{bytes} bytes of text in place of {}", self.text_bytes));
        }
        match &self.calls {
            Some(expected) if *expected != calls => Err(format!("not these calls: {calls:?}")),
            _ => Ok(()),
        }
    }

    fn check_stream(&self, text: &str) -> Result<Found, String> {
        let (mut bytes, mut events, mut items, mut id) = (0, 0, Vec::new(), None);
        for block in text.split("\n\n").filter(|block| !block.is_empty()) {
            // A comment is a sign of life.
            let Some(data) = block.lines().find_map(|line| line.strip_prefix("data:")) else { continue };
            if data.trim() == "[DONE]" {
                continue;
            }
            if id.is_some() {
                return Err(format!("after the end: {}", shortened(data)));
            }
            let event: Event = parse(data)?;
            if event.sequence_number.is_some_and(|number| number != events) {
                return Err(format!("event {events} has the number {:?}", event.sequence_number));
            }
            events += 1;
            match (event.kind, event.delta, event.item, event.response) {
                ("response.output_text.delta", Some(delta), ..) => bytes += delta.len(),
                ("response.output_item.done", _, Some(item), _) => items.push(item),
                ("response.completed", _, _, Some(response)) => id = Some(self.check_object(response.get())?),
                _ => {}
            }
        }
        if bytes != self.text_bytes {
            return Err(format!("{bytes} bytes in deltas in place of {}", self.text_bytes));
        }
        self.check_output(&items)?;
        let id = id.ok_or_else(|| {
            format!(
                "no end after {events} events: {}",
                shortened(&text[text.floor_char_boundary(text.len().saturating_sub(200))..])
            )
        })?;
        Ok(Found { id, events })
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {}", shortened(text)))
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(200)]
}
