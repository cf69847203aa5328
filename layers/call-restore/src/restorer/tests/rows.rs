//! What becomes of the calls of an upstream that knows functions alone, row by row.

use super::*;

/// Restores one item in a JSON response and in a stream that has nothing else of it.
#[track_caller]
fn check_item(item: &Json, expected: &Json) {
    let response = |item: &Json| json!({"object": "response", "status": "completed", "output": [item]});
    assert_eq!(restore_object(&map(), &response(item)), response(expected), "JSON");
    let stream = |item: &Json| [item_event("done", item), response_event("completed", std::slice::from_ref(item))];
    check(&stream(item), &stream(expected));
}

#[test]
fn calls_of_every_kind() {
    let named = |name: &str, namespace: &str| with(function_call(name, "{}"), json!({"namespace": namespace}));
    for (item, expected) in [
        // A function of its own name, and one that nobody declared: untouched.
        (function_call("shell", r#"{"cmd": "ls"}"#), function_call("shell", r#"{"cmd": "ls"}"#)),
        (function_call("unheard_of", "{}"), function_call("unheard_of", "{}")),
        // A name that the upstream could not be given.
        (function_call("sp_ace_1f", "{}"), function_call("sp ace", "{}")),
        // Of a namespace, and what models make of its name.
        (function_call("mcp__fs__read", "{}"), named("read", "mcp__fs")),
        (function_call("mcp__fs.read", "{}"), named("read", "mcp__fs")),
        (function_call("mcp__fs/read", "{}"), named("read", "mcp__fs")),
        (function_call("read", "{}"), named("read", "mcp__fs")),
        (function_call("functions.mcp__fs__read", "{}"), named("read", "mcp__fs")),
        (with(function_call("mcp__fs__read", "{}"), json!({"namespace": null})), named("read", "mcp__fs")),
        (with(function_call("mcp__fs__read", "{}"), json!({"namespace": ""})), named("read", "mcp__fs")),
        // Free text.
        (function_call("apply_patch", r#"{"input":"a\n\"b\""}"#), custom_call("apply_patch", "a\n\"b\"")),
        (function_call("js__exec", r#"{"input":"1"}"#), with(custom_call("exec", "1"), json!({"namespace": "js"}))),
        // The search for tools.
        (
            function_call("tool_search", r#" {"query": "x", "limit": 2} "#),
            search_call(json!({"query": "x", "limit": 2})),
        ),
    ] {
        check_item(&item, &expected);
    }
}

#[test]
fn arguments_that_are_not_as_they_were_asked_for() {
    for (arguments, input) in [
        (r#"{ "input" : "x" }"#, "x"),
        ("\n{\"x\":1,\"input\":\"x\"}\n", "x"),
        (r#"{"input":"x","x":{"input":"no"}}"#, "x"),
        (r#"{"x":[{"input":"no"}],"input":"x"}"#, "x"),
        (r#"{"in\u0070ut":"x"}"#, "x"),
        ("{\"input\":\"raw\nline\"}", "raw\nline"),
        (r#"{"input":"\d+"}"#, "\\d+"),
        (r#"{"input":"a\ud83d b"}"#, "a\u{FFFD} b"),
        // A JSON string, and text.
        (r#""*** Begin Patch\n""#, "*** Begin Patch\n"),
        ("*** Begin Patch\n", "*** Begin Patch\n"),
        ("200", "200"),
        ("\"a\" and \"b\"", "\"a\" and \"b\""),
        // No input to be found.
        (r#"{"patch":"x"}"#, r#"{"patch":"x"}"#),
        (r#"{"input":["x"]}"#, r#"{"input":["x"]}"#),
        (r#"["x"]"#, r#"["x"]"#),
        ("{}", "{}"),
        ("", ""),
        // Broken: no part of it is taken for the whole.
        (r#"{"input":"rm "-rf" x"}"#, r#"{"input":"rm "-rf" x"}"#),
        (r#"{"input":"x"} and more"#, r#"{"input":"x"} and more"#),
        (r#"{"input":"x"#, r#"{"input":"x"#),
    ] {
        check_item(&function_call("apply_patch", arguments), &custom_call("apply_patch", input));
    }
    for (arguments, expected) in [
        ("", json!({})),
        (r#""github issues""#, json!({"query": "github issues"})),
        ("github issues", json!({"query": "github issues"})),
        (r#"["a"]"#, json!({"query": r#"["a"]"#})),
    ] {
        check_item(&function_call("tool_search", arguments), &search_call(expected));
    }
    let object = with(function_call("apply_patch", ""), json!({"arguments": {"input": "x"}}));
    check_item(&object, &custom_call("apply_patch", "x"));
    let object = with(function_call("shell", ""), json!({"arguments": {"cmd": "ls"}}));
    check_item(&object, &function_call("shell", r#"{"cmd":"ls"}"#));
}

#[test]
fn what_every_call_has() {
    let (function, custom) = (function_call("shell", "{}"), custom_call("apply_patch", "x"));
    let as_custom = function_call("apply_patch", "x");
    for (item, expected) in [
        (without(function.clone(), &["id"]), with(function.clone(), json!({"id": "fc_call_1"}))),
        (without(as_custom.clone(), &["id"]), with(custom.clone(), json!({"id": "ctc_call_1"}))),
        (
            with(function_call("tool_search", "{}"), json!({"id": null})),
            with(search_call(json!({})), json!({"id": "tsc_call_1"})),
        ),
        // An id of the upstream's own making stays.
        (with(as_custom.clone(), json!({"id": "abc"})), with(custom.clone(), json!({"id": "abc"}))),
        (without(function.clone(), &["status"]), function.clone()),
        (with(as_custom, json!({"status": null})), custom),
        (without(function.clone(), &["call_id"]), with(function.clone(), json!({"call_id": "fc_1"}))),
        (
            without(function.clone(), &["id", "call_id"]),
            with(function, json!({"id": "fc_call_00000000000000070", "call_id": "call_00000000000000070"})),
        ),
    ] {
        check_item(&item, &expected);
    }
}

#[test]
fn every_occurrence_of_a_name() {
    let renamed = |event: Json| {
        let text = event.to_string().replace("mcp__fs__read", "read");
        let mut event: Json = serde_json::from_str(&text).unwrap();
        if let Some(item) = event.get_mut("item") {
            item["namespace"] = json!("mcp__fs");
        }
        if let Some(item) = event.pointer_mut("/response/output/0") {
            item["namespace"] = json!("mcp__fs");
        }
        event
    };
    let events = call_events("mcp__fs__read", &["{\"pa", "th\":1}"]);
    let expected: Vec<_> = events.iter().cloned().map(renamed).collect();
    check(&events, &expected);
}

#[test]
fn a_custom_call_streams_its_text() {
    let deltas = ["{\"in", "put\": \"*** Begin", " Patch\\", "n+é\\ud83d", "\\ude00\\u00", "e9", "\"", "}"];
    let item = custom_call("apply_patch", "*** Begin Patch\n+é😀é");
    check(&call_events("apply_patch", &deltas), &custom_events(&item, &["*** Begin", " Patch", "\n+é", "😀", "é"]));
}

#[test]
fn a_custom_call_of_a_namespace_streams_its_text() {
    let item = with(custom_call("exec", "1;"), json!({"namespace": "js"}));
    check(&call_events("js__exec", &["{\"input\":\"1", ";\"}"]), &custom_events(&item, &["1", ";"]));
}

#[test]
fn text_streams_as_it_is_and_a_bare_string_comes_at_the_end() {
    let item = custom_call("apply_patch", " *** Begin");
    check(&call_events("apply_patch", &[" ", "*** ", "Begin"]), &custom_events(&item, &[" *** ", "Begin"]));
    let item = custom_call("apply_patch", "*** Begin");
    check(&call_events("apply_patch", &["\"*** ", "Begin\""]), &custom_events(&item, &["*** Begin"]));
    let item = custom_call("apply_patch", "{\"patch\":1}");
    check(&call_events("apply_patch", &["{\"patch\"", ":1}"]), &custom_events(&item, &["{\"patch\":1}"]));
}

#[test]
fn a_surrogate_cut_in_the_outer_json_too() {
    // A server that escapes everything may cut a pair between two events.
    let text = sse(&number(&call_events("apply_patch", &["{\"input\":\"", "@1@", "@2@", "\"}"])))
        .replace("@1@@2@", "😀")
        .replace("@1@", "\\ud83d")
        .replace("@2@", "\\ude00");
    let out = parse_sse(&run_text(&map(), &text, MAX));
    assert_eq!(out, number(&custom_events(&custom_call("apply_patch", "😀"), &["😀"])));
}

#[test]
fn a_search_has_no_events_of_its_arguments() {
    let item = search_call(json!({"query": "x"}));
    let added = with(search_call(json!({})), json!({"status": "in_progress"}));
    check(
        &call_events("tool_search", &["{\"query\"", ":\"x\"}"]),
        &[
            response_event("created", &[]),
            item_event("added", &added),
            item_event("done", &item),
            response_event("completed", &[item]),
        ],
    );
}

#[test]
fn arguments_that_come_only_in_done() {
    let is_delta = |event: &Json| event["type"].as_str().unwrap().ends_with("delta");
    let whole: Vec<_> =
        call_events("apply_patch", &[r#"{"input":"x"}"#]).into_iter().filter(|event| !is_delta(event)).collect();
    let as_function = |events: &[Json]| -> Vec<Json> {
        events.iter().map(|e| serde_json::from_str(&e.to_string().replace("apply_patch", "shell")).unwrap()).collect()
    };
    for blank in [json!(""), json!(null)] {
        let mut events = whole.clone();
        for event in &mut events {
            if event["type"] == "response.output_item.done" {
                event["item"]["arguments"] = blank.clone();
            }
        }
        check(&events, &custom_events(&custom_call("apply_patch", "x"), &[]));
        // A plain function, too.
        check(&as_function(&events), &as_function(&whole));
    }
}

#[test]
fn arguments_that_come_only_with_the_item() {
    let item = function_call("apply_patch", r#"{"input":"x"}"#);
    let restored = custom_call("apply_patch", "x");
    let added = item_event("added", &with(function_call("apply_patch", ""), json!({"status": "in_progress"})));
    let restored_added = item_event("added", &with(custom_call("apply_patch", ""), json!({"status": "in_progress"})));
    check(
        &[added, item_event("done", &item), response_event("completed", &[item])],
        &[restored_added, item_event("done", &restored), response_event("completed", &[restored])],
    );
}

#[test]
fn done_without_an_item_that_was_added() {
    let done = |kind: &str, member: &str, name: &str, text: &str| json!({"type": format!("response.{kind}.done"), "item_id": "fc_1", "output_index": 0, "name": name, member: text});
    check(
        &[done("function_call_arguments", "arguments", "apply_patch", r#"{"input":"x"}"#)],
        &[done("custom_tool_call_input", "input", "apply_patch", "x")],
    );
    let text = delta("output_text", "m", "x");
    check(&[done("function_call_arguments", "arguments", "tool_search", "{}"), text.clone()], &[text]);
}

/// The same event of a second call.
fn of_second(event: &Json) -> Json {
    let text = event.to_string().replace("fc_1", "fc_2").replace("tc_1", "tc_2").replace("call_1", "call_2");
    let mut event: Json = serde_json::from_str(&text).unwrap();
    event["output_index"] = json!(1);
    event
}

/// Two calls, an event of the one and an event of the other in turn.
fn weave(one: &[Json], two: &[Json]) -> Vec<Json> {
    let last = one.len() - 1;
    let mut events = vec![one[0].clone()];
    for (one, two) in one[1..last].iter().zip(&two[1..last]) {
        events.extend([one.clone(), of_second(two)]);
    }
    events.push(one[last].clone());
    events
}

#[test]
fn two_calls_interleaved() {
    let upstream = weave(
        &call_events("apply_patch", &["{\"input\":\"a", "b\\u00", "e9\"}"]),
        &call_events("apply_patch", &["{\"input\":\"1", "2\\u00", "e8\"}"]),
    );
    let client = weave(
        &custom_events(&custom_call("apply_patch", "abé"), &["a", "b", "é"]),
        &custom_events(&custom_call("apply_patch", "12è"), &["1", "2", "è"]),
    );
    check(&upstream, &client);
    // Told apart by one of the two alone.
    let strip = |events: &[Json], name: &str| -> Vec<Json> {
        let strip =
            |event: &Json| if event.get("delta").is_some() { without(event.clone(), &[name]) } else { event.clone() };
        events.iter().map(strip).collect()
    };
    check(&strip(&upstream, "output_index"), &strip(&client, "output_index"));
    check(&strip(&upstream, "item_id"), &client);
}

#[test]
fn two_calls_interleaved_without_ids() {
    let upstream = weave(
        &call_events("apply_patch", &["{\"input\":\"a", "b\"}"]),
        &call_events("apply_patch", &["{\"input\":\"1", "2\"}"]),
    );
    let client = weave(
        &custom_events(&custom_call("apply_patch", "ab"), &["a", "b"]),
        &custom_events(&custom_call("apply_patch", "12"), &["1", "2"]),
    );
    let named = |event: &Json| serde_json::from_str(&event.to_string().replace("\"ctc_", "\"ctc_call_")).unwrap();
    let client: Vec<Json> = client.iter().map(named).collect();
    for blank in [None, Some(json!(null)), Some(json!(""))] {
        let set = |object: &mut Json, name: &str| match &blank {
            Some(blank) => object[name] = blank.clone(),
            None => *object = without(object.clone(), &[name]),
        };
        let mut upstream = upstream.clone();
        for event in &mut upstream {
            if event.get("item_id").is_some() {
                set(event, "item_id");
            }
            if let Some(item) = event.get_mut("item") {
                set(item, "id");
            }
            if let Some(item) = event.pointer_mut("/response/output/0") {
                set(item, "id");
            }
        }
        check(&upstream, &client);
    }
}

#[test]
fn an_item_that_is_added_again_begins_anew() {
    for names in [&[][..], &["id"][..]] {
        let added = |item: Json| item_event("added", &without(with(item, json!({"status": "in_progress"})), names));
        let argument = |text| without(delta("function_call_arguments", "fc_1", text), &["item_id"]);
        let id = if names.is_empty() { "ctc_1" } else { "ctc_call_1" };
        let input = |text| delta("custom_tool_call_input", id, text);
        let restored = with(custom_call("apply_patch", ""), json!({"id": id, "status": "in_progress"}));
        let expected = item_event("added", &restored);
        check(
            &[
                added(function_call("apply_patch", "")),
                argument("{\"input\":\"a"),
                added(function_call("apply_patch", "")),
                argument("{\"input\":\"b"),
            ],
            &[expected.clone(), input("a"), expected, input("b")],
        );
    }
}

#[test]
fn two_calls_at_the_same_place_are_told_apart_by_id() {
    let second = |event: &Json| with(of_second(event), json!({"output_index": 0}));
    let upstream = call_events("apply_patch", &["{\"input\":\"a", "b\"}"]);
    let client = custom_events(&custom_call("apply_patch", "ab"), &["a", "b"]);
    let weave = |events: &[Json]| -> Vec<Json> {
        events[1..events.len() - 1].iter().flat_map(|event| [event.clone(), second(event)]).collect()
    };
    check(&weave(&upstream), &weave(&client));
}

#[test]
fn a_call_that_was_cut_is_listed_and_never_done() {
    for (name, half, item) in [
        ("apply_patch", r#"{"input":"*** Beg"#, custom_call("apply_patch", "*** Beg")),
        ("apply_patch", r#"{"inp"#, custom_call("apply_patch", r#"{"inp"#)),
        ("shell", r#"{"cmd":"rm -rf /tm"#, function_call("shell", r#"{"cmd":"rm -rf /tm"#)),
        ("mcp__fs__read", "{", with(function_call("read", "{"), json!({"namespace": "mcp__fs"}))),
    ] {
        let item = with(item, json!({"status": "incomplete"}));
        for terminal in ["incomplete", "failed"] {
            let mut events = call_events(name, &[half]);
            events.pop();
            events.push(response_event(terminal, &[function_call(name, half)]));
            let out = restore(&events);
            assert!(out.iter().all(|event| event["type"] != "response.output_item.done"), "{out:#?}");
            let last = out.last().unwrap();
            assert_eq!(last["response"]["output"], json!([item]));
            assert_eq!(last["sequence_number"], json!(out.len() - 1));
        }
        let response = |item: &Json| json!({"object": "response", "status": "incomplete", "output": [item]});
        assert_eq!(restore_object(&map(), &response(&function_call(name, half))), response(&item));
    }
}

#[test]
fn a_stream_that_breaks_off_ends_without_the_call() {
    let mut events = call_events("apply_patch", &[r#"{"input":"*** Beg"#]);
    events.pop();
    let out = restore(&events);
    assert_eq!(out.len(), 4);
    assert!(out.iter().all(|event| event["type"] != "response.output_item.done"));
}

#[test]
fn echoes_say_what_the_client_declared() {
    let declared = json!([{"type": "custom", "name": "apply_patch", "format": {"type": "grammar"}}]);
    let custom = json!({"type": "custom", "name": "apply_patch"});
    let value = |json: &Json| Value::from_text(json.to_string());
    let response = |tools: &Json, choice: &Json| json!({"object": "response", "status": "completed", "tools": tools, "tool_choice": choice, "output": []});
    let shown = response(&json!([{"type": "function"}]), &json!({"type": "function", "name": "x"}));
    for (tools, choice, expected) in [
        (Some(&declared), Some(&custom), response(&declared, &custom)),
        (Some(&declared), None, response(&declared, &json!("auto"))),
        (None, None, response(&json!([]), &json!("auto"))),
    ] {
        let mut map = ToolMap::builder();
        map.declared(tools.map(value), choice.map(value));
        let map = map.build();
        assert_eq!(restore_object(&map, &shown), expected);
        for kind in ["created", "queued", "in_progress", "completed", "incomplete", "failed"] {
            let event = |response: &Json| json!({"type": format!("response.{kind}"), "response": response});
            assert_eq!(restore_with(&map, &[event(&shown)]), number(&[event(&expected)]), "{kind}");
        }
        // Nothing is added that was not there.
        let bare = json!({"object": "response", "output": []});
        assert_eq!(restore_object(&map, &bare), bare);
    }
    // A map that changed nothing changes nothing back.
    assert_eq!(restore_object(&map(), &shown), shown);
}

#[test]
fn no_more_calls_are_followed_than_the_bound() {
    let mut restorer = Restorer::new(map());
    let mut next = Events::default();
    for index in 0..300 {
        let mut event =
            item_event("added", &with(function_call("apply_patch", ""), json!({"id": format!("fc_{index}")})));
        event["output_index"] = json!(index);
        restorer.event(Event::from_text(sse(&[event]).into()), &mut next);
    }
    assert_eq!(restorer.calls.len(), 256);
    // One over it is restored once it is done.
    let item = with(function_call("apply_patch", r#"{"input":"x"}"#), json!({"id": "fc_299"}));
    let mut event = item_event("done", &item);
    event["output_index"] = json!(299);
    next.drain().for_each(drop);
    restorer.event(Event::from_text(sse(&[event]).into()), &mut next);
    let item = next.drain().next().unwrap().member("item").unwrap();
    assert_eq!(item.member_str("type").as_deref(), Some("custom_tool_call"));
}
