use serde_json::{Value as Json, json};

use crate::{
    Normalizer, Policy, ToolPolicies,
    spec::{custom, function, merged, namespace, normalize, refused, search, try_with, with},
};

fn tools() -> Json {
    let fs = namespace("mcp__fs", &[function("read"), custom("patch")]);
    let hidden = merged(function("hidden"), json!({"defer_loading": true}));
    let db = namespace("mcp__db", &[function("read"), function("query"), hidden]);
    json!([function("plain"), custom("run"), fs, db, search(), {"type": "web_search"}])
}

fn request(choice: &Json) -> Json {
    json!({"input": "hi", "tools": tools(), "tool_choice": choice})
}

const ALL: [&str; 7] =
    ["plain", "run", "mcp__fs__read", "mcp__fs__patch", "mcp__db__read", "mcp__db__query", "tool_search"];

#[test]
fn words_stay() {
    for word in ["auto", "none", "required"] {
        let upstream = normalize(&request(&json!(word)));
        assert_eq!(upstream.body["tool_choice"], word);
        assert_eq!(upstream.names(), ALL);
    }
}

#[test]
fn one_tool_is_found_in_each_way_that_clients_write_it() {
    let rows = [
        (json!({"type": "function", "name": "plain"}), "plain"),
        (json!({"type": "function", "name": "read", "namespace": "mcp__fs"}), "mcp__fs__read"),
        (json!({"type": "function", "name": "mcp__fs__read"}), "mcp__fs__read"),
        (json!({"type": "function", "name": "mcp__fs.read"}), "mcp__fs__read"),
        (json!({"type": "function", "name": "mcp__fs/read"}), "mcp__fs__read"),
        (json!({"type": "function", "name": "fs.read"}), "mcp__fs__read"),
        (json!({"type": "function", "name": "query"}), "mcp__db__query"),
        (json!({"type": "function", "name": "functions.plain"}), "plain"),
        (json!({"type": "function", "name": "plain", "namespace": "functions"}), "plain"),
        (json!({"type": "custom", "name": "run"}), "run"),
        (json!({"type": "function", "name": "run"}), "run"),
        (json!({"type": "custom", "name": "plain"}), "plain"),
        (json!({"type": "custom", "name": "patch", "namespace": "mcp__fs"}), "mcp__fs__patch"),
        (json!({"type": "custom", "name": "patch"}), "mcp__fs__patch"),
        (json!({"type": "tool_search"}), "tool_search"),
    ];
    for (choice, expected) in rows {
        let upstream = normalize(&request(&choice));
        assert_eq!(upstream.body["tool_choice"], json!({"type": "function", "name": expected}), "{choice}");
        assert_eq!(upstream.names(), ALL, "{choice}");
        let echo = upstream.map.declared_tool_choice().unwrap();
        assert_eq!(serde_json::to_value(echo.decode::<Json>().unwrap()).unwrap(), choice);
    }
}

#[test]
fn of_tools_with_one_name_the_one_of_the_kind_is_chosen() {
    let tools = json!([function("run"), custom("run"), function("tool_search"), search()]);
    let names = normalize(&json!({"input": "hi", "tools": tools})).names();
    let rows = [
        (json!({"type": "function", "name": "run"}), 0),
        (json!({"type": "custom", "name": "run"}), 1),
        (json!({"type": "function", "name": "tool_search"}), 2),
        (json!({"type": "tool_search"}), 3),
    ];
    for (choice, at) in rows {
        let upstream = normalize(&json!({"input": "hi", "tools": tools, "tool_choice": choice}));
        assert_eq!(upstream.body["tool_choice"]["name"], names[at], "{choice} of {names:?}");
    }
}

#[test]
fn a_choice_without_a_name_is_the_upstream_s_to_refuse() {
    for kind in ["function", "custom"] {
        let choice = json!({"type": kind});
        assert_eq!(normalize(&request(&choice)).body["tool_choice"], choice);
    }
}

#[test]
fn a_deferred_tool_that_is_chosen_is_shown() {
    for name in ["mcp__db__hidden", "hidden"] {
        let upstream = normalize(&request(&json!({"type": "function", "name": name})));
        assert_eq!(upstream.body["tool_choice"]["name"], "mcp__db__hidden");
        assert_eq!(upstream.names().last().unwrap(), "mcp__db__hidden");
    }
}

#[test]
fn a_namespace_and_allowed_tools_narrow_down_what_is_shown() {
    let allowed = |mode: &str, tools: Json| json!({"type": "allowed_tools", "mode": mode, "tools": tools});
    let rows: [(Json, &str, &[&str]); 8] = [
        (json!({"type": "namespace", "name": "mcp__fs"}), "required", &["mcp__fs__read", "mcp__fs__patch"]),
        (
            json!({"type": "namespace", "name": "mcp__db"}),
            "required",
            &["mcp__db__read", "mcp__db__query", "mcp__db__hidden"],
        ),
        (allowed("auto", json!([{"type": "function", "name": "plain"}])), "auto", &["plain"]),
        (allowed("required", json!([{"type": "custom", "name": "run"}])), "required", &["run"]),
        (
            allowed("auto", json!([{"type": "namespace", "name": "mcp__fs"}, {"type": "tool_search"}])),
            "auto",
            &["mcp__fs__read", "mcp__fs__patch", "tool_search"],
        ),
        (
            allowed(
                "auto",
                json!([{"type": "function", "name": "read", "namespace": "mcp__db"}, {"type": "web_search"}]),
            ),
            "auto",
            &["mcp__db__read"],
        ),
        (allowed("auto", json!([{"type": "function", "name": "mcp__db__hidden"}])), "auto", &["mcp__db__hidden"]),
        (
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
                {"type": "function", "function": {"name": "plain"}}]}}),
            "required",
            &["plain"],
        ),
    ];
    for (choice, expected, names) in rows {
        let upstream = normalize(&request(&choice));
        assert_eq!(upstream.body["tool_choice"], expected, "{choice}");
        assert_eq!(upstream.names(), names, "{choice}");
        assert_eq!(upstream.means("plain").unwrap().2, "plain", "what is not shown is still known");
        assert!(upstream.map.changes_echo());
    }
}

#[test]
fn allowing_nothing_that_is_there_shows_nothing() {
    let choice = json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]});
    let upstream = normalize(&request(&choice));
    assert_eq!((upstream.body.get("tools"), &upstream.body["tool_choice"]), (None, &json!("auto")));
}

#[test]
fn a_choice_of_what_is_not_there_is_refused() {
    let rows = [
        json!({"type": "web_search"}),
        json!({"type": "web_search_preview"}),
        json!({"type": "mcp", "server_label": "x"}),
        json!({"type": "telepathy"}),
        json!({"type": "function", "name": "web_search"}),
        json!({"type": "function", "name": "nope"}),
        json!({"type": "function", "name": "read"}),
        json!({"type": "function", "name": "plain", "namespace": "mcp__fs"}),
        json!({"type": "namespace", "name": "nope"}),
        json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}),
        json!({"type": "allowed_tools", "mode": "required", "tools": []}),
    ];
    for choice in rows {
        let error = refused(&request(&choice));
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!("tool_choice"), &json!("invalid_tool_choice")),
            "{choice}"
        );
        assert!(error["message"].as_str().unwrap().starts_with("tool_choice "), "{error}");
    }
    for choice in [json!("required"), json!({"type": "function", "name": "web_search"})] {
        let request = json!({"input": "hi", "tools": [{"type": "web_search"}], "tool_choice": choice});
        assert_eq!(refused(&request)["param"], "tool_choice");
    }
    assert_eq!(refused(&json!({"input": "hi", "tool_choice": {"type": "tool_search"}}))["param"], "tool_choice");
}

#[test]
fn what_the_upstream_may_understand_passes() {
    let normalizer = Normalizer::new().tools(ToolPolicies::new().set("web_search", Policy::Pass).unknown(Policy::Pass));
    for choice in [json!({"type": "web_search"}), json!({"type": "telepathy"})] {
        let upstream = with(&normalizer, &request(&choice));
        assert_eq!(upstream.body["tool_choice"], choice);
        assert_eq!(upstream.names().last().unwrap(), "", "web_search itself");
    }
    let allowed = json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]});
    assert_eq!(with(&normalizer, &request(&allowed)).tools(), [json!({"type": "web_search"})]);
    let search = Normalizer::new().tools(ToolPolicies::new().set("tool_search", Policy::Pass));
    let choice = json!({"type": "tool_search"});
    let request = json!({"input": "hi", "tools": [{"type": "tool_search"}], "tool_choice": choice});
    assert!(try_with(&search, &request).is_ok_and(|upstream| upstream.body["tool_choice"] == choice));
}

#[test]
fn without_tools_a_choice_is_the_upstreams_to_judge() {
    for choice in
        [json!({"type": "function", "name": "x"}), json!("required"), json!(null), json!({"type": "function"})]
    {
        let request = json!({"input": "hi", "tool_choice": choice});
        assert_eq!(normalize(&request).body, request);
    }
}
