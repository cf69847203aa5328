#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};

use tower_responses_core::json::Value;

use super::*;
use crate::spec::{custom, function, merged, namespace, normalize, search, searched};

mod properties;

/// What `text` leaves as.
fn leaves(text: &str) -> String {
    let mut body = Object::parse(text.to_owned().into()).unwrap();
    Normalizer::new().normalize(&mut body).unwrap();
    String::from_utf8(body.text().to_vec()).unwrap()
}

#[test]
fn only_what_has_to_change_changes() {
    let rows = [
        (r#"{ "a" : 1.0e2,"input":"hi","tools":[ ], "tool_choice" :"auto" }"#, None),
        (r#"{"parallel_tool_calls":true, "input":[ ],"tools": [{"type":"function","name":"f"} ] }"#, None),
        (
            r#"{"x":1, "tools":[ {"type":"function","name":"f"} , {"type":"x"}],"y": 2}"#,
            Some(r#"{"x":1,"tools":[{"type":"function","name":"f"}],"y": 2}"#),
        ),
        (
            r#"{"input":[ {"a":1} , {"type":"function_call","name":"m","namespace":"n", "arguments":"{}" }, {"b": 2} ],"z":[ ]}"#,
            Some(
                r#"{"input":[ {"a":1} ,{"type":"function_call","name":"n__m", "arguments":"{}" }, {"b": 2} ],"z":[ ]}"#,
            ),
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(leaves(text), expected.unwrap_or(text));
    }
}

#[test]
fn the_client_gets_its_own_declarations_back() {
    let choice = json!({"type": "function", "name": "n.m"});
    let declared = json!([namespace("n", &[function("m")]), custom("c")]);
    let rows = [
        (json!({"tools": [function("f")], "tool_choice": "auto"}), false),
        (json!({"tools": declared, "tool_choice": "auto"}), true),
        (json!({"tools": declared, "tool_choice": choice}), true),
        (json!({"tools": [function("f")], "tool_choice": {"type": "custom", "name": "f"}}), true),
        (
            json!({"tools": [function("f")], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}}),
            true,
        ),
    ];
    for (request, changes) in rows {
        let upstream = normalize(&merged(request.clone(), json!({"input": "hi"})));
        assert_eq!(upstream.map.changes_echo(), changes, "{request}");
        if changes {
            let echo = |value: Option<&Value>| value.map(|value| value.decode::<Json>().unwrap()).unwrap();
            assert_eq!(echo(upstream.map.declared_tools()), request["tools"]);
            assert_eq!(echo(upstream.map.declared_tool_choice()), request["tool_choice"]);
        }
    }
}

/// A conversation in which all kinds of tools are called, found and forgotten.
fn conversation() -> Vec<Json> {
    let call = |name: &str| json!({"type": "function_call", "call_id": "c", "name": name, "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "x"});
    let found = |id: &str, names: &[&str]| {
        let members: Vec<_> = names.iter().map(|name| merged(function(name), json!({"defer_loading": true}))).collect();
        searched(id, &[merged(namespace("mcp__srv", &members), json!({"description": "Of srv."}))])
    };
    let mut items = vec![json!({"type": "message", "role": "user", "content": "hi"})];
    items.extend([call("plain"), output.clone()]);
    items.extend([call("read"), output.clone()]);
    items.extend(found("c1", &["echo"]));
    items.extend([merged(call("echo"), json!({"namespace": "mcp__srv"})), output.clone()]);
    items.extend([merged(call("add"), json!({"namespace": "mcp__srv"})), output.clone()]);
    items.extend(found("c2", &["add", "read", "echo"]));
    items.extend([merged(call("gone"), json!({"namespace": "mcp__gone"})), output]);
    items.push(json!({"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "x"}));
    items.push(json!({"type": "custom_tool_call_output", "call_id": "c", "output": "x"}));
    items.push(json!({"type": "additional_tools", "tools": [function("late"), namespace("mcp__fs", &[function("read"), function("new")])]}));
    items.push(json!({"type": "reasoning", "summary": [], "content": null, "encrypted_content": "s"}));
    items.extend(found("c3", &["last"]));
    items
}

#[test]
fn each_request_extends_the_one_before() {
    let tools = json!([function("plain"), custom("apply_patch"), search(), namespace("mcp__fs", &[function("read")]), {"type": "web_search"}]);
    let items = conversation();
    let mut before = normalize(&json!({"input": items[..1], "tools": tools}));
    for end in 2..=items.len() {
        let after = normalize(&json!({"input": items[..end], "tools": tools}));
        assert_eq!(after.tools()[..before.tools().len()], before.tools(), "after {end} items");
        assert_eq!(after.input()[..before.input().len()], before.input(), "after {end} items");
        for item in after.input().iter().filter(|item| item["type"] == "function_call") {
            assert!(after.names().iter().any(|name| item["name"] == **name), "{item} is declared");
        }
        before = after;
    }
    assert_eq!(
        before.names()[4..],
        [
            "read",
            "mcp__srv__echo",
            "mcp__srv__add",
            "mcp__srv__add_57be1f5c",
            "mcp__srv__read",
            "mcp__gone__gone",
            "late",
            "mcp__fs__new",
            "mcp__srv__last"
        ]
    );
}
