//! For any set of declarations: what the model calls by the name it was shown reaches the client
//! as the tool that it declared.

#![cfg(feature = "stack")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tower_responses_call_restore::Restorer;
use tower_responses_core::json::Object;
use tower_responses_tool_normalize::Normalizer;

/// What a client knows a tool by: the type of its calls, the namespace, the name.
type Identity = (String, Option<String>, String);

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["a", "b", "a__b", "b__c", "mcp__a", "a__b__c", "read", "functions", "input"])
            .prop_map(str::to_owned),
        "[a-zA-Z0-9_-]{1,80}",
        "[a-c_. /é😀]{1,12}",
    ]
}

fn any_member() -> impl Strategy<Value = Json> {
    (any_name(), any::<bool>()).prop_map(|(name, custom)| {
        if custom { json!({"type": "custom", "name": name, "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}}) }
        else { json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}}) }
    })
}

fn any_tool() -> impl Strategy<Value = Json> {
    prop_oneof![
        3 => any_member(),
        3 => (any_name(), prop::collection::vec(any_member(), 0..4)).prop_map(|(name, tools)| json!({"type": "namespace", "name": name, "description": "d", "tools": tools})),
        1 => Just(json!({"type": "tool_search", "execution": "client", "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}})),
    ]
}

fn identities(tools: &[Json]) -> BTreeSet<Identity> {
    let mut all = BTreeSet::new();
    let kind = |tool: &Json| if tool["type"] == "custom" { "custom_tool_call" } else { "function_call" }.to_owned();
    let name = |tool: &Json| tool["name"].as_str().unwrap().to_owned();
    for tool in tools {
        match tool["type"].as_str().unwrap() {
            "namespace" => {
                let namespace = Some(name(tool));
                all.extend(
                    tool["tools"].as_array().unwrap().iter().map(|tool| (kind(tool), namespace.clone(), name(tool))),
                );
            }
            "tool_search" => {
                all.insert(("tool_search_call".into(), None, String::new()));
            }
            _ => {
                all.insert((kind(tool), None, name(tool)));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_tool_comes_back_as_it_was_declared(tools in prop::collection::vec(any_tool(), 1..8)) {
        let mut request = Object::parse(json!({"input": "x", "tools": tools}).to_string().into()).unwrap();
        let normalized = Normalizer::new().normalize(&mut request).unwrap();
        let upstream: Json = request.get("tools").map_or(json!([]), |tools| serde_json::from_slice(&tools.text()).unwrap());
        let mut names = BTreeSet::new();
        let mut restored = BTreeSet::new();
        for tool in upstream.as_array().unwrap() {
            prop_assert_eq!(&tool["type"], "function");
            let name = tool["name"].as_str().unwrap();
            prop_assert!(name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{}", name);
            prop_assert!(names.insert(name.to_owned()), "twice: {}", name);
            let response = json!({"status": "completed", "output": [{"type": "function_call", "id": "fc_1", "call_id": "c", "name": name, "arguments": "{\"input\":\"x\"}", "status": "completed"}]});
            let mut response = Object::parse(response.to_string().into()).unwrap();
            Restorer::new(normalized.map.clone()).restore_object(&mut response);
            let item = response.get("output").unwrap().elements().unwrap().next().unwrap().decode::<Json>().unwrap();
            let text = |name: &str| item[name].as_str().map(str::to_owned);
            restored.insert((text("type").unwrap(), text("namespace"), text("name").unwrap_or_default()));
        }
        let declared = identities(&tools);
        // Of the same name in the same place, one is kept.
        let places = |all: &BTreeSet<Identity>| all.iter().map(|(_, namespace, name)| (namespace.clone(), name.clone())).collect::<BTreeSet<_>>();
        prop_assert!(restored.is_subset(&declared), "{restored:?} of {declared:?}");
        prop_assert_eq!(places(&restored), places(&declared));
    }
}
