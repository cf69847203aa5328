//! The functions that stand for the client's tools upstream.

use tower_responses_core::{
    ToolKind,
    json::{Object, Value, escape},
};

use crate::{catalog::Declaration, policy::Strict, schema};

#[cfg(test)]
mod tests;

const CUSTOM_PARAMETERS: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The text for the tool, unchanged."}},"required":["input"],"additionalProperties":false}"#;
const SEARCH_PARAMETERS: &str = r#"{"type":"object","properties":{"query":{"type":"string","description":"What the tool should do."}},"required":["query"],"additionalProperties":false}"#;
const ANY_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// The function for a function, which may have another name. `None` if it can go as it is.
pub(crate) fn function(
    declared: &Declaration,
    name: Option<&str>,
    prefix: Option<&str>,
    strict: Strict,
) -> Option<Value> {
    let private = declared.may_be_private && declared.parameters.as_ref().is_some_and(schema::may_be_private);
    let deferred = declared.defer_loading.is_some();
    let forced = strict == Strict::Force && can_be_forced(declared);
    if !(name.is_some() || private || deferred || forced || prefix.is_some()) {
        return None;
    }
    let name = name.map(Value::string);
    let description = prefix.and_then(|prefix| described(declared, prefix));
    let parameters = declared.parameters.clone().filter(|_| private).map(|mut parameters| {
        schema::clean(&mut parameters);
        parameters
    });
    let strict = forced.then(|| Value::bool(true));
    let new = [("name", &name), ("description", &description), ("strict", &strict), ("parameters", &parameters)];
    let mut changes: Vec<_> =
        new.into_iter().filter(|(_, new)| new.is_some()).map(|(at, new)| (at, new.as_ref())).collect();
    if deferred {
        changes.push(("defer_loading", None));
    }
    declared.value.with_members(&changes)
}

fn can_be_forced(declared: &Declaration) -> bool {
    declared.strict.as_ref().and_then(Value::as_bool) != Some(true)
        && declared.parameters.as_ref().is_some_and(schema::is_enforceable)
}

/// The description with what comes before it, if it does not begin so already.
fn described(declared: &Declaration, prefix: &str) -> Option<Value> {
    let own = declared.description.as_ref().and_then(|value| Some((value, value.as_str()?)));
    let Some((spelled, own)) = own.filter(|(_, own)| !own.trim().is_empty()) else {
        return Some(Value::string(prefix));
    };
    if own.starts_with(prefix) {
        return None;
    }
    let spelled = spelled.text();
    let mut text = Vec::with_capacity(prefix.len() + spelled.len() + 16);
    text.push(b'"');
    escape(prefix.as_bytes(), &mut text);
    text.extend_from_slice(br"\n\n");
    // As it is spelled, without the quote at its beginning.
    text.extend_from_slice(&spelled[1..]);
    Some(Value::from_text(text))
}

/// The function for a custom tool: its free text is the one argument.
pub(crate) fn custom(declared: &Declaration, name: &str, prefix: Option<&str>) -> Value {
    let described = prefix.and_then(|prefix| described(declared, prefix));
    let description = described.as_ref().or(declared.description.as_ref()).and_then(Value::as_str);
    let mut description = description.unwrap_or_default().into_owned();
    if !description.trim().is_empty() {
        description.push_str("\n\n");
    }
    description.push_str("The text for this tool goes, as it is, into the string `input`.");
    if let Some(grammar) = grammar(declared) {
        description.push_str(&grammar);
    }
    let mut function = head(name, &description);
    function.set("strict", Value::bool(true));
    function.set("parameters", Value::from_text(CUSTOM_PARAMETERS));
    text(&function)
}

/// The grammar of a custom tool, in words for the model.
fn grammar(declared: &Declaration) -> Option<String> {
    let format = declared.format.as_ref()?;
    let definition = format.member("definition").or_else(|| format.member("grammar")?.member("definition"))?;
    let syntax = format.member("syntax").or_else(|| format.member("grammar")?.member("syntax"));
    let syntax = syntax.as_ref().and_then(Value::as_str).unwrap_or_default();
    let definition = definition.as_str()?;
    let intro = match &*syntax {
        "regex" => "It has to match this regular expression as a whole:".to_owned(),
        "" => "It has to follow this grammar:".to_owned(),
        syntax => format!("It has to follow this {syntax} grammar:"),
    };
    let end = if definition.ends_with('\n') { "" } else { "\n" };
    Some(format!(" {intro}\n```\n{definition}{end}```"))
}

/// The function for the tool search.
pub(crate) fn tool_search(declared: &Declaration, name: &str) -> Value {
    let own = declared.description.as_ref().and_then(Value::as_str).filter(|own| !own.trim().is_empty());
    let mut function =
        head(name, own.as_deref().unwrap_or("Finds tools. Those that it finds can be called afterwards."));
    function.set("strict", Value::bool(true));
    let parameters = declared.parameters.clone().filter(Value::is_object);
    let mut parameters = parameters.unwrap_or_else(|| Value::from_text(SEARCH_PARAMETERS));
    schema::clean(&mut parameters);
    function.set("parameters", parameters);
    text(&function)
}

/// The function for a tool of which nothing is known but that it was called.
pub(crate) fn undeclared(kind: ToolKind, name: &str) -> Value {
    let mut function = head(name, "Was called earlier in this conversation. It may not be available any more.");
    let parameters = if kind == ToolKind::Custom { CUSTOM_PARAMETERS } else { ANY_PARAMETERS };
    function.set("parameters", Value::from_text(parameters));
    text(&function)
}

/// An object takes far more memory than its text.
fn text(function: &Object) -> Value {
    Value::from_text(function.text())
}

fn head(name: &str, description: &str) -> Object {
    let mut function = Object::new();
    function.set("type", "function");
    function.set("name", name);
    function.set("description", description);
    function
}
