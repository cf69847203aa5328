//! What the tests are written with.
#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};
use tower_responses_core::{ApiError, ClientTool, ToolKind, ToolMap, json::Object};

use crate::Normalizer;

/// A request that was normalized, as the upstream sees it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) body: Json,
    pub(crate) map: ToolMap,
    pub(crate) dropped: Vec<Box<str>>,
}

impl Upstream {
    pub(crate) fn tools(&self) -> Vec<Json> {
        self.body["tools"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn input(&self) -> Vec<Json> {
        self.body["input"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.tools().iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What a call of `name` is restored to.
    pub(crate) fn means(&self, name: &str) -> Option<(ToolKind, Option<String>, String)> {
        self.map.get(name).map(identity)
    }
}

pub(crate) fn identity(tool: &ClientTool) -> (ToolKind, Option<String>, String) {
    (tool.kind(), tool.namespace().map(Into::into), tool.name().to_owned())
}

pub(crate) fn try_with(normalizer: &Normalizer, request: &Json) -> Result<Upstream, ApiError> {
    let mut body = Object::parse(request.to_string().into()).unwrap();
    let normalized = normalizer.normalize(&mut body)?;
    let body = serde_json::from_slice(&body.text()).unwrap();
    Ok(Upstream { body, map: normalized.map, dropped: normalized.dropped })
}

pub(crate) fn with(normalizer: &Normalizer, request: &Json) -> Upstream {
    try_with(normalizer, request).unwrap()
}

pub(crate) fn normalize(request: &Json) -> Upstream {
    with(&Normalizer::new(), request)
}

/// The error that a request gets.
pub(crate) fn refused(request: &Json) -> Json {
    let error = try_with(&Normalizer::new(), request).unwrap_err();
    assert_eq!(error.status(), 400);
    body_of(&error)
}

pub(crate) fn body_of(error: &ApiError) -> Json {
    serde_json::from_slice::<Json>(&error.to_body()).unwrap()["error"].take()
}

/// A request with these tools.
pub(crate) fn with_tools(tools: Json) -> Upstream {
    normalize(&json!({"input": "hi", "tools": tools}))
}

pub(crate) fn function(name: &str) -> Json {
    json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}})
}

pub(crate) fn custom(name: &str) -> Json {
    json!({"type": "custom", "name": name})
}

pub(crate) fn namespace(name: &str, tools: &[Json]) -> Json {
    json!({"type": "namespace", "name": name, "tools": tools})
}

pub(crate) fn search() -> Json {
    let parameters = json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]});
    json!({"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": parameters})
}

/// What `base` is with the members of `more`.
pub(crate) fn merged(mut base: Json, more: Json) -> Json {
    let (Json::Object(to), Json::Object(from)) = (&mut base, more) else { panic!("two objects") };
    to.extend(from);
    base
}

pub(crate) fn searched(call_id: &str, tools: &[Json]) -> [Json; 2] {
    [
        json!({"type": "tool_search_call", "call_id": call_id, "execution": "client", "arguments": {"query": "q"}}),
        json!({"type": "tool_search_output", "call_id": call_id, "execution": "client", "tools": tools}),
    ]
}
