use serde_json::{Value as Json, json};

use crate::{
    Normalizer, Policy, ToolPolicies,
    spec::{normalize, with},
};

#[test]
fn values_of_dropped_tools_leave() {
    let rows = [
        (json!(["web_search_call.action.sources"]), Json::Null),
        (json!(["reasoning.encrypted_content", "web_search_call.results"]), json!(["reasoning.encrypted_content"])),
        (
            json!(["code_interpreter_call.outputs", "message.output_text.logprobs", "file_search_call.results"]),
            json!(["message.output_text.logprobs"]),
        ),
        (json!(["computer_call_output.output.image_url"]), Json::Null),
        (json!(["message.input_image.image_url", "x", 3]), json!(["message.input_image.image_url", "x", 3])),
        (json!([]), json!([])),
        (json!(null), Json::Null),
    ];
    for (include, expected) in rows {
        let upstream = normalize(&json!({"input": "hi", "include": include, "tools": [{"type": "web_search"}]}));
        assert_eq!(upstream.body["include"], expected, "{include}");
    }
}

#[test]
fn values_of_tools_that_pass_stay() {
    let normalizer =
        Normalizer::new().tools(ToolPolicies::new().set("web_search", Policy::Pass).set("file_search", Policy::Reject));
    let include = json!(["web_search_call.action.sources", "file_search_call.results"]);
    let upstream = with(&normalizer, &json!({"input": "hi", "include": include}));
    assert_eq!(upstream.body["include"], json!(["web_search_call.action.sources"]));
}
