//! What holds for any declarations.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use serde_json::json;
use tower_responses_core::ToolKind;

use super::*;
use crate::{
    names::is_legal,
    spec::{Upstream, identity},
};

type Identity = (ToolKind, Option<String>, String);

/// Names from a small world, so that they meet in each way that names can: equal, equal once
/// flattened, equal once sanitised, too long, unicode.
fn name() -> impl Strategy<Value = String> {
    let small = prop::collection::vec(
        prop::sample::select(vec!["a", "b", "__", "_", ".", "-", "é", "😀", "functions", "mcp__"]),
        1..5,
    );
    let long =
        (60usize..80, prop::sample::select(vec!["x", "ö", "a__"])).prop_map(|(length, part)| part.repeat(length));
    prop_oneof![
        8 => small.prop_map(|parts| parts.concat()),
        1 => long,
        1 => ".{0,12}",
        1 => Just("tool_search".to_owned()),
    ]
}

#[derive(Debug, Clone)]
struct Tool {
    custom: bool,
    namespace: Option<String>,
    name: String,
    description: Option<String>,
}

impl Tool {
    fn identity(&self) -> Identity {
        let kind = if self.custom { ToolKind::Custom } else { ToolKind::Function };
        (kind, self.namespace.clone(), self.name.clone())
    }

    fn is_plain(&self) -> bool {
        !self.custom && self.namespace.is_none()
    }

    fn declaration(&self) -> Json {
        let tool = if self.custom { custom(&self.name) } else { function(&self.name) };
        let tool = merged(tool, json!({"description": self.description}));
        match &self.namespace {
            Some(name) => namespace(name, &[tool]),
            None => tool,
        }
    }

    fn call(&self) -> Json {
        let call = if self.custom {
            json!({"type": "custom_tool_call", "call_id": "c", "name": self.name, "input": "x"})
        } else {
            json!({"type": "function_call", "call_id": "c", "name": self.name, "arguments": "{}"})
        };
        match &self.namespace {
            Some(name) => merged(call, json!({"namespace": name})),
            None => call,
        }
    }
}

prop_compose! {
    fn tool()(
        custom in any::<bool>(),
        namespace in prop::option::of(name().prop_filter("no namespace is another thing", |name| !name.is_empty())),
        name in name(),
        description in prop::option::of(".{0,20}"),
    ) -> Tool {
        Tool { custom, namespace, name, description }
    }
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    prop::collection::vec(tool(), 0..24)
}

fn declared(tools: &[Tool]) -> Vec<Json> {
    tools.iter().map(Tool::declaration).collect()
}

fn sent(tools: &[Tool], input: &[Json]) -> Upstream {
    normalize(&json!({"input": input, "tools": declared(tools)}))
}

/// Which name each declared identity has upstream.
fn upstream_names(upstream: &Upstream) -> HashMap<Identity, String> {
    upstream.names().into_iter().map(|name| (identity(upstream.map.get(&name).unwrap()), name)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_declared_tool_has_a_legal_name_of_its_own_that_means_it(tools in tools()) {
        let upstream = sent(&tools, &[]);
        let names = upstream.names();
        prop_assert!(names.iter().all(|name| is_legal(name)), "{names:?}");
        prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        let expected: HashSet<_> = tools.iter().map(Tool::identity).collect();
        let known: HashSet<_> = upstream_names(&upstream).into_keys().collect();
        prop_assert_eq!(known, expected);
        prop_assert_eq!(sent(&tools, &[]).body, upstream.body, "the same each time");
    }

    /// What is remembered of lists of tools is what they are read to be.
    #[test]
    fn what_was_read_before_changes_nothing(requests in prop::collection::vec((tools(), tools()), 1..3)) {
        let normalizer = Normalizer::new();
        for (known, found) in requests.iter().chain(&requests) {
            let found = json!({"type": "tool_search_output", "call_id": "c", "execution": "client", "tools": declared(found)});
            let input: Vec<_> = known.iter().step_by(2).map(Tool::call).chain([found.clone(), found]).collect();
            let request = json!({"input": input, "tools": declared(known)}).to_string();
            let [mut one, mut other] = [(); 2].map(|()| Object::parse(request.clone().into()).unwrap());
            let maps = [normalizer.normalize(&mut one), Normalizer::new().normalize(&mut other)];
            let [one_map, other_map] = maps.map(|normalized| normalized.unwrap().map);
            prop_assert_eq!(one.text(), other.text());
            for tool in one.get("tools").and_then(Value::elements).into_iter().flatten() {
                let name = tool.member_str("name").unwrap();
                prop_assert_eq!(one_map.resolve(&name), other_map.resolve(&name));
            }
            prop_assert_eq!(one_map.len(), other_map.len());
            prop_assert_eq!(one_map.declared_tools(), other_map.declared_tools());
        }
    }

    #[test]
    fn a_call_in_the_history_has_the_name_of_its_tool(tools in tools()) {
        let calls: Vec<_> = tools.iter().map(Tool::call).collect();
        let upstream = sent(&tools, &calls);
        let names = upstream_names(&upstream);
        for (tool, item) in tools.iter().zip(upstream.input()) {
            prop_assert_eq!(&item["name"], &names[&tool.identity()]);
            prop_assert_eq!(&item["type"], "function_call");
            prop_assert!(item.get("namespace").is_none());
        }
        prop_assert_eq!(upstream.names(), sent(&tools, &[]).names(), "nothing had to be declared");
    }

    #[test]
    fn what_is_declared_later_changes_no_name(tools in tools(), at in any::<prop::sample::Index>()) {
        let at = if tools.is_empty() { 0 } else { at.index(tools.len()) };
        let (before, after) = (sent(&tools[..at], &[]), sent(&tools, &[]));
        let gives_way = |name: &String| tools[at..].iter().any(|tool| tool.is_plain() && tool.name == *name);
        for (before, after) in before.names().iter().zip(after.names()) {
            if gives_way(before) {
                prop_assert!(*before != after || tools[..at].iter().any(|tool| tool.is_plain() && tool.name == *before), "{before}");
            } else {
                prop_assert_eq!(before, &after);
            }
        }
    }

    #[test]
    fn a_plain_function_keeps_its_name(tools in tools()) {
        let upstream = sent(&tools, &[]);
        for tool in tools.iter().filter(|tool| tool.is_plain() && is_legal(&tool.name)) {
            prop_assert_eq!(upstream.means(&tool.name), Some(tool.identity()));
        }
    }

    #[test]
    fn what_is_found_later_changes_nothing(tools in tools(), found in tools(), calls in prop::collection::vec(tool(), 0..6), bare in any::<bool>()) {
        let mut items = Vec::new();
        for (index, chunk) in found.chunks(3).enumerate() {
            items.extend(searched(&format!("c{index}"), &declared(chunk)));
            items.extend(calls.get(index).map(Tool::call));
            items.extend(chunk.first().map(Tool::call));
        }
        let base = if bare { Json::Null } else { [vec![search()], declared(&tools)].concat().into() };
        let mut before = normalize(&json!({"input": [], "tools": base}));
        for end in 1..=items.len() {
            let after = normalize(&json!({"input": items[..end], "tools": base}));
            prop_assert_eq!(&after.tools()[..before.tools().len()], &before.tools()[..]);
            prop_assert_eq!(&after.input()[..before.input().len()], &before.input()[..]);
            let names: HashSet<_> = after.names().into_iter().collect();
            prop_assert!(names.iter().all(|name| is_legal(name)));
            prop_assert_eq!(names.len(), after.names().len());
            for item in after.input().iter().filter(|item| item["type"] == "function_call") {
                prop_assert!(names.is_empty() || names.contains(item["name"].as_str().unwrap()), "{} is declared", item);
            }
            before = after;
        }
    }

    #[test]
    fn a_plain_request_leaves_byte_for_byte(
        names in prop::collection::hash_set("[a-zA-Z0-9_-]{1,64}", 0..8),
        space in "[ \n\t]{0,3}",
        text in ".{0,20}",
    ) {
        let tool = |name: &String| format!(r#"{{{space}"type":"function","name":"{name}","parameters":{{ "z":1.0,"a": {{}}}}}}"#);
        let call = |name: &String| format!(r#"{{"type":"function_call","name":"{name}",{space}"call_id":"c","arguments":"{{}}"}}"#);
        let tools: Vec<_> = names.iter().map(tool).collect();
        let calls: Vec<_> = names.iter().map(call).collect();
        let said = json!({"role": "user", "content": text}).to_string();
        let items = [vec![said], calls].concat().join(&format!("{space},"));
        let request = format!(
            r#"{{"x":1.50,{space}"input":[{items}],"tools":[{}]{space},"parallel_tool_calls":true,"y":"\u00e9"}}"#,
            tools.join(&format!(",{space}"))
        );
        prop_assert_eq!(leaves(&request), request);
    }

    #[test]
    fn nothing_makes_it_panic(tools in any_json(), input in any_json(), choice in any_json(), include in any_json()) {
        let request = json!({"tools": tools, "input": input, "tool_choice": choice, "include": include}).to_string();
        let mut body = Object::parse(request.into()).unwrap();
        if Normalizer::new().normalize(&mut body).is_ok() {
            prop_assert!(serde_json::from_slice::<Json>(&body.text()).is_ok());
        }
    }
}

/// JSON of the words that requests are made of, in any order.
fn any_json() -> impl Strategy<Value = Json> {
    let words = vec![
        "function",
        "namespace",
        "custom",
        "tool_search",
        "client",
        "web_search",
        "a",
        "function_call",
        "custom_tool_call",
        "tool_search_call",
        "tool_search_output",
        "additional_tools",
        "reasoning",
        "agent_message",
        "compaction",
        "mcp_call",
        "function_call_output",
        "allowed_tools",
        "required",
    ];
    let keys = vec![
        "type",
        "name",
        "tools",
        "parameters",
        "format",
        "description",
        "namespace",
        "arguments",
        "input",
        "output",
        "call_id",
        "execution",
        "content",
        "summary",
        "encrypted_content",
        "defer_loading",
        "mode",
        "properties",
        "encrypted",
    ];
    let leaf = prop_oneof![
        4 => prop::sample::select(words).prop_map(Json::from),
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        1 => any::<i32>().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        let member = (prop::sample::select(keys.clone()), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Json::from),
            prop::collection::vec(member, 0..6).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}
