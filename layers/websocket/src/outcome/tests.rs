#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};

use super::*;

fn read(limit: usize, events: &[Json]) -> Outcome {
    let mut outcome = Outcome::new(limit);
    for event in events {
        outcome.event(&Event::from_text(format!("data: {event}\n\n").into()));
    }
    outcome
}

fn done(item: &str) -> Json {
    json!({"type": "response.output_item.done", "item": {"id": item}})
}

fn ended(kind: &str, output: &[&str]) -> Json {
    let output: Vec<_> = output.iter().map(|item| json!({"id": item})).collect();
    json!({"type": kind, "response": {"id": "r", "output": output}})
}

#[test]
fn how_answers_end() {
    for (kind, end) in [
        ("response.completed", Some(End::Kept)),
        ("response.incomplete", Some(End::Kept)),
        ("response.failed", Some(End::Failed)),
        ("response.cancelled", Some(End::Failed)),
        ("error", Some(End::Error)),
        ("response.created", None),
        ("response.in_progress", None),
    ] {
        let outcome = read(1000, &[ended(kind, &[])]);
        assert_eq!(outcome.end(), end, "{kind}");
        assert_eq!(outcome.kept().map(|kept| kept.0), (end == Some(End::Kept)).then_some("r"), "{kind}");
    }
}

#[test]
fn what_is_gone_on_from() {
    for (events, items) in [
        (vec![done("a"), done("b"), ended("response.completed", &["a", "b"])], "ab"),
        (vec![done("a"), ended("response.completed", &[])], "a"),
        (vec![ended("response.completed", &["a", "b"])], "ab"),
        (vec![done("x"), ended("response.incomplete", &["a", "b"])], "ab"),
        (vec![done("x"), ended("response.completed", &["a"])], "x"),
        (vec![done("a"), json!({"type": "response.completed", "response": {"id": "r"}})], "a"),
    ] {
        let outcome = read(1000, &events);
        let found: String = outcome.kept().unwrap().1.iter().map(|item| item.member_str("id").unwrap()).collect();
        assert_eq!(found, items, "{events:?}");
    }
}

#[test]
fn nothing_can_be_gone_on_from_without_an_id_or_with_items_that_are_no_json() {
    assert!(read(1000, &[json!({"type": "response.completed"})]).kept().is_none());
    assert!(read(1000, &[json!({"type": "response.completed", "response": {"id": null}})]).kept().is_none());
    let mut outcome = Outcome::new(1000);
    outcome.event(&Event::from_text("data: {\"type\":\"response.output_item.done\",\"item\":{nonsense}}\n\n".into()));
    outcome.event(&Event::from_text(format!("data: {}\n\n", ended("response.completed", &["a"])).into()));
    assert!(outcome.kept().is_none());
}

#[test]
fn what_is_kept_is_bounded() {
    let outcome = read(30, &[done("0123456789"), done("0123456789"), ended("response.completed", &["a", "b", "c"])]);
    assert!(outcome.is_too_large());
    assert!(outcome.kept().unwrap().1.is_empty());
}
