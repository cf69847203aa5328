#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};

use super::*;
use crate::check_entry;

fn build(upstream: &Json, aliases: &[(&str, &str)], settings: Json) -> Catalog {
    let upstream = UpstreamModels::parse(upstream.to_string().into()).unwrap();
    Catalog::build(Some(&upstream), aliases.iter().copied(), &serde_json::from_value(settings).unwrap())
}

fn document(catalog: &Catalog) -> Json {
    serde_json::from_slice(&catalog.document().text()).unwrap()
}

fn vllm() -> Json {
    json!({"object": "list", "data": [{
        "id": "tiny", "object": "model", "created": 1_790_000_000, "owned_by": "vllm", "root": "/models/tiny",
        "parent": null, "max_model_len": 65536, "permission": [{"id": "modelperm-1", "object": "model_permission"}],
    }]})
}

#[test]
fn the_list_of_vllm_with_an_alias() {
    let catalog = build(&vllm(), &[("coder", "tiny"), ("gpt-*", "tiny")], json!({"coder": {"lite": true}}));
    let document = document(&catalog);
    assert_eq!(document["object"], "list");
    assert_eq!(document["data"][0], vllm()["data"][0]);
    let mut alias = vllm()["data"][0].clone();
    alias["id"] = json!("coder");
    assert_eq!(document["data"][1], alias);
    assert_eq!(document["data"].as_array().unwrap().len(), 2);
    let models = document["models"].as_array().unwrap();
    let row =
        |at: usize| ["slug", "context_window", "use_responses_lite", "priority"].map(|name| models[at][name].clone());
    assert_eq!(row(0), [json!("tiny"), json!(65536), json!(false), json!(1)]);
    assert_eq!(row(1), [json!("coder"), json!(65536), json!(true), json!(2)]);
    for model in models {
        assert_eq!(check_entry(&model.clone().into()), Ok(()));
    }
}

#[test]
fn the_cards_of_the_upstream_keep_their_bytes() {
    let text = r#"{"data":[ {"id":"m", "object":"model","created":1.0e3,"owned_by":"x","zeta":1,"alpha":[ 2 ]} ]}"#;
    let upstream = UpstreamModels::parse(text.into()).unwrap();
    let catalog = Catalog::build(Some(&upstream), [], &Settings::new());
    let card = r#"{"id":"m", "object":"model","created":1.0e3,"owned_by":"x","zeta":1,"alpha":[ 2 ]}"#;
    assert_eq!(catalog.get("m").unwrap().text(), card);
    assert!(std::str::from_utf8(&catalog.document().text()).unwrap().contains(card));
}

#[test]
fn an_alias_hides_what_the_upstream_calls_the_same() {
    let upstream = json!({"data": [{"id": "a", "max_model_len": 1}, {"id": "b", "max_model_len": 2}]});
    let catalog = build(&upstream, &[("a", "b")], json!({}));
    assert_eq!(catalog.ids().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(document(&catalog)["data"][0]["max_model_len"], 2);
    assert_eq!(document(&catalog)["models"][0]["context_window"], 2);
}

#[test]
fn an_alias_of_a_model_elsewhere_and_one_that_only_the_settings_name() {
    let catalog = build(&json!({"data": []}), &[("far", "other")], json!({"own": {"context_window": 5}, "x*": {}}));
    assert_eq!(catalog.ids().collect::<Vec<_>>(), ["far", "own"]);
    assert_eq!(
        document(&catalog)["data"][0],
        json!({"id": "far", "object": "model", "created": 0, "owned_by": "tower-responses"})
    );
    assert_eq!(document(&catalog)["models"][1]["context_window"], 5);
}

#[test]
fn complete_entries_of_the_upstream_win_and_incomplete_ones_are_only_read() {
    let complete = json!({
        "slug": "m", "display_name": "M", "supported_reasoning_levels": [], "shell_type": "local", "visibility": "hide",
        "supported_in_api": true, "priority": 9, "support_verbosity": false, "comp_hash": "kept",
        "truncation_policy": {"mode": "bytes", "limit": 1}, "experimental_supported_tools": [], "base_instructions": "i",
    });
    let upstream = json!({
        "data": [{"id": "m"}],
        "models": [complete, {"slug": "n", "display_name": "N", "context_window": 77, "visibility": 4}, {"x": 1}, 5],
    });
    let catalog = build(&upstream, &[("alias", "m")], json!({"*": {"lite": true}}));
    let document = document(&catalog);
    assert_eq!(document["models"][0], complete);
    assert_eq!(document["models"][1]["slug"], "n");
    assert_eq!(document["models"][1]["context_window"], 77);
    assert_eq!(document["models"][1]["use_responses_lite"], true);
    assert_eq!(document["models"][2]["slug"], "alias");
    assert_eq!(document["models"][2]["comp_hash"], "kept");
    assert_eq!(document["data"][1]["id"], "n");
}

#[test]
fn a_file_for_codex() {
    let file: Json = serde_json::from_slice(&build(&vllm(), &[], json!({})).catalog_json()).unwrap();
    assert_eq!(file.as_object().unwrap().keys().collect::<Vec<_>>(), ["models"]);
    assert_eq!(file["models"][0]["slug"], "tiny");
}
