use serde_json::Value;

use super::{
    Item,
    tools::{made_up, name, text_parameter},
};

/// The longest text that is said again.
const LONGEST: usize = 2_000;

/// What a model says that understands only its own tools' names.
pub(super) fn answer(request: &Value) -> Item {
    let last = request["input"].as_array().and_then(|items| items.last());
    if let Some(item) = last.filter(|item| item["type"] == "function_call_output") {
        return Item::say(format!("The tool said: {}", shortened(&text_of(&item["output"]))));
    }
    let heard = last_user_text(&request["input"]);
    let tools = request["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    match tools.iter().find(|tool| is_named(tool, &heard)) {
        Some(tool) => call(tool, &heard),
        None if tools.is_empty() => Item::say(format!("You said: {}", shortened(&heard))),
        None => {
            let names: Vec<_> = tools.iter().map(name).collect();
            let names = names.join(", ");
            Item::say(format!("You said: {}\nName one of my tools and I call it: {names}", shortened(&heard)))
        }
    }
}

/// A call with what stands in the message: JSON, or the text after its first line.
fn call(tool: &Value, heard: &str) -> Item {
    if text_parameter(tool).is_some_and(|parameter| parameter == "input") {
        let text = heard.split_once('\n').map_or(heard, |(_, text)| text);
        return Item::call_with_text(&[name(tool)], text);
    }
    let json = heard.find('{').zip(heard.rfind('}')).and_then(|(start, end)| heard.get(start..=end));
    let arguments = json.and_then(|json| serde_json::from_str(json).ok());
    Item::call(&[name(tool)], arguments.filter(Value::is_object).unwrap_or_else(|| made_up(tool)))
}

/// Whether a text has a tool's name, or the last part of it, as a word.
fn is_named(tool: &Value, text: &str) -> bool {
    let short = name(tool).rsplit("__").next().unwrap_or_default();
    let words = || text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
    words().any(|word| !word.is_empty() && (word == name(tool) || word == short))
}

fn last_user_text(input: &Value) -> String {
    match input {
        Value::Array(items) => {
            let user = items.iter().rfind(|item| item["role"] == "user");
            user.map(|item| text_of(&item["content"])).unwrap_or_default()
        }
        text => text_of(text),
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
