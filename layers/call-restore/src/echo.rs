use tower_responses_core::{
    ToolMap,
    json::{Array, Object, Value},
};

/// A response repeats the `tools` and the `tool_choice` of its request: those that the client
/// declared, not those that the upstream was shown. Only what the response has is replaced.
pub(crate) fn restore(map: &ToolMap, response: &mut Object) {
    if !map.changes_echo() {
        return;
    }
    replace(response, "tools", map.declared_tools(), || Array::new().into());
    replace(response, "tool_choice", map.declared_tool_choice(), || Value::from("auto"));
}

fn replace(response: &mut Object, name: &str, declared: Option<&Value>, default: impl FnOnce() -> Value) {
    let Some(echoed) = response.get(name) else { return };
    let declared = declared.cloned().unwrap_or_else(default);
    if *echoed != declared {
        response.set(name, declared);
    }
}
