//! What an operator can see of it.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;

#[test]
fn calls_and_repairs_are_counted_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let half = r#"{"input":"*** Beg"#;
    metrics::with_local_recorder(&recorder, || {
        for events in [
            call_events("shell", &["{}"]),
            call_events("mcp__fs__read", &["{}"]),
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
    let counted: BTreeMap<String, u64> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let (name, labels) = key.key().clone().into_parts();
            let labels: String = labels.iter().map(|label| format!(" {}", label.value())).collect();
            let DebugValue::Counter(count) = value else { panic!("{name:?} is no counter") };
            (format!("{}{labels}", name.as_str()), count)
        })
        .collect();
    let expected = [
        ("tower_responses_call_names_repaired_total", 1),
        ("tower_responses_calls_restored_total custom", 3),
        ("tower_responses_calls_restored_total function", 2),
        ("tower_responses_calls_restored_total tool_search", 1),
        ("tower_responses_custom_inputs_repaired_total bare_string", 1),
        ("tower_responses_custom_inputs_repaired_total text", 1),
        ("tower_responses_cut_calls_total", 1),
        ("tower_responses_unknown_calls_total", 1),
    ];
    assert_eq!(counted, expected.map(|(name, count)| (name.to_owned(), count)).into());
}
