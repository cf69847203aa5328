use serde_json::{Value as Json, json};

use super::*;

fn parse(value: &Json) -> UpstreamModels {
    UpstreamModels::parse(value.to_string().into()).unwrap()
}

#[test]
fn lists_of_many_servers() {
    let ids = |value: Json| parse(&value).ids().map(String::from).collect::<Vec<_>>();
    assert_eq!(ids(json!({"object": "list", "data": [{"id": "a"}, {"id": "b"}]})), ["a", "b"]);
    assert_eq!(ids(json!([{"id": "a"}])), ["a"]);
    assert_eq!(ids(json!({"data": []})), [""; 0]);
    assert_eq!(ids(json!({"data": null, "models": [{"slug": "c"}]})), ["c"]);
    // llama.cpp
    assert_eq!(ids(json!({"models": [{"name": "m", "model": "m"}], "object": "list", "data": [{"id": "m"}]})), ["m"]);
    // Bad entries, and one that comes twice.
    assert_eq!(ids(json!({"data": [1, null, {}, {"id": 7}, "x", {"id": "a"}, {"id": "a", "n": 2}]})), ["a"]);
}

#[test]
fn what_is_no_list() {
    for text in ["", "<html>", "{", "{}", r#"{"error":{"message":"no"}}"#, r#"{"data":{}}"#, "3", "null"] {
        assert!(UpstreamModels::parse(text.into()).is_err(), "{text}");
    }
}

#[test]
fn context_windows() {
    let rows = [
        (json!({"max_model_len": 65536}), Some(65536)),
        (json!({"context_window": 8192, "max_model_len": null}), Some(8192)),
        (json!({"context_length": 131_072.0}), Some(131_072)),
        (json!({"loaded_context_length": 4096, "max_context_length": 32768}), Some(4096)),
        (json!({"max_context_length": 32768}), Some(32768)),
        (json!({"max_input_tokens": 200_000}), Some(200_000)),
        (json!({"meta": {"n_ctx": 16384, "n_ctx_train": 40960}}), Some(16384)),
        (json!({"max_model_len": "65536"}), None),
        (json!({"max_model_len": 0}), None),
        (json!({"max_model_len": -1}), None),
        (json!({"max_model_len": 1e30}), None),
        (json!({}), None),
    ];
    for (mut card, want) in rows {
        card["id"] = json!("m");
        assert_eq!(parse(&json!({"data": [card]})).hints("m").unwrap().context_window, want, "{card}");
    }
}

#[test]
fn modalities_of_many_servers() {
    let sees = Some(vec![Modality::Text, Modality::Image]);
    let rows = [
        (json!({"architecture": {"input_modalities": ["text", "image", "file"]}}), sees.clone()),
        (json!({"input_modalities": ["text"]}), Some(vec![Modality::Text])),
        (json!({"capabilities": ["completion", "multimodal"]}), sees.clone()),
        (json!({"capabilities": {"vision": true}}), sees),
        (json!({"capabilities": {"vision": false}}), None),
        (json!({"capabilities": ["completion"]}), None),
        (json!({"input_modalities": ["smell"]}), None),
        (json!({}), None),
    ];
    for (entry, want) in rows {
        assert_eq!(ModelHints::of(&entry.clone().into()).input_modalities, want, "{entry}");
    }
}

#[test]
fn both_lists_of_one_answer_are_read_together() {
    let list = parse(&json!({
        "data": [{"id": "m", "object": "model"}],
        "models": [{"name": "m", "capabilities": ["multimodal"]}, {"slug": "n", "context_window": 10}],
    }));
    assert_eq!(list.hints("m").unwrap().input_modalities, Some(vec![Modality::Text, Modality::Image]));
    assert_eq!(list.hints("n").unwrap().context_window, Some(10));
    assert!(!list.has_codex_entry("n"));
}
