#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};

use super::*;

fn made(settings: Json) -> Json {
    let settings: ModelSettings = serde_json::from_value(settings).unwrap();
    let entry = entry("m", 3, &settings, &ModelHints::default());
    assert_eq!(check_entry(&entry.clone().into()), Ok(()));
    serde_json::from_slice(&entry.text()).unwrap()
}

/// The smallest entry that Codex takes.
fn minimal() -> Json {
    json!({
        "slug": "m", "display_name": "M", "supported_reasoning_levels": [], "shell_type": "unified_exec",
        "visibility": "list", "supported_in_api": true, "priority": 1, "support_verbosity": false,
        "truncation_policy": {"mode": "tokens", "limit": 10000}, "experimental_supported_tools": [],
        "base_instructions": "x",
    })
}

#[test]
fn every_required_member_is_required() {
    assert_eq!(check_entry(&minimal().into()), Ok(()));
    for name in minimal().as_object().unwrap().keys() {
        let mut entry = minimal();
        entry.as_object_mut().unwrap().remove(name);
        assert!(check_entry(&entry.clone().into()).is_err(), "without {name}");
        entry[name] = Json::Null;
        assert!(check_entry(&entry.into()).is_err(), "null {name}");
    }
}

#[test]
fn values_that_codex_refuses() {
    for (name, value) in [
        ("shell_type", json!("bash")),
        ("visibility", json!("yes")),
        ("apply_patch_tool_type", json!("function")),
        ("web_search_tool_type", json!("images")),
        ("default_verbosity", json!("loud")),
        ("default_reasoning_summary", json!("long")),
        ("input_modalities", json!(["smell"])),
        ("web_search_provider", json!("mine")),
        ("truncation_policy", json!({"mode": "lines", "limit": 1})),
        ("context_window", json!("many")),
        ("supported_reasoning_levels", json!(["low"])),
        ("supports_search_tool", json!("yes")),
        ("supports_search_tool", Json::Null),
        ("effective_context_window_percent", Json::Null),
        ("input_modalities", Json::Null),
        ("service_tiers", json!([{"id": "i"}])),
        ("upgrade", json!("m")),
        ("multi_agent_tools_in_code_mode", json!("yes")),
        ("model_messages", json!({"multi_agent": {"role": 5}})),
        ("model_messages", json!({"token_budget": {}})),
        ("model_messages", json!({"content_filter_guidance": {}})),
    ] {
        let mut entry = minimal();
        entry[name] = value;
        assert!(check_entry(&entry.into()).is_err(), "{name}");
    }
}

#[test]
fn what_cannot_be_read_at_all() {
    for member in [r#""x":1e999"#, r#""x":"\ud800""#] {
        let text = minimal().to_string().replacen('{', &format!("{{{member},"), 1);
        assert!(check_entry(&Value::parse(text.into()).unwrap()).is_err(), "{member}");
    }
}

#[test]
fn instructions_may_be_a_template() {
    let mut entry = minimal();
    entry.as_object_mut().unwrap().remove("base_instructions");
    entry["model_messages"] = json!({"instructions_template": "x"});
    assert_eq!(check_entry(&entry.into()), Ok(()));
}

#[test]
fn without_settings() {
    let entry = made(json!({}));
    assert_eq!(entry["slug"], "m");
    assert_eq!(entry["display_name"], "m");
    assert_eq!(entry["priority"], 3);
    assert_eq!(entry["apply_patch_tool_type"], "freeform");
    assert_eq!(entry["supports_search_tool"], false);
    assert_eq!(entry["input_modalities"], json!(["text"]));
    assert_eq!(entry["base_instructions"], DEFAULT_INSTRUCTIONS);
    assert_eq!(entry.get("context_window"), None);
}

#[test]
fn each_setting_has_its_member() {
    let rows = [
        (json!({"display_name": "Q"}), "display_name", json!("Q")),
        (json!({"description": "d"}), "description", json!("d")),
        (json!({"context_window": 9}), "context_window", json!(9)),
        (json!({"auto_compact_token_limit": 8}), "auto_compact_token_limit", json!(8)),
        (json!({"effective_context_window_percent": 80}), "effective_context_window_percent", json!(80)),
        (json!({"apply_patch": false}), "apply_patch_tool_type", Json::Null),
        (json!({"tool_search": true}), "supports_search_tool", json!(true)),
        (
            json!({"reasoning_levels": ["low"]}),
            "supported_reasoning_levels",
            json!([{"effort": "low", "description": "low"}]),
        ),
        (json!({"default_reasoning_level": "low"}), "default_reasoning_level", json!("low")),
        (json!({"reasoning_summary": "auto"}), "default_reasoning_summary", json!("auto")),
        (json!({"verbosity": "low"}), "default_verbosity", json!("low")),
        (json!({"verbosity": "low"}), "support_verbosity", json!(true)),
        (json!({"base_instructions": "b"}), "base_instructions", json!("b")),
        (json!({"auto_review_model_override": "r"}), "auto_review_model_override", json!("r")),
        (json!({"input_modalities": ["text", "image"]}), "input_modalities", json!(["text", "image"])),
        (json!({"lite": true}), "use_responses_lite", json!(true)),
        (json!({"tool_mode": "code_mode"}), "tool_mode", json!("code_mode")),
        (json!({"multi_agent_version": "v2"}), "multi_agent_version", json!("v2")),
        (json!({"shell_type": "disabled"}), "shell_type", json!("disabled")),
        (json!({"visibility": "hide"}), "visibility", json!("hide")),
        (json!({"priority": -1}), "priority", json!(-1)),
        (
            json!({"truncation": {"mode": "bytes", "limit": 5}}),
            "truncation_policy",
            json!({"mode": "bytes", "limit": 5}),
        ),
        (json!({"web_search": "text_and_image"}), "web_search_tool_type", json!("text_and_image")),
        (json!({"experimental_tools": ["clock"]}), "experimental_supported_tools", json!(["clock"])),
        (json!({"codex": {"comp_hash": "h"}}), "comp_hash", json!("h")),
        (json!({"codex": {"priority": 7}}), "priority", json!(7)),
    ];
    for (settings, name, want) in rows {
        assert_eq!(made(settings.clone())[name], want, "{settings}");
    }
}

#[test]
fn further_members_that_would_break_the_catalog_are_left_out() {
    let entry = made(json!({"codex": {"visibility": "often", "comp_hash": "h"}}));
    assert_eq!(entry["visibility"], "list");
    assert_eq!(entry.get("comp_hash"), None);
}
