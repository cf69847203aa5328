//! What an operator can see of it.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;

/// What is counted while this runs, by name and labels.
fn counted(run: impl FnOnce()) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, run);
    let counts = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let (name, labels) = key.key().clone().into_parts();
        let labels: String = labels.iter().map(|label| format!(" {}", label.value())).collect();
        let DebugValue::Counter(count) = value else { panic!("{name:?} is no counter") };
        (format!("{}{labels}", name.as_str()), count)
    });
    counts.collect()
}

fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.map(|(name, count)| (name.to_owned(), count)).into()
}

#[test]
fn calls_and_repairs_are_counted_once() {
    let half = r#"{"input":"*** Beg"#;
    let counted = counted(|| {
        for events in [
            call_events("shell", &["{}"]),
            call_events("mcp__fs__read", &["{}"]),
            call_events("sp_ace_1f", &["{}"]),
            call_events("mcp__fs.read", &["{}"]),
            call_events("unheard_of", &["{}"]),
            call_events("apply_patch", &[r#"{"input":"x"}"#]),
            call_events("apply_patch", &["*** Begin Patch"]),
            call_events("apply_patch", &["\"*** Begin Patch\""]),
            call_events("tool_search", &["{}"]),
            vec![item_event("done", &function_call("apply_patch", half)), response_event("incomplete", &[])],
        ] {
            run_text(&map(), &sse(&number(&events)), MAX);
        }
    });
    let expected = [
        ("tower_responses_call_names_repaired_total", 1),
        ("tower_responses_calls_restored_total custom", 3),
        ("tower_responses_calls_restored_total function", 3),
        ("tower_responses_calls_restored_total tool_search", 1),
        ("tower_responses_custom_inputs_repaired_total bare_string", 1),
        ("tower_responses_custom_inputs_repaired_total text", 1),
        ("tower_responses_cut_calls_total", 1),
        ("tower_responses_unknown_calls_total", 1),
    ];
    assert_eq!(counted, counts(expected));
}

#[test]
fn an_item_is_counted_where_it_is_first_seen_whole() {
    let restore = |stage: Stage, item: &Json| {
        let restorer = Restorer::new(map());
        let mut item = Value::from_text(item.to_string());
        counted(|| restorer.item(stage, Some(0), None).restore(&mut item))
    };
    let patch = function_call("apply_patch", "*** Begin Patch");
    let expected =
        [("tower_responses_calls_restored_total custom", 1), ("tower_responses_custom_inputs_repaired_total text", 1)];
    assert_eq!(restore(Stage::Done, &patch), counts(expected));
    assert_eq!(restore(Stage::Listed, &patch), counts([]));
    assert_eq!(restore(Stage::Added, &patch), counts([]));
}

/// An upstream that names the namespace itself may know tools that this map does not.
#[test]
fn a_call_that_nobody_declared_is_counted_unless_its_namespace_is_told() {
    let unknown = |item: &Json| {
        let mut item = Value::from_text(item.to_string());
        counted(|| Restorer::new(map()).restore_item(&mut item, 0))
    };
    let call = function_call("unheard_of", "{}");
    let counted_once = counts([("tower_responses_unknown_calls_total", 1)]);
    assert_eq!(unknown(&call), counted_once);
    assert_eq!(unknown(&with(call.clone(), json!({"namespace": ""}))), counted_once);
    assert_eq!(unknown(&with(call, json!({"namespace": "mcp__other"}))), counts([]));
}

#[test]
fn an_answer_that_came_compressed_is_counted() {
    for (coding, times) in [(None, 0), (Some("identity"), 0), (Some("gzip"), 1)] {
        let mut head = http::Response::builder();
        if let Some(coding) = coding {
            head = head.header(CONTENT_ENCODING, coding);
        }
        let (mut head, ()) = head.body(()).unwrap().into_parts();
        let counted = counted(|| Restorer::new(map()).head(&mut head));
        assert_eq!(counted.get("tower_responses_compressed_answers_total").copied().unwrap_or(0), times, "{coding:?}");
    }
}
