use serde_json::{Value, json};

use super::Call;

/// The name and the arguments of a call, as the request declares the function.
pub(super) fn resolve(call: &Call, request: &Value) -> Result<(String, String), String> {
    let tools = request["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fits = |tool: &&Value| call.names.iter().all(|part| name(tool).contains(part.as_str()));
    let mut found: Vec<&Value> = tools.iter().filter(fits).collect();
    if let Some(exact) = found.iter().find(|tool| Some(name(tool)) == call.names.last().map(String::as_str)) {
        found = vec![exact];
    }
    let [tool] = found[..] else {
        let declared: Vec<_> = tools.iter().map(name).collect();
        return Err(format!("{} functions are called {:?}; declared: {declared:?}", found.len(), call.names));
    };
    let arguments = match (&call.arguments, &call.text) {
        (Some(arguments), _) => arguments.to_string(),
        (None, Some(text)) => {
            let parameter = text_parameter(tool).ok_or_else(|| format!("{} takes no text", name(tool)))?;
            json!({ parameter: text }).to_string()
        }
        (None, None) => "{}".to_owned(),
    };
    Ok((name(tool).to_owned(), arguments))
}

pub(super) fn name(tool: &Value) -> &str {
    tool["name"].as_str().unwrap_or_default()
}

/// The parameter of a function that takes nothing but text.
pub(super) fn text_parameter(tool: &Value) -> Option<&str> {
    let parameters = tool["parameters"]["properties"].as_object()?;
    let mut parameters = parameters.iter();
    let (name, schema) = parameters.next()?;
    (parameters.next().is_none() && schema["type"] == "string").then_some(name)
}

/// Arguments that satisfy a declaration, more or less.
pub(super) fn made_up(tool: &Value) -> Value {
    let required = tool["parameters"]["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = required.iter().filter_map(Value::as_str);
    names.map(|name| (name.to_owned(), value_of(&tool["parameters"]["properties"][name]))).collect()
}

fn value_of(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("demo"),
    }
}
