#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use serde_json::{Value as Json, json};
use tower_responses_core::json::Object;

use super::*;
use crate::{Normalized, Normalizer, UndeclaredCalls};

/// Tools that are long enough to be kept, one of them deferred.
fn tools(name: &str) -> Json {
    json!([
        {"type": "function", "name": name, "description": "d".repeat(5000), "parameters": {"type": "object"}},
        {"type": "namespace", "name": "files", "description": "Files.", "tools": [
            {"type": "function", "name": "read", "parameters": {}, "defer_loading": true},
        ]},
    ])
}

fn normalize(normalizer: &Normalizer, request: &Json) -> (String, Normalized) {
    let mut body = Object::parse(request.to_string().into()).unwrap();
    let normalized = normalizer.normalize(&mut body).unwrap();
    (String::from_utf8(body.text().to_vec()).unwrap(), normalized)
}

fn kept(normalizer: &Normalizer) -> usize {
    lock(&normalizer.recent.catalogs).lists.len()
}

fn call(name: &str, namespace: Option<&str>) -> Json {
    json!({"type": "function_call", "name": name, "namespace": namespace, "call_id": "c", "arguments": "{}"})
}

#[test]
fn a_list_that_is_known_gives_what_it_gave_whatever_came_between() {
    let search = json!({"type": "tool_search", "execution": "client", "description": "Finds."});
    let mut with_search = tools("run");
    with_search.as_array_mut().unwrap().push(search.clone());
    let found = json!({"type": "tool_search_output", "call_id": "s", "execution": "client", "tools": [
        {"type": "function", "name": "look", "parameters": {}},
        {"type": "function", "name": "run", "description": "another", "parameters": {"type": "object", "title": "t"}},
    ]});
    let inputs = [
        json!("hi"),
        // A deferred tool is shown, an undeclared one declared.
        json!([call("read", Some("files")), call("gone", None)]),
        json!([found]),
        json!([{"type": "additional_tools", "tools": [search]}]),
        json!("hi"),
    ];
    let normalizer = Normalizer::new();
    for tools in [tools("run"), with_search] {
        for input in &inputs {
            let request = json!({"input": input, "tools": tools, "tool_choice": "auto"});
            let (again, known) = normalize(&normalizer, &request);
            let (first, new) = normalize(&Normalizer::new(), &request);
            assert_eq!(again, first, "{input}");
            assert_eq!(known.dropped, new.dropped);
            assert_eq!(known.map.declared_tools(), new.map.declared_tools());
            assert_eq!(known.map.len(), new.map.len());
            for name in ["run", "look", "gone", "files__read", "tool_search"] {
                assert_eq!(known.map.resolve(name), new.map.resolve(name), "{name}");
            }
        }
    }
    assert!(kept(&normalizer) > 1);
}

#[test]
fn a_known_list_is_not_read_again() {
    let normalizer = Normalizer::new();
    let request = json!({"input": "hi", "tools": tools("run")});
    let (_, first) = normalize(&normalizer, &request);
    let (_, second) = normalize(&normalizer, &request);
    let text = |normalized: &Normalized| normalized.map.declared_tools().unwrap().text().as_ptr();
    assert_eq!(text(&first), text(&second));
    assert_eq!(kept(&normalizer), 1);
}

#[test]
fn other_settings_read_it_again() {
    let request = json!({"input": [call("gone", None)], "tools": tools("run")});
    let normalizer = Normalizer::new();
    assert!(normalize(&normalizer, &request).0.contains("Was called earlier"));
    let silent = normalizer.clone().undeclared_calls(UndeclaredCalls::Pass);
    assert_eq!(kept(&silent), 0);
    assert!(!normalize(&silent, &request).0.contains("Was called earlier"));
}

#[test]
fn lists_are_kept_up_to_a_bound_and_the_last_ones_stay() {
    let normalizer = Normalizer::new();
    let too_long = "x".repeat(*LENGTHS.end());
    // Each takes more than its text.
    let too_many: Vec<_> = (0..2000).map(|at| json!({"type": "function", "name": format!("f{at}")})).collect();
    assert!(LENGTHS.contains(&json!(too_many).to_string().len()));
    for tools in [json!([]), json!(null), json!([{"type": "function", "name": "f"}]), json!(too_long), json!(too_many)]
    {
        normalize(&normalizer, &json!({"input": "hi", "tools": tools}));
    }
    assert_eq!(kept(&normalizer), 0);
    for round in 0..100 {
        let mut tools = tools(&format!("run_{round}"));
        tools[0]["description"] = "d".repeat(1000 * round).into();
        let found = json!({"type": "tool_search_output", "call_id": "s", "execution": "client", "tools": tools});
        normalize(&normalizer, &json!({"input": [found], "tools": tools}));
        // One that is used stays.
        normalize(&normalizer, &json!({"input": "hi", "tools": self::tools("always")}));
    }
    let bounded = |sizes: Vec<usize>, bytes: usize| {
        assert_eq!(sizes.iter().sum::<usize>(), bytes);
        assert!(bytes <= MOST && bytes > MOST / 2, "{bytes}");
    };
    let (all, found) = (lock(&normalizer.recent.catalogs), lock(&normalizer.recent.found));
    bounded(all.lists.iter().map(|list| list.size()).collect(), all.bytes);
    bounded(found.lists.iter().map(|list| list.size()).collect(), found.bytes);
    assert!(all.lists[0].text.windows(8).any(|text| text == b"\"always\""));
    assert!(all.lists[1].text.windows(8).any(|text| text == b"\"run_99\""));
}

#[test]
fn what_a_search_has_found_is_read_once_and_made_anew_under_another_name() {
    let found = |call_id: &str| {
        json!({"type": "tool_search_output", "call_id": call_id, "execution": "client", "tools": [
            {"type": "namespace", "name": "files", "description": "Files.", "tools": [
                {"type": "function", "name": "read", "description": "Reads. ".repeat(40), "parameters": {},
                    "defer_loading": true},
            ]},
            {"type": "custom", "name": "run", "description": "Runs."},
        ]})
    };
    let taken = json!({"type": "function", "name": "files__read", "parameters": {}});
    let described = json!({"type": "namespace", "name": "files", "description": "Others.", "tools": []});
    let normalizer = Normalizer::new();
    for tools in [json!([]), json!([taken]), json!([described]), json!([taken]), json!(null)] {
        for input in [json!([found("a")]), json!([found("a"), found("b")]), json!([call("run", None), found("a")])] {
            let request = json!({"input": input, "tools": tools});
            assert_eq!(normalize(&normalizer, &request).0, normalize(&Normalizer::new(), &request).0, "{request}");
        }
    }
    let lists = lock(&normalizer.recent.found);
    assert_eq!((lists.lists.len(), lists.bytes), (1, lists.lists[0].size()));
}

#[test]
fn namespaces_within_namespaces_are_not_followed_down() {
    let depth = 200_000;
    let open = r#"[{"type":"namespace","name":"n","tools":"#.repeat(depth);
    let tools = format!("{open}[]{}", "}]".repeat(depth));
    for request in [
        format!(r#"{{"input":"hi","tools":{tools}}}"#),
        format!(r#"{{"input":[{{"type":"tool_search_output","call_id":"c","execution":"client","tools":{tools}}}]}}"#),
    ] {
        let mut body = Object::parse(request.into()).unwrap();
        Normalizer::new().normalize(&mut body).unwrap();
    }
}
