#![allow(clippy::disallowed_methods)]

use serde_json::json;

use super::*;

fn settings(value: serde_json::Value) -> Settings {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_longer_name_counts_more_member_by_member() {
    let settings = settings(json!({
        "*": {"lite": true, "tool_search": true, "description": "any"},
        "qwen*": {"tool_search": false},
        "qwen3-c*": {"lite": false},
        "qwen3": {"description": "this one"},
    }));
    let rows = [
        ("llama", (Some(true), Some(true), "any")),
        ("qwen2", (Some(true), Some(false), "any")),
        ("qwen3", (Some(true), Some(false), "this one")),
        ("qwen3-coder", (Some(false), Some(false), "any")),
    ];
    for (name, want) in rows {
        let of = settings.of(name);
        assert_eq!((of.lite, of.tool_search, of.description.unwrap().as_str()), want, "{name}");
    }
}

#[test]
fn an_alias_has_its_own_settings_then_those_of_its_target_then_patterns() {
    let settings = settings(json!({
        "*": {"description": "any", "lite": true},
        "code*": {"description": "pattern of the alias", "shell_type": "local"},
        "qwen3": {"description": "target", "tool_search": true},
        "coder": {"apply_patch": false},
    }));
    let of = settings.of_either(&["coder", "qwen3"]);
    assert_eq!(of.apply_patch, Some(false));
    assert_eq!(of.description.as_deref(), Some("target"));
    assert_eq!(of.shell_type, Some(ShellType::Local));
    assert_eq!(of.lite, Some(true));
}

#[test]
fn further_members_add_up() {
    let settings = settings(json!({"*": {"codex": {"a": 1, "b": 1}}, "m": {"codex": {"b": 2}}}));
    assert_eq!(json!(settings.of("m").codex), json!({"a": 1, "b": 2}));
}

#[test]
fn unknown_keys_and_values_are_errors() {
    for wrong in [
        json!({"*": {"contextwindow": 1}}),
        json!({"*": {"context_window": -1}}),
        json!({"*": {"shell_type": "bash"}}),
        json!({"*": {"truncation": {"mode": "tokens", "limit": 1, "x": 1}}}),
        json!({"*": {"input_modalities": ["smell"]}}),
    ] {
        assert!(serde_json::from_value::<Settings>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let text = json!({"*": {"lite": true, "web_search": "text_and_image", "codex": {"x": [1]}}});
    assert_eq!(serde_json::to_value(settings(text.clone())).unwrap(), text);
}
