//! `tool_choice`: which tools the model may or has to call.

use std::{cell::OnceCell, collections::HashSet};

use tower_responses_core::{
    ApiError, ToolKind, ToolMap,
    json::{Object, Value},
};

use crate::{
    catalog::Catalog,
    policy::{Policy, ToolPolicies},
};

#[cfg(test)]
mod tests;

/// Rewrites the choice for the upstream, and narrows down what the upstream sees where it knows
/// no such choice itself.
pub(crate) fn translate(body: &mut Object, catalog: &mut Catalog, tools: &ToolPolicies) -> Result<(), ApiError> {
    let Some(choice) = body.get("tool_choice").cloned() else { return Ok(()) };
    if choice == *"required" {
        return require_any(catalog);
    }
    let Some(kind) = choice.member_str("type") else { return Ok(()) };
    let chosen = match &*kind {
        "function" | "custom" | "tool_search" => function(&choice, &kind, catalog, tools)?,
        "namespace" => {
            let name = choice.member_str("name").unwrap_or_default();
            catalog.show_only(|tool, _| tool.namespace() == Some(&name), |_| false);
            if catalog.is_empty() {
                return Err(refuse(format!("tool_choice names the namespace '{name}', which has no tools")));
            }
            Some(Value::string("required"))
        }
        "allowed_tools" => Some(Value::string(allowed(&choice, catalog)?)),
        kind if tools.of(kind) != Policy::Pass => return Err(not_here(kind)),
        _ => None,
    };
    if let Some(chosen) = chosen {
        body.set("tool_choice", chosen);
    }
    Ok(())
}

fn refuse(message: String) -> ApiError {
    ApiError::bad_request(message).param("tool_choice").code("invalid_tool_choice")
}

fn not_here(kind: &str) -> ApiError {
    refuse(format!("tool_choice names a tool of type '{kind}', which is not available here"))
}

fn require_any(catalog: &Catalog) -> Result<(), ApiError> {
    if !catalog.is_empty() || catalog.dropped().is_empty() {
        return Ok(());
    }
    let dropped = catalog.dropped().join(", ");
    Err(refuse(format!("tool_choice requires a call, but none of the tools is available here: {dropped}")))
}

/// One tool, by the name that the client gave it or by one of those that it may have flattened it
/// to. `None` if the choice can go as it is.
fn function(
    choice: &Value,
    kind: &str,
    catalog: &mut Catalog,
    tools: &ToolPolicies,
) -> Result<Option<Value>, ApiError> {
    let name = match choice.member_str("name") {
        Some(name) => name.into_owned(),
        None if kind == "tool_search" => "tool_search".to_owned(),
        // What is no choice of a tool by name is the upstream's to refuse.
        None => return Ok(None),
    };
    let Some(tool) = named(choice, kind, &name, catalog, &Map::default()) else {
        if kind == "tool_search" {
            return if tools.of(kind) == Policy::Pass { Ok(None) } else { Err(not_here(kind)) };
        }
        // Without tools the upstream may know some from elsewhere.
        return if catalog.is_empty() && catalog.dropped().is_empty() { Ok(None) } else { Err(undeclared(&name)) };
    };
    catalog.show(tool);
    let upstream = catalog.name(tool);
    if kind == "function" && upstream == name && choice.member("namespace").is_none() {
        return Ok(None);
    }
    let mut chosen = Object::new();
    chosen.set("type", "function");
    chosen.set("name", upstream);
    Ok(Some(chosen.into()))
}

fn undeclared(name: &str) -> ApiError {
    refuse(format!("tool_choice names the tool '{name}', which is not declared"))
}

/// The names of a catalog, once they are asked for.
type Map = OnceCell<ToolMap>;

fn named(choice: &Value, kind: &str, name: &str, catalog: &Catalog, map: &Map) -> Option<usize> {
    let kind = match kind {
        "custom" => ToolKind::Custom,
        "tool_search" => ToolKind::ToolSearch,
        _ => ToolKind::Function,
    };
    let namespace = choice.member_str("namespace").filter(|namespace| !namespace.is_empty());
    catalog.find(kind, namespace.as_deref(), name).or_else(|| {
        // A map of exact names, so that no name is ever taken apart.
        if namespace.is_some() {
            return None;
        }
        let (upstream, _) = map.get_or_init(|| catalog.map().build()).resolve(name)?;
        catalog.by_upstream_name(upstream)
    })
}

/// Servers accept `allowed_tools` and ignore it, so what is not allowed is not shown.
fn allowed(choice: &Value, catalog: &mut Catalog) -> Result<&'static str, ApiError> {
    // Chat completions have one level more.
    let inner = choice.member("allowed_tools").filter(Value::is_object);
    let choice = inner.as_ref().unwrap_or(choice);
    let (known_namespaces, known_kinds, map) = (catalog.namespaces(), catalog.passed(), Map::default());
    let (mut tools, mut namespaces, mut passed) = (HashSet::new(), HashSet::<&str>::new(), HashSet::<&str>::new());
    for entry in choice.member("tools").and_then(|tools| tools.elements()).into_iter().flatten() {
        if !entry.is_object() {
            continue;
        }
        let nested = entry.member("function").filter(Value::is_object);
        let entry = nested.as_ref().unwrap_or(&entry);
        let kind = entry.member_str("type").unwrap_or_else(|| "function".into());
        let name = entry.member_str("name").unwrap_or_else(|| kind.clone());
        match &*kind {
            "namespace" => namespaces.extend(known_namespaces.get(&*name).map(|name| &**name)),
            "function" | "custom" | "tool_search" => tools.extend(named(entry, &kind, &name, catalog, &map)),
            _ => passed.extend(known_kinds.get(&*kind).map(|kind| &**kind)),
        }
    }
    catalog.show_only(
        |client, tool| tools.contains(&tool) || client.namespace().is_some_and(|name| namespaces.contains(name)),
        |value| value.member_str("type").is_some_and(|kind| passed.contains(&*kind)),
    );
    if !choice.member_is("mode", "required") {
        return Ok("auto");
    }
    if catalog.is_empty() {
        return Err(refuse(
            "tool_choice requires a call of an allowed tool, but none of these is available here".into(),
        ));
    }
    Ok("required")
}
