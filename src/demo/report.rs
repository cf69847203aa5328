use std::{
    fmt::Display,
    io::{self, Write},
};

use serde_json::Value;

use crate::shown;

/// What a person reads.
#[derive(Debug)]
pub(super) struct Report<W> {
    out: W,
    steps: usize,
}

impl<W: Write> Report<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, steps: 0 }
    }

    pub(super) fn title(&mut self, title: &str) -> io::Result<()> {
        self.steps += 1;
        writeln!(self.out, "\n{}. {title}", self.steps)
    }

    /// A line, with further ones for a text of several.
    pub(super) fn line(&mut self, who: &str, what: impl Display) -> io::Result<()> {
        for (number, line) in shown::text(&what.to_string()).lines().enumerate() {
            let who = if number == 0 { who } else { "" };
            writeln!(self.out, "   {who:<16}{line}")?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        writeln!(self.out, "\nAll {} came out as they should.", self.steps)
    }

    /// The tools and the input of a request, of longer texts only the first line.
    pub(super) fn request(&mut self, who: &str, request: &Value) -> io::Result<()> {
        let mut who = who;
        if let Some(id) = request["previous_response_id"].as_str() {
            self.line(std::mem::take(&mut who), format!("previous_response_id {}…", id.get(..13).unwrap_or(id)))?;
        }
        for declared in request["tools"].as_array().into_iter().flatten() {
            self.line(std::mem::take(&mut who), tool(declared))?;
        }
        match &request["input"] {
            Value::Array(items) => {
                items.iter().try_for_each(|one| self.line(std::mem::take(&mut who), first_line(&item(one))))
            }
            text => self.line(who, first_line(&format!("user: {}", plain(text)))),
        }
    }
}

fn first_line(text: &str) -> String {
    match text.trim_end().split_once('\n') {
        Some((first, rest)) => format!("{first} … ({} more lines)", rest.lines().count()),
        None => text.to_owned(),
    }
}

fn tool(tool: &Value) -> String {
    let name = plain(&tool["name"]);
    match tool["type"].as_str() {
        Some("namespace") => {
            let members = tool["tools"].as_array().into_iter().flatten();
            let members: Vec<_> = members.map(|member| plain(&member["name"])).collect();
            format!("tool: namespace {name} {{ {} }}", members.join(", "))
        }
        Some("custom") => format!("tool: custom {name}, {} grammar", plain(&tool["format"]["syntax"])),
        _ => {
            let parameters = tool["parameters"]["properties"].as_object().into_iter().flatten();
            let parameters: Vec<_> = parameters.map(|(name, _)| name.as_str()).collect();
            format!("tool: function {name}({})", parameters.join(", "))
        }
    }
}

/// An item on a line, a text of several lines below it.
pub(super) fn item(item: &Value) -> String {
    let kind = plain(&item["type"]);
    match kind.as_str() {
        "function_call" => {
            let namespace = item["namespace"].as_str().map(|name| format!("namespace {name}, ")).unwrap_or_default();
            format!("function_call: {namespace}name {}, arguments {}", plain(&item["name"]), plain(&item["arguments"]))
        }
        "custom_tool_call" => {
            format!("custom_tool_call: name {}, input\n{}", plain(&item["name"]), plain(&item["input"]))
        }
        "function_call_output" | "custom_tool_call_output" => format!("{kind}: {}", plain(&item["output"])),
        _ => {
            let role = item["role"].as_str().unwrap_or("user");
            let text = item["content"][0].get("text").unwrap_or(&item["content"]);
            format!("{role}: {}", plain(text))
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
