#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};

use super::*;

fn cleaned(schema: &Json) -> Json {
    let mut value = Value::from(schema.clone());
    clean(&mut value);
    serde_json::from_slice(&value.text()).unwrap()
}

#[test]
fn private_keywords_leave_wherever_a_schema_may_stand() {
    let private = json!({"type": "string", "encrypted": true, "defer_loading": false});
    let plain = json!({"type": "string"});
    let places: [fn(Json) -> Json; 9] = [
        |schema| schema,
        |schema| json!({"properties": {"a": schema}}),
        |schema| json!({"properties": {"a": {"properties": {"b": schema}}}}),
        |schema| json!({"items": schema}),
        |schema| json!({"items": [schema]}),
        |schema| json!({"anyOf": [{"type": "null"}, schema]}),
        |schema| json!({"additionalProperties": schema, "not": schema}),
        |schema| json!({"$defs": {"x": schema}, "patternProperties": {"^a": schema}}),
        |schema| json!({"if": schema, "then": schema, "else": schema, "prefixItems": [schema]}),
    ];
    for place in places {
        assert_eq!(cleaned(&place(private.clone())), place(plain.clone()));
    }
}

#[test]
fn what_only_looks_private_stays() {
    let rows = [
        json!({"properties": {"encrypted": {"type": "boolean"}, "defer_loading": {"type": "string"}}}),
        json!({"required": ["encrypted"], "enum": ["encrypted"], "const": {"encrypted": true}}),
        json!({"encrypted": "a text", "description": "\"encrypted\""}),
        json!({"default": {"encrypted": true}, "examples": [{"encrypted": true}]}),
    ];
    for row in rows {
        assert_eq!(cleaned(&row), row);
    }
}

#[test]
fn what_stays_keeps_its_spelling() {
    let text =
        r#"{"z" : 1.0e2, "encrypted":true, "properties":{ "b":{"encrypted":true,"type":"string"}, "a": {"x":  1} }}"#;
    let mut schema = Value::from_text(text);
    clean(&mut schema);
    let expected = r#"{"z" : 1.0e2,"properties":{"b":{"type":"string"}, "a": {"x":  1} }}"#;
    assert_eq!(schema.text(), expected);
}

#[test]
fn depth_has_an_end() {
    let deep = |depth| format!(r#"{}{{"encrypted":true}}{}"#, r#"{"items":"#.repeat(depth), "}".repeat(depth));
    let cleaned = |depth| {
        let mut schema = Value::from_text(deep(depth));
        clean(&mut schema);
        schema.text()
    };
    assert!(!cleaned(DEEPEST - 1).windows(9).any(|text| text == b"encrypted"));
    assert_eq!(cleaned(10_000), deep(10_000));
    let deep = Value::from_text(format!(r#"{{"type":"object","items":{}}}"#, deep(10_000)));
    assert!(!is_enforceable(&deep));
}

/// Whichever way down, and at the same level.
#[test]
fn every_way_down_has_an_end() {
    for (open, close) in [("{\"items\":", "}"), ("{\"anyOf\":[", "]}"), ("{\"properties\":{\"a\":", "}}"), ("[", "]")] {
        let nested =
            |inner: &str, levels: usize| [open.repeat(levels), inner.to_owned(), close.repeat(levels)].concat();
        let is_cleaned = |levels: usize| {
            let mut schema = Value::from_text(nested(r#"{"encrypted":true}"#, levels));
            clean(&mut schema);
            schema.text() == nested("{}", levels)
        };
        assert!(is_cleaned(DEEPEST - 1), "{open}");
        assert!(!is_cleaned(DEEPEST), "{open}");
        if open == "[" {
            continue;
        }
        let is_known = |levels: usize| all_known(&Value::from_text(nested(r#"{"type":"string"}"#, levels)), DEEPEST);
        assert!(is_known(DEEPEST - 1), "{open}");
        assert!(!is_known(DEEPEST), "{open}");
    }
}

#[test]
fn only_schemas_that_every_engine_takes_are_enforced() {
    let object = |more: Json| {
        let mut schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}});
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    let rows = [
        (true, object(json!({}))),
        (true, object(json!({"additionalProperties": false, "required": ["a"]}))),
        (true, object(json!({"properties": {"a": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/x"}]}}}))),
        (true, object(json!({"properties": {"a": {"type": "array", "items": {"enum": [1, "b"]}, "maxItems": 3}}}))),
        (true, object(json!({"properties": {"a": true}}))),
        (false, object(json!({"properties": {"a": {"type": "nonsense"}}}))),
        (false, object(json!({"properties": {"a": {"type": "string", "pattern": "("}}}))),
        (false, object(json!({"properties": {"a": {"not": {}}}}))),
        (false, object(json!({"properties": {"a": {"$ref": "https://example.com/x"}}}))),
        (false, object(json!({"patternProperties": {"^a": {}}}))),
        (false, object(json!({"properties": {"a": {"anyOf": [{"type": 3}]}}}))),
        (false, object(json!({"properties": {"a": 1}}))),
        (false, object(json!({"x-own": 1}))),
        (false, json!({"properties": {}})),
        (false, json!({"type": "string"})),
        (false, json!(null)),
    ];
    for (expected, schema) in rows {
        assert_eq!(is_enforceable(&schema.clone().into()), expected, "{schema}");
    }
}
