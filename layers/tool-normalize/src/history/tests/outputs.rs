use serde_json::{Value as Json, json};

use crate::{
    NamespaceDescriptions, Normalizer,
    spec::{custom, function, merged, namespace, normalize, search, searched, with},
};

fn translated(item: &Json) -> Json {
    normalize(&json!({"input": [item], "tools": [function("plain"), search()]})).input().remove(0)
}

#[test]
fn outputs_become_what_every_server_takes() {
    let text = json!({"type": "input_text", "text": "a"});
    let image = json!({"type": "input_image", "image_url": "data:,", "detail": "original"});
    let file = json!({"type": "input_file", "file_id": "f"});
    let rows = [
        (json!("text"), json!("text")),
        (json!(""), json!("")),
        (json!([text, image, file]), json!([text, image, file])),
        (json!([]), json!([])),
        (json!([{"type": "output_text", "text": "a", "annotations": []}, image]), json!([text, image])),
        (json!([{"type": "refusal", "refusal": "a"}]), json!([text])),
        (json!([{"type": "encrypted_content", "encrypted_content": "a"}]), json!([text])),
        (json!(["a"]), json!([text])),
        (json!([{"type": "odd", "x": 1}]), json!([{"type": "input_text", "text": "{\"type\":\"odd\",\"x\":1}"}])),
        (json!({"ok": true}), json!("{\"ok\":true}")),
        (json!(null), json!("")),
    ];
    for (output, expected) in rows {
        let item = json!({"type": "function_call_output", "id": "fco_1", "call_id": "c1", "output": output});
        assert_eq!(translated(&item), merged(item.clone(), json!({"output": expected})), "{output}");
        let item =
            json!({"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "c1", "name": "x", "output": output});
        let expected = json!({"type": "function_call_output", "call_id": "c1", "output": expected});
        assert_eq!(translated(&item), expected, "{output}");
    }
    let nothing = json!({"type": "function_call_output", "call_id": "c1"});
    assert_eq!(translated(&nothing), nothing, "the upstream's to refuse");
}

#[test]
fn what_a_search_found_is_told_by_the_names_that_can_be_called() {
    let about = |tool: Json, text: &str| merged(tool, json!({"description": text}));
    let long = format!("o{}", "ö".repeat(400));
    let found = [
        about(namespace("mcp__fs", &[about(function("read"), "Reads."), function("bare")]), "Files."),
        about(function("plain"), "Plain."),
        about(custom("long"), &long),
        json!({"type": "web_search"}),
    ];
    let [call, output] = searched("c1", &found);
    let upstream = normalize(&json!({"input": [call, output], "tools": [search()]}));
    let text = format!(
        "These tools were found and can be called now:\n- mcp__fs__read: Reads.\n- mcp__fs__bare\n- plain: Plain.\n- long: {}",
        &long[..299]
    );
    assert_eq!(upstream.input()[1], json!({"type": "function_call_output", "call_id": "c1", "output": text}));
    assert_eq!(upstream.names(), ["tool_search", "mcp__fs__read", "mcp__fs__bare", "plain", "long"]);
    for nothing in [json!([]), json!(null), json!([{"type": "web_search"}])] {
        let item = json!({"type": "tool_search_output", "call_id": "c1", "execution": "client", "tools": nothing});
        assert_eq!(translated(&item)["output"], "No tools were found.");
    }
}

#[test]
fn what_a_search_found_is_told_without_the_description_of_its_namespace() {
    let about = |tool: Json, text: &str| merged(tool, json!({"description": text}));
    let members = [about(function("read"), "Reads."), about(function("write"), "Writes, and is long.")];
    let [call, output] = searched("c1", &[about(namespace("fs", &members), "Of files."), about(function("x"), "X.")]);
    let request = json!({"input": [call, output], "tools": [search()]});
    for descriptions in
        [NamespaceDescriptions::EachMember, NamespaceDescriptions::FirstMember, NamespaceDescriptions::Omit]
    {
        let upstream = with(&Normalizer::new().namespace_descriptions(descriptions), &request);
        let told = upstream.input()[1]["output"].as_str().unwrap().to_owned();
        assert!(told.ends_with("\n- fs__read: Reads.\n- fs__write: Writes, and is long.\n- x: X."), "{told}");
    }
}

#[test]
fn what_the_server_searched_is_told_as_a_note() {
    let [call, output] = searched("c1", &[function("found")]);
    let server = |item: Json| merged(item, json!({"call_id": null, "execution": "server"}));
    let upstream = normalize(&json!({"input": [server(call), server(output)], "tools": [search()]}));
    assert_eq!(upstream.input().len(), 1);
    assert_eq!(upstream.input()[0]["role"], "assistant");
    assert_eq!(upstream.names(), ["tool_search", "found"]);
}
