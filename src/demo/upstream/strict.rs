use std::collections::HashSet;

use serde_json::{Value, json};

/// Why a request was not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    param: String,
}

impl Refusal {
    pub(super) fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), param: param.into() }
    }

    /// In the shape of vLLM, whose `code` is the status.
    pub(super) fn body(&self) -> Value {
        let kind = if self.status == 404 { "NotFoundError" } else { "BadRequestError" };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.status}})
    }
}

/// Whether a server that understands only functions, and keeps nothing, takes this request.
pub(super) fn check(request: &Value, served: &[String]) -> Result<(), Refusal> {
    let model = request["model"].as_str().unwrap_or_default();
    if !request["model"].is_null() && !served.iter().any(|name| name == model) {
        return Err(Refusal { status: 404, ..Refusal::new("model", format!("The model `{model}` does not exist.")) });
    }
    if !request["previous_response_id"].is_null() {
        return Err(Refusal::new("previous_response_id", "This server keeps no responses."));
    }
    let names = check_tools(request)?;
    check_choice(request, &names)?;
    check_input(&request["input"])
}

fn check_tools(request: &Value) -> Result<HashSet<&str>, Refusal> {
    let mut names = HashSet::new();
    let tools = match request.get("tools") {
        None => return Ok(names),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(Refusal::new("tools", "tools must be a list.")),
    };
    for (index, tool) in tools.iter().enumerate() {
        let at = format!("tools[{index}]");
        if tool["type"] != "function" {
            let message = format!("{at}: a tool of type {} is not supported; only functions are.", tool["type"]);
            return Err(Refusal::new(format!("{at}.type"), message));
        }
        let name = tool["name"].as_str().unwrap_or_default();
        if !is_legal(name) {
            return Err(Refusal::new(format!("{at}.name"), format!("{at}: {} is not a legal name.", tool["name"])));
        }
        if !names.insert(name) {
            return Err(Refusal::new(format!("{at}.name"), format!("{at}: {name} is declared twice.")));
        }
        if !(tool["parameters"].is_object() || tool["parameters"].is_null()) {
            return Err(Refusal::new(format!("{at}.parameters"), format!("{at}: parameters must be an object.")));
        }
    }
    Ok(names)
}

fn check_choice(request: &Value, names: &HashSet<&str>) -> Result<(), Refusal> {
    let refused = |why: String| Err(Refusal::new("tool_choice", why));
    match request.get("tool_choice") {
        None => Ok(()),
        Some(Value::String(choice)) if choice == "auto" || choice == "none" => Ok(()),
        Some(Value::String(choice)) if choice == "required" && !names.is_empty() => Ok(()),
        Some(choice) if choice["type"] == "function" => match choice["name"].as_str() {
            Some(name) if names.contains(name) => Ok(()),
            _ => refused(format!("{} is not declared.", choice["name"])),
        },
        Some(choice) => refused(format!("{choice} is not supported.")),
    }
}

fn check_input(input: &Value) -> Result<(), Refusal> {
    let items = match input {
        Value::String(_) => return Ok(()),
        Value::Array(items) if !items.is_empty() => items,
        _ => return Err(Refusal::new("input", "input must be a text or a list that is not empty.")),
    };
    for (index, item) in items.iter().enumerate() {
        check_item(item, &format!("input[{index}]"))?;
    }
    Ok(())
}

fn check_item(item: &Value, at: &str) -> Result<(), Refusal> {
    let refused = |member: &str, why: &str| Err(Refusal::new(format!("{at}.{member}"), format!("{at}: {why}")));
    let kind = match &item["type"] {
        Value::Null if item.get("role").is_some() => "message",
        kind => kind.as_str().unwrap_or_default(),
    };
    match kind {
        "message" => match item["role"].as_str() {
            Some("assistant") => check_parts(&item["content"], &["output_text", "refusal"], &format!("{at}.content")),
            Some("user" | "system" | "developer") => check_parts(&item["content"], PARTS_IN, &format!("{at}.content")),
            _ => refused("role", "the role is not known."),
        },
        "reasoning" if item["encrypted_content"].as_str().is_some_and(|text| !text.is_empty()) => {
            refused("encrypted_content", "encrypted content is not supported.")
        }
        "reasoning" => Ok(()),
        "function_call" | "function_call_output" if !item["call_id"].is_string() => {
            refused("call_id", "call_id is missing.")
        }
        "function_call" if !item["namespace"].is_null() => refused("namespace", "namespaces are not supported."),
        "function_call" if !item["name"].as_str().is_some_and(is_legal) => refused("name", "the name is not legal."),
        "function_call" if !item["arguments"].is_string() => refused("arguments", "arguments must be a string."),
        "function_call" => Ok(()),
        "function_call_output" => check_parts(&item["output"], PARTS_IN, &format!("{at}.output")),
        kind => refused("type", &format!("an item of type {kind:?} is not supported.")),
    }
}

const PARTS_IN: &[&str] = &["input_text", "input_image", "input_file"];

fn check_parts(content: &Value, allowed: &[&str], at: &str) -> Result<(), Refusal> {
    let parts = match content {
        Value::String(_) => return Ok(()),
        Value::Array(parts) => parts,
        _ => return Err(Refusal::new(at, format!("{at}: must be a text or a list."))),
    };
    for part in parts {
        let kind = part["type"].as_str().unwrap_or_default();
        if !allowed.contains(&kind) {
            return Err(Refusal::new(at, format!("{at}: a part of type {kind:?} is not supported.")));
        }
        if kind == "input_image" && at.ends_with(".output") && !part["detail"].is_string() {
            return Err(Refusal::new(at, format!("{at}: an image needs its detail.")));
        }
    }
    Ok(())
}

fn is_legal(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(legal)
}
