#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};

use super::*;

#[test]
fn the_response_has_all_that_a_response_has() {
    let frame = r#"{"type":"response.create","generate":false,"model":"m","store":false,"temperature":1.50,
        "tools":[{"type":"custom"}],"tool_choice":{"type":"function","name":"f"},"instructions":"be brief"}"#;
    let create = Create::parse(frame.into()).unwrap();
    let prewarm = Prewarm::new(&create, Some("before".into()));
    let [created, completed] = prewarm.events.each_ref().map(|event| serde_json::from_slice::<Json>(event).unwrap());
    assert_eq!((&created["type"], &created["sequence_number"]), (&json!("response.created"), &json!(0)));
    assert_eq!((&completed["type"], &completed["sequence_number"]), (&json!("response.completed"), &json!(1)));
    assert_eq!(
        (&created["response"]["status"], &created["response"]["completed_at"]),
        (&json!("in_progress"), &json!(null))
    );
    let response = &completed["response"];
    for (name, value) in [
        ("id", json!(prewarm.id)),
        ("object", json!("response")),
        ("status", json!("completed")),
        ("model", json!("m")),
        ("store", json!(false)),
        ("temperature", json!(1.5)),
        ("instructions", json!("be brief")),
        ("previous_response_id", json!("before")),
        ("tool_choice", json!({"type": "function", "name": "f"})),
        ("output", json!([])),
        ("error", json!(null)),
        ("usage", json!(null)),
        ("metadata", json!({})),
        ("parallel_tool_calls", json!(true)),
    ] {
        assert_eq!(response[name], value, "{name}");
    }
    assert!(response["created_at"].is_u64() && response["completed_at"].is_u64());
}

#[test]
fn ids_differ() {
    let ids: std::collections::HashSet<_> = (0..100).map(|_| new_id()).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| id.len() == 53 && id.starts_with("resp_")));
}
