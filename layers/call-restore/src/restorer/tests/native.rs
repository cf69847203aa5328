//! Upstreams that restore some shapes themselves: the client gets the same.

use super::*;

#[test]
fn what_is_restored_already_stays() {
    for item in [
        with(function_call("read", "{}"), json!({"namespace": "mcp__fs"})),
        with(function_call("read", "{}"), json!({"namespace": "another"})),
        with(function_call("apply_patch", "{}"), json!({"namespace": "another"})),
        custom_call("apply_patch", "*** Begin Patch"),
        custom_call("apply_patch", r#"{"input":"a tool whose input is this"}"#),
        search_call(json!({"query": "x"})),
    ] {
        let events = [
            item_event("added", &item),
            item_event("done", &item),
            response_event("completed", std::slice::from_ref(&item)),
        ];
        check(&events, &events);
    }
}

fn vllm_item(input: &str) -> Json {
    let members = json!({"async": null, "caller": null, "namespace": null});
    with(without(custom_call("apply_patch", input), &["status"]), members)
}

fn with_status(input: &str, status: &str) -> Json {
    with(vllm_item(input), json!({"status": status}))
}

fn input_done(input: &str) -> Json {
    json!({"type": "response.custom_tool_call_input.done", "item_id": "ctc_1", "output_index": 0, "input": input})
}

#[test]
fn a_custom_call_of_vllm_has_no_status() {
    check(
        &[
            item_event("added", &vllm_item("")),
            delta("custom_tool_call_input", "ctc_1", "x"),
            input_done("x"),
            item_event("done", &vllm_item("x")),
            response_event("completed", &[vllm_item("x")]),
        ],
        &[
            item_event("added", &with_status("", "in_progress")),
            delta("custom_tool_call_input", "ctc_1", "x"),
            input_done("x"),
            item_event("done", &with_status("x", "completed")),
            response_event("completed", &[with_status("x", "completed")]),
        ],
    );
}

#[test]
fn a_custom_call_of_vllm_keeps_the_quotes_of_a_bare_string() {
    let quoted = r#""raw \"patch\"""#;
    let text = "raw \"patch\"";
    check(
        &[
            input_done(quoted),
            item_event("done", &vllm_item(quoted)),
            response_event("completed", &[vllm_item(quoted)]),
        ],
        &[
            input_done(text),
            item_event("done", &with_status(text, "completed")),
            response_event("completed", &[with_status(text, "completed")]),
        ],
    );
}

#[test]
fn a_custom_call_of_vllm_that_was_cut_carries_its_json() {
    let cut = r#"{"input": "*** Begin Patch\n"#;
    check(
        &[
            item_event("added", &vllm_item("")),
            item_event("done", &vllm_item(cut)),
            response_event("incomplete", &[vllm_item(cut)]),
        ],
        &[
            item_event("added", &with_status("", "in_progress")),
            response_event("incomplete", &[with_status("*** Begin Patch\n", "incomplete")]),
        ],
    );
}

#[test]
fn a_custom_call_with_the_upstream_s_name_of_its_tool() {
    let item = with(custom_call("js__exec", "1"), json!({"namespace": null}));
    let expected = with(custom_call("exec", "1"), json!({"namespace": "js"}));
    let response = |item: &Json| json!({"object": "response", "status": "completed", "output": [item]});
    assert_eq!(restore_object(&map(), &response(&item)), response(&expected));
}

#[test]
fn a_search_whose_arguments_are_text() {
    let text = with(search_call(json!({})), json!({"arguments": "{\"query\":\"x\"}"}));
    let item = without(text, &["execution", "status"]);
    let response = |item: &Json| json!({"object": "response", "status": "completed", "output": [item]});
    assert_eq!(restore_object(&map(), &response(&item)), response(&search_call(json!({"query": "x"}))));
}
