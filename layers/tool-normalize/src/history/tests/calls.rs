#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};
use tower_responses_core::ToolKind;

use crate::{
    Normalizer, UndeclaredCalls,
    spec::{custom, function, merged, namespace, normalize, search, searched, with},
};

fn call(name: &str) -> Json {
    json!({"type": "function_call", "call_id": "c1", "name": name, "arguments": "{\"a\": 1}"})
}

fn of(call: Json, namespace: &str) -> Json {
    merged(call, json!({"namespace": namespace}))
}

fn tools() -> Json {
    let hidden = merged(function("hidden"), json!({"defer_loading": true}));
    let fs = namespace("mcp__fs", &[function("read"), custom("patch"), hidden]);
    json!([function("plain"), custom("run"), fs, namespace("functions", &[function("exec"), custom("edit")]), search()])
}

fn translated(item: &Json) -> Json {
    normalize(&json!({"input": [item], "tools": tools()})).input().remove(0)
}

#[test]
fn calls_bear_the_names_that_are_declared() {
    let rows = [
        (call("plain"), "plain"),
        (of(call("plain"), "functions"), "plain"),
        (of(call("plain"), ""), "plain"),
        (of(call("read"), "mcp__fs"), "mcp__fs__read"),
        (of(call("hidden"), "mcp__fs"), "mcp__fs__hidden"),
        (of(call("exec"), "functions"), "exec"),
        (call("exec"), "exec"),
        (call("mcp__fs__read"), "mcp__fs__read"),
        (call("tool_search"), "tool_search"),
        (call("run"), "run"),
    ];
    for (item, name) in rows {
        assert_eq!(translated(&item), merged(call(name), json!({})), "{item}");
    }
    let null = merged(call("plain"), json!({"namespace": null, "id": "fc_1", "status": "completed", "async": null}));
    assert_eq!(translated(&null), null, "as vLLM says it itself");
    let full = merged(of(call("read"), "mcp__fs"), json!({"id": "fc_1", "status": "completed"}));
    let expected = merged(call("mcp__fs__read"), json!({"id": "fc_1", "status": "completed"}));
    assert_eq!(translated(&full), expected);
}

#[test]
fn custom_calls_have_their_text_as_the_argument() {
    let rows = [
        (json!({"name": "run"}), "run"),
        (json!({"name": "patch", "namespace": "mcp__fs"}), "mcp__fs__patch"),
        (json!({"name": "edit", "namespace": "functions"}), "edit"),
        (json!({"name": "edit"}), "edit"),
        (json!({"name": "plain"}), "plain"),
    ];
    for input in ["", "*** Begin Patch\n+\"ü\"\t\\\n", "{\"input\":1}", "\u{0}\u{1f600}"] {
        for (named, name) in &rows {
            let item = json!({"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "status": "completed", "input": input});
            let upstream = translated(&merged(item, named.clone()));
            let arguments = serde_json::from_str::<Json>(upstream["arguments"].as_str().unwrap()).unwrap();
            assert_eq!(arguments, json!({"input": input}));
            let expected = json!({"type": "function_call", "call_id": "c1", "name": name, "status": "completed"});
            assert_eq!(merged(expected, json!({"arguments": upstream["arguments"]})), upstream);
        }
    }
}

#[test]
fn a_custom_call_may_lack_what_it_can_do_without() {
    let rows = [
        (json!({"call_id": "c1", "status": null}), json!({"call_id": "c1", "arguments": "{\"input\":\"\"}"})),
        (json!({"id": "ctc_1", "input": "x"}), json!({"call_id": "ctc_1", "arguments": "{\"input\":\"x\"}"})),
        (json!({"input": "x", "call_id": null}), json!({"arguments": "{\"input\":\"x\"}"})),
    ];
    for (item, expected) in rows {
        let item = merged(item, json!({"type": "custom_tool_call", "name": "run"}));
        assert_eq!(translated(&item), merged(expected, json!({"type": "function_call", "name": "run"})), "{item}");
    }
    let nameless = json!({"type": "custom_tool_call", "call_id": "c1", "input": "x"});
    assert_eq!(translated(&nameless), nameless);
}

#[test]
fn searches_are_calls() {
    let rows = [
        (json!({"query": "a b", "limit": 2}), "{\"limit\":2,\"query\":\"a b\"}"),
        (json!("{\"query\": 1}"), "{\"query\": 1}"),
        (json!(null), "{}"),
    ];
    for (arguments, expected) in rows {
        let item = json!({"type": "tool_search_call", "id": "tsc_1", "call_id": "c1", "status": "completed",
            "execution": "client", "arguments": arguments});
        let expected = json!({"type": "function_call", "call_id": "c1", "name": "tool_search", "status": "completed",
            "arguments": expected});
        assert_eq!(translated(&item), expected);
    }
}

#[test]
fn calls_of_undeclared_tools_are_declared_after_all_others() {
    let gone = "was called earlier";
    let rows = [
        (of(call("read"), "gone"), "gone__read", ToolKind::Function),
        (call("no_such_tool"), "no_such_tool", ToolKind::Function),
        (json!({"type": "custom_tool_call", "call_id": "c1", "name": "old", "input": "x"}), "old", ToolKind::Custom),
    ];
    for (item, name, kind) in rows {
        let request = json!({"input": [item], "tools": [function("plain")]});
        let upstream = normalize(&request);
        assert_eq!(upstream.input()[0]["name"], name);
        assert_eq!(upstream.names(), ["plain", name]);
        assert!(upstream.tools()[1]["description"].as_str().unwrap().to_lowercase().contains(gone));
        assert_eq!(upstream.means(name).unwrap().0, kind);
        let takes_text = upstream.tools()[1]["parameters"]["required"] == json!(["input"]);
        assert_eq!(takes_text, kind == ToolKind::Custom, "{name}");

        let pass = Normalizer::new().undeclared_calls(UndeclaredCalls::Pass);
        let passed = with(&pass, &request);
        assert_eq!((passed.names(), &passed.input()[0]["name"]), (vec!["plain".to_owned()], &json!(name)));

        let without = normalize(&json!({"input": [item]}));
        assert_eq!((without.body.get("tools"), &without.input()[0]["name"]), (None, &json!(name)));
    }
    let twice = [call("a.b"), of(call("x"), "gone"), of(call("x"), "gone"), call("a.b")];
    let upstream = normalize(&json!({"input": twice, "tools": [function("plain")]}));
    assert_eq!(upstream.names().len(), 3, "each once: {:?}", upstream.names());
    let odd = normalize(&json!({"input": [call("functions.exec command")], "tools": [function("plain")]}));
    let name = odd.input()[0]["name"].as_str().unwrap().to_owned();
    assert!(crate::names::is_legal(&name) && odd.names() == ["plain", &name]);
}

#[test]
fn a_call_before_the_search_surfaces_a_deferred_tool() {
    let hidden = merged(namespace("n", &[function("a")]), json!({"defer_loading": true}));
    let tools = json!([hidden, search(), function("z")]);
    let upstream = normalize(&json!({"input": [of(call("a"), "n")], "tools": tools}));
    assert_eq!(upstream.names(), ["tool_search", "z", "n__a"]);

    // Codex keeps deferred tools to itself: they are known from the call alone, then from the search.
    let [search_call, output] =
        searched("c2", &[namespace("n", &[merged(function("a"), json!({"description": "Does a."}))])]);
    let input = [of(call("a"), "n"), search_call, output];
    let before = normalize(&json!({"input": input[..1], "tools": [search()]}));
    let after = normalize(&json!({"input": input, "tools": [search()]}));
    assert_eq!(before.names(), ["tool_search", "n__a"]);
    assert_eq!(after.tools()[..2], before.tools(), "what the upstream has seen stays");
    assert_eq!(after.tools()[2]["description"], "Does a.");
    assert!(after.names()[2].starts_with("n__a_"));
    assert_eq!(after.means("n__a"), after.means(&after.names()[2]));
    let input = [&input[..], &[of(call("a"), "n")]].concat();
    let later = normalize(&json!({"input": input, "tools": [search()]}));
    assert_eq!((&later.input()[0]["name"], &later.input()[3]["name"]), (&json!("n__a"), &json!(after.names()[2])));
}

#[test]
fn a_name_that_was_called_too_early_means_the_tool_that_bears_it() {
    let [search_call, output] = searched("c2", &[namespace("n", &[function("a")])]);
    let input = [call("n__a"), search_call, output, of(call("a"), "n"), call("n__a")];
    let upstream = normalize(&json!({"input": input, "tools": [search()]}));
    let names = upstream.names();
    assert_eq!(names[..2], ["tool_search", "n__a"]);
    assert!(names.len() == 3 && names[2].starts_with("n__a_"), "the newcomer is told apart");
    for name in ["n__a", &names[2], "n.a", "a"] {
        assert_eq!(upstream.means(name).unwrap().1.as_deref(), Some("n"), "{name}");
    }
    let called: Vec<_> = [0, 3, 4].map(|at| upstream.input()[at]["name"].clone()).into();
    assert_eq!(called, ["n__a", &names[2], "n__a"]);

    // But it does not mean another tool that was called.
    let [search_call, output] = searched("c2", &[namespace("n__a", &[function("b")])]);
    let input = [of(call("a__b"), "n"), search_call, output, of(call("b"), "n__a")];
    let upstream = normalize(&json!({"input": input, "tools": [search()]}));
    assert_eq!(upstream.input()[0]["name"], "n__a__b");
    assert_eq!(upstream.means("n__a__b").unwrap().1.as_deref(), Some("n"));
    assert_eq!(upstream.names().last().unwrap(), upstream.input()[3]["name"].as_str().unwrap());
}
