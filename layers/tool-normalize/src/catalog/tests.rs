use std::collections::HashSet;

use serde_json::{Value as Json, json};
use tower_responses_core::{
    ToolKind::{self, Custom, Function, ToolSearch},
    json::Object,
};

use crate::{
    Normalizer, Policy, ToolPolicies,
    names::is_legal,
    spec::{
        body_of, custom, function, merged, namespace, normalize, refused, search, searched, try_with, with, with_tools,
    },
};

fn meaning(kind: ToolKind, namespace: Option<&str>, name: &str) -> Option<(ToolKind, Option<String>, String)> {
    Some((kind, namespace.map(Into::into), name.to_owned()))
}

fn deferred(tool: Json) -> Json {
    merged(tool, json!({"defer_loading": true}))
}

#[test]
fn each_kind_of_tool_becomes_a_function_that_means_it() {
    let rows = [
        (function("read"), "read", meaning(Function, None, "read")),
        (custom("run"), "run", meaning(Custom, None, "run")),
        (search(), "tool_search", meaning(ToolSearch, None, "tool_search")),
        (namespace("mcp__fs", &[function("read")]), "mcp__fs__read", meaning(Function, Some("mcp__fs"), "read")),
        (namespace("mcp__fs", &[custom("patch")]), "mcp__fs__patch", meaning(Custom, Some("mcp__fs"), "patch")),
        (namespace("functions", &[function("exec")]), "exec", meaning(Function, Some("functions"), "exec")),
        (namespace("functions", &[custom("patch")]), "patch", meaning(Custom, Some("functions"), "patch")),
        (namespace("", &[function("exec")]), "exec", meaning(Function, None, "exec")),
    ];
    for (tool, name, meaning) in rows {
        let upstream = with_tools(json!([tool]));
        assert_eq!(upstream.names(), [name], "{tool}");
        assert!(upstream.tools().iter().all(|tool| tool["type"] == "function"));
        assert_eq!(upstream.means(name), meaning, "{tool}");
    }
}

#[test]
fn namespaces_open_where_they_stand() {
    let upstream = with_tools(json!([
        function("a"),
        namespace("n", &[function("b"), custom("c")]),
        function("d"),
        namespace("empty", &[]),
        {"type": "namespace", "name": "none"},
    ]));
    assert_eq!(upstream.names(), ["a", "n__b", "n__c", "d"]);
}

#[test]
fn members_keep_all_that_they_declare() {
    let text = r#"{"input":"hi","tools":[{"type":"namespace","name":"n","tools":[{ "strict" : null,"type":"function", "name":"m", "parameters": {"z":1.0, "a":{}}, "own":[1 ]}]}]}"#;
    let mut body = tower_responses_core::json::Object::parse(text.into()).unwrap();
    Normalizer::new().normalize(&mut body).unwrap();
    let expected = r#"{"input":"hi","tools":[{ "strict" : null,"type":"function","name":"n__m", "parameters": {"z":1.0, "a":{}}, "own":[1 ]}]}"#;
    assert_eq!(body.text(), expected);
}

#[test]
fn collisions_are_told_apart_and_the_first_keeps_its_name_unless_a_plain_function_has_it() {
    let long = "x".repeat(70);
    let rows: [(Json, &str); 7] = [
        (json!([namespace("a", &[function("b__c")]), namespace("a__b", &[function("c")])]), "a__b__c"),
        (json!([function("a__b"), namespace("a", &[function("b")])]), "a__b"),
        (json!([function("x"), custom("x")]), "x"),
        (json!([function("x"), namespace("functions", &[function("x")])]), "x"),
        (json!([function("tool_search"), search()]), "tool_search"),
        (json!([namespace("a", &[function("b"), custom("b")])]), "a__b"),
        (json!([namespace("a__", &[function("b")]), namespace("a", &[function("b")])]), "a__b"),
    ];
    for (tools, first) in rows {
        let upstream = with_tools(tools.clone());
        let names = upstream.names();
        assert_eq!(names[0], first, "{tools}");
        assert!(names[1].starts_with(&format!("{first}_")), "{names:?}");
        assert_ne!(upstream.means(&names[0]), upstream.means(&names[1]));
    }
    let tools =
        json!([namespace(&long, &[function("1"), function("2")]), namespace("é", &[function("ü"), function("ö")])]);
    let upstream = with_tools(tools);
    assert_eq!(upstream.names().into_iter().filter(|name| is_legal(name)).collect::<HashSet<_>>().len(), 4);
}

#[test]
fn a_plain_function_keeps_its_name_wherever_it_stands() {
    let rows: [(&str, &[Json]); 7] = [
        ("a__b", &[namespace("a", &[function("b")])]),
        ("a__b", &[namespace("a", &[custom("b")]), namespace("x", &[function("y")])]),
        ("a__b__c", &[namespace("a__b", &[function("c")]), namespace("a", &[function("b__c")])]),
        ("x", &[custom("x")]),
        ("x", &[namespace("functions", &[function("x")])]),
        ("tool_search", &[search()]),
        ("a__b", &[deferred(namespace("a", &[function("b")]))]),
    ];
    let plain = |name: &str| meaning(Function, None, name);
    for (name, others) in rows {
        let last = [others, &[function(name)]].concat();
        let upstream = with_tools(json!(last));
        assert_eq!(upstream.names().last().map(String::as_str), Some(name), "{last:?}");
        assert_eq!(upstream.means(name), plain(name), "{last:?}");
        let first = [&[function(name)][..], others].concat();
        let (names, mut others_first) = (with_tools(json!(first)).names(), upstream.names());
        others_first.rotate_right(1);
        assert_eq!(names, others_first, "each has its name, whichever comes first");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");

        // The same of what a search has found, and of tools that an item brings.
        let input = [&searched("c1", &last)[..], &[json!({"type": "additional_tools", "tools": last})]].concat();
        for (items, from) in [(0..2, "found"), (2..3, "brought")] {
            let later = normalize(&json!({"input": input[items.clone()], "tools": [function("other")]}));
            assert_eq!(later.means(name), plain(name), "{from}: {:?}", later.names());
            let again = normalize(&json!({"input": input[items], "tools": [function("other")]}));
            assert_eq!(later.names(), again.names());
        }
        // One in `tools` keeps its name whatever is found.
        let input = searched("c1", others);
        assert_eq!(normalize(&json!({"input": input, "tools": [function(name)]})).means(name), plain(name));
    }
    // What the upstream has seen already stays as it is.
    let tools = json!([namespace("a", &[function("b")])]);
    let later = normalize(&json!({"input": searched("c1", &[function("a__b")]), "tools": tools}));
    assert_eq!(later.means("a__b"), meaning(Function, Some("a"), "b"));
}

#[test]
fn what_comes_later_never_takes_a_name() {
    let before = json!([namespace("a", &[function("b__c"), function("d")])]);
    let after = json!([
        namespace("a", &[function("b__c"), function("d")]),
        namespace("a__b", &[function("c")]),
        custom("a__d")
    ]);
    let (before, after) = (with_tools(before), with_tools(after));
    assert_eq!(after.names()[..2], before.names());
    assert!(after.names()[2].starts_with("a__b__c_"));
    let [call, output] = searched("c1", &[namespace("a__b", &[function("c")])]);
    let found =
        normalize(&json!({"input": [call, output], "tools": [namespace("a", &[function("b__c"), function("d")])]}));
    assert_eq!(found.names(), [before.names(), vec!["tool_search".into(), after.names()[2].clone()]].concat());
}

#[test]
fn near_misses_are_known_by_exact_alternates() {
    let upstream = with_tools(json!([
        function("plain"),
        namespace("mcp__fs", &[function("read"), custom("patch")]),
        namespace("mcp__db", &[function("read"), function("plain")]),
        namespace("functions", &[function("exec")]),
        namespace("sp ace", &[function("é.x")]),
    ]));
    let fs = meaning(Function, Some("mcp__fs"), "read");
    let patch = meaning(Custom, Some("mcp__fs"), "patch");
    let odd = meaning(Function, Some("sp ace"), "é.x");
    let rows = [
        ("mcp__fs.read", fs.clone()),
        ("mcp__fs/read", fs.clone()),
        ("mcp__fs:read", fs.clone()),
        ("mcp__fs_read", fs.clone()),
        ("fs__read", fs.clone()),
        ("fs.read", fs.clone()),
        ("functions.mcp__fs__read", fs.clone()),
        ("functions.mcp__fs.read", fs),
        ("patch", patch),
        ("read", None),
        ("plain", meaning(Function, None, "plain")),
        ("functions.plain", meaning(Function, None, "plain")),
        ("functions__plain", meaning(Function, None, "plain")),
        ("functions.exec", meaning(Function, Some("functions"), "exec")),
        ("sp ace__é.x", odd.clone()),
        ("sp ace.é.x", odd.clone()),
        ("sp_ace____x", odd),
        ("nothing", None),
        ("mcp__fs__read__x", None),
    ];
    for (name, expected) in rows {
        assert_eq!(upstream.means(name), expected, "{name}");
    }
}

#[test]
fn deferred_tools_wait_for_a_search_of_the_client() {
    let members = [deferred(function("a")), function("b"), deferred(custom("c"))];
    let all_deferred = deferred(namespace("m", &[function("x")]));
    let tools = [deferred(function("f")), namespace("n", &members), all_deferred];
    let all = ["f", "n__a", "n__b", "n__c", "m__x"];
    let server = json!({"type": "tool_search"});
    let rows: [(Vec<Json>, &[&str]); 4] = [
        ([&tools[..], &[search()]].concat(), &["n__b", "tool_search"]),
        ([&[search()], &tools[..]].concat(), &["tool_search", "n__b"]),
        (tools.to_vec(), &all),
        ([&tools[..], &[server]].concat(), &all),
    ];
    for (tools, expected) in rows {
        let upstream = with_tools(json!(tools));
        assert_eq!(upstream.names(), expected);
        assert!(!upstream.body.to_string().contains("defer_loading"));
        assert_eq!(upstream.means("n__a"), meaning(Function, Some("n"), "a"), "a hidden tool is still known");
    }
    let hoisted = normalize(&json!({"input": [{"type": "additional_tools", "tools": [search()]}], "tools": tools}));
    assert_eq!(hoisted.names(), ["n__b", "tool_search"]);
}

#[test]
fn found_tools_are_appended_in_the_order_of_the_history() {
    let hidden = deferred(namespace("n", &[function("a"), function("b")]));
    let tools = json!([hidden, search(), function("last")]);
    let found = |id: &str, names: &[&str]| {
        let members: Vec<_> = names.iter().map(|name| deferred(function(name))).collect();
        searched(id, &[namespace("n", &members)])
    };
    let plain = searched("c3", &[deferred(function("plain")), deferred(custom("free"))]);
    let input = [&found("c1", &["b"])[..], &found("c2", &["new", "a", "b"]), &plain].concat();
    let expected = ["tool_search", "last", "n__b", "n__new", "n__a", "plain", "free"];
    for (items, shown) in [(0, 2), (2, 3), (4, 5), (6, 7)] {
        let upstream = normalize(&json!({"input": input[..items], "tools": tools}));
        assert_eq!(upstream.names(), expected[..shown], "after {items} items");
    }
}

#[test]
fn a_newer_declaration_replaces_an_older_one_only_if_its_schema_differs() {
    let schema = |text: &str| json!({"type": "object", "properties": {"a": {"type": text}}});
    let old = merged(function("f"), json!({"description": "old", "parameters": schema("string")}));
    let rows = [
        (json!({"description": "new", "parameters": schema("string")}), "old"),
        (json!({"description": "new", "parameters": schema("number")}), "new"),
        (json!({"description": "new", "parameters": null}), "old"),
        (
            json!({"description": "new", "parameters": {"properties": {"a": {"type": "string"}}, "type": "object"}}),
            "old",
        ),
    ];
    for (change, expected) in rows {
        let new = merged(old.clone(), change);
        let [call, output] = searched("c1", std::slice::from_ref(&new));
        let found = normalize(&json!({"input": [call, output], "tools": [old, search(), function("z")]}));
        assert_eq!(found.names(), ["f", "tool_search", "z"]);
        assert_eq!(found.tools()[0]["description"], expected, "{new}");
        let twice = with_tools(json!([old, function("z"), new]));
        assert_eq!(twice.names(), ["f", "z"]);
        assert_eq!(twice.tools()[0]["description"], expected, "{new}");
    }
    let grammar = |text: &str| merged(custom("c"), json!({"format": {"type": "grammar", "definition": text}}));
    let tools = with_tools(json!([grammar("one"), grammar("one"), grammar("two")])).tools();
    assert_eq!(tools.len(), 1);
    assert!(tools[0]["description"].as_str().unwrap().contains("two"));
}

/// In its own text: what writes JSON in tests sorts the keys.
#[test]
fn a_schema_in_another_spelling_is_the_same() {
    for (again, expected) in [
        (r#"{ "properties": {"a": {"type":"string"}}, "type":"object" }"#, "old"),
        (r#"{"type":"object","properties":{"a":{"type":"string"}}}"#, "old"),
        (r#"{"properties":{"a":{"type":"number"}},"type":"object"}"#, "new"),
    ] {
        let first = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
        let request = format!(
            r#"{{"input":"hi","tools":[{{"type":"function","name":"f","description":"old","parameters":{first}}},
                {{"type":"function","name":"f","description":"new","parameters":{again}}}]}}"#
        );
        let mut body = Object::parse(request.into()).unwrap();
        Normalizer::new().normalize(&mut body).unwrap();
        let tools: Vec<_> = body.get("tools").unwrap().elements().unwrap().collect();
        assert_eq!(tools.len(), 1);
        assert_eq!(tools[0].member_str("description").unwrap(), expected, "{again}");
    }
}

#[test]
fn namespaces_of_one_name_are_one() {
    let first = merged(namespace("n", &[function("a")]), json!({"description": "About."}));
    let [call, output] = searched("c1", &[namespace("n", &[function("a"), function("b")])]);
    let upstream =
        normalize(&json!({"input": [call, output], "tools": [first, namespace("n", &[function("c")]), search()]}));
    assert_eq!(upstream.names(), ["n__a", "n__c", "tool_search", "n__b"]);
    assert!(upstream.tools().iter().filter(|tool| tool["description"] == "About.").count() == 3);
}

#[test]
fn tools_in_items_are_hoisted() {
    let inner =
        [namespace("functions", &[function("exec"), custom("patch")]), search(), namespace("m", &[function("x")])];
    let item = json!({"type": "additional_tools", "id": "at_1", "role": "developer", "tools": inner});
    let message = json!({"type": "message", "role": "user", "content": "hi"});
    let upstream = normalize(&json!({"input": [item, message]}));
    assert_eq!(upstream.names(), ["exec", "patch", "tool_search", "m__x"]);
    assert_eq!(upstream.input(), std::slice::from_ref(&message));
    assert!(upstream.map.changes_echo() && upstream.map.declared_tools().is_none());

    let later = json!({"type": "additional_tools", "tools": [function("late")]});
    let upstream = normalize(&json!({"input": [message, later], "tools": [function("early")]}));
    assert_eq!(upstream.names(), ["early", "late"]);
    let upstream = normalize(&json!({"input": [message, later], "tools": [{"type": "web_search"}]}));
    assert_eq!(upstream.names(), ["late"], "as many as before, but others");
    let again = json!({"type": "additional_tools", "tools": [function("early")]});
    let upstream = normalize(&json!({"input": [again], "tools": [function("early")]}));
    assert_eq!(upstream.names(), ["early"]);
}

const HOSTED: [&str; 13] = [
    "web_search",
    "web_search_preview",
    "web_search_2025_08_26",
    "code_interpreter",
    "file_search",
    "mcp",
    "image_generation",
    "local_shell",
    "shell",
    "apply_patch",
    "computer",
    "computer_use_preview",
    "telepathy",
];

#[test]
fn tools_that_nobody_here_executes_follow_the_policy() {
    for kind in HOSTED {
        let tool = json!({"type": kind, "x": {"y": 1}});
        let request = json!({"input": "hi", "tools": [function("a"), tool, function("b"), tool]});
        let dropped = normalize(&request);
        assert_eq!(dropped.names(), ["a", "b"], "{kind}");
        assert_eq!(dropped.dropped, [kind.into()]);
        assert!(dropped.map.changes_echo());

        let pass = Normalizer::new().tools(ToolPolicies::new().set(kind, Policy::Pass));
        let passed = with(&pass, &request);
        assert_eq!(passed.body, request);
        assert!(passed.dropped.is_empty() && !passed.map.changes_echo());
    }
    let alone = with_tools(json!([{"type": "web_search"}]));
    assert!(alone.body.get("tools").is_none(), "no empty list: some servers refuse it");
}

#[test]
fn a_list_without_end_is_not_told_in_full() {
    let tools: Vec<_> = (0..1000).map(|i| json!({"type": format!("new_{i}")})).collect();
    let dropped = with_tools(json!(tools)).dropped;
    assert_eq!((dropped.len(), &*dropped[15]), (16, "new_15"));
}

#[test]
fn what_is_rejected_is_named() {
    let normalizer = Normalizer::new().tools(ToolPolicies::new().set("mcp", Policy::Reject).unknown(Policy::Reject));
    let mcp = json!({"type": "mcp"});
    let rows = [
        (json!({"input": "hi", "tools": [function("a"), mcp]}), "tools[1]", "mcp"),
        (json!({"input": "hi", "tools": [{"type": "new"}]}), "tools[0]", "new"),
        (json!({"input": "hi", "tools": [{"no": "type"}]}), "tools[0]", "unknown"),
        (json!({"input": "hi", "tools": [["text"], mcp]}), "tools[0]", "tools[0]"),
        (
            json!({"input": "hi", "tools": [namespace("n", &[function("b"), json!(0)])]}),
            "tools[0].tools[1]",
            "tools[0].tools[1]",
        ),
        (
            json!({"input": "hi", "tools": [function("a"), namespace("n", &[function("b"), mcp.clone()])]}),
            "tools[1].tools[1]",
            "mcp",
        ),
        (
            json!({"input": [{"role": "user", "content": "x"}, {"type": "additional_tools", "tools": [mcp]}]}),
            "input[1].tools[0]",
            "mcp",
        ),
    ];
    for (request, param, kind) in rows {
        let error = try_with(&normalizer, &request).unwrap_err();
        let error = body_of(&error);
        assert_eq!(error["param"], param, "{request}");
        assert!(error["message"].as_str().unwrap().contains(&format!("'{kind}'")));
    }
    let [call, output] = searched("c1", &[mcp]);
    let found = with(&normalizer, &json!({"input": [call, output], "tools": [search()]}));
    assert_eq!(found.dropped, ["mcp".into()], "what a search found is not the client's choice");
}

#[test]
fn a_search_without_execution_is_the_servers_unless_it_has_parameters() {
    let parameters = json!({"type": "object", "properties": {}});
    let rows = [
        (json!({"type": "tool_search"}), false),
        (json!({"type": "tool_search", "execution": "server"}), false),
        (json!({"type": "tool_search", "execution": "server", "parameters": parameters}), false),
        (json!({"type": "tool_search", "parameters": parameters}), true),
        (json!({"type": "tool_search", "execution": "client"}), true),
    ];
    for (tool, is_client) in rows {
        let upstream = with_tools(json!([tool, function("a")]));
        assert_eq!(upstream.names().contains(&"tool_search".to_owned()), is_client, "{tool}");
        assert_eq!(upstream.dropped.is_empty(), is_client, "{tool}");
    }
}

#[test]
fn an_empty_list_of_tools_stays_empty() {
    let call = |name: &str| json!({"type": "function_call", "call_id": "c0", "name": name, "arguments": "{}"});
    let [search_call, output] = searched("c1", &[function("found"), namespace("n", &[function("found")])]);
    let found = merged(call("found"), json!({"namespace": "n"}));
    let input = [call("gone"), search_call, output, found, call("found")];
    let upstream = normalize(&json!({"input": input, "tools": []}));
    assert_eq!(upstream.body["tools"], json!([]));
    assert_eq!(
        (&upstream.input()[1]["name"], &upstream.input()[3]["name"]),
        (&json!("tool_search"), &json!("n__found"))
    );
    assert!(!upstream.map.changes_echo());
    // No list says nothing.
    let upstream = normalize(&json!({"input": searched("c1", &[function("found")]), "tools": null}));
    assert_eq!(upstream.names(), ["found", "tool_search"]);
    // Unless tools come with an item.
    let item = json!({"type": "additional_tools", "tools": [function("given")]});
    let upstream = normalize(&json!({"input": [item], "tools": []}));
    assert_eq!(upstream.names(), ["given"]);
}

/// Nothing could find them.
#[test]
fn deferred_tools_are_shown_where_no_list_brings_a_search() {
    let deferred = merged(function("lazy"), json!({"defer_loading": true}));
    let item = |tools: Json| json!({"type": "additional_tools", "tools": tools});
    let upstream = normalize(&json!({"input": [item(json!([deferred]))]}));
    assert_eq!(upstream.names(), ["lazy"]);
    let upstream = normalize(&json!({"input": [item(json!([deferred, search()]))]}));
    assert_eq!(upstream.names(), ["tool_search"]);
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    for tools in [
        json!(null),
        json!("x"),
        json!({}),
        json!([{"type": "function"}, {"type": "function", "function": {"name": "x"}}]),
    ] {
        let request = json!({"input": "hi", "tools": tools});
        assert_eq!(normalize(&request).body, request);
    }
    assert_eq!(
        refused(&json!({"input": "x", "tools": [{"type": "web_search"}], "tool_choice": "required"}))["param"],
        "tool_choice"
    );
}
