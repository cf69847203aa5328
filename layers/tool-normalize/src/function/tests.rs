use serde_json::json;

use crate::{
    NamespaceDescriptions, Normalizer, Strict,
    spec::{custom, function, merged, namespace, normalize, search, with, with_tools},
};

#[test]
fn a_custom_tool_is_a_strict_function_of_one_text() {
    let upstream = with_tools(json!([custom("run")]));
    let description = "The text for this tool goes, as it is, into the string `input`.";
    let input = json!({"type": "string", "description": "The text for the tool, unchanged."});
    let parameters = json!({
        "type": "object",
        "properties": {"input": input},
        "required": ["input"],
        "additionalProperties": false,
    });
    let expected = json!({"type": "function", "name": "run", "description": description, "strict": true, "parameters": parameters});
    assert_eq!(upstream.tools(), [expected]);
}

#[test]
fn the_model_is_shown_the_grammar() {
    let tail = " The text for this tool goes, as it is, into the string `input`.";
    let tail = tail.trim_start();
    let rows = [
        (json!({"type": "text"}), ""),
        (json!(null), ""),
        (
            json!({"type": "grammar", "syntax": "lark", "definition": "start: \"a\"\n"}),
            " It has to follow this lark grammar:\n```\nstart: \"a\"\n```",
        ),
        (
            json!({"type": "grammar", "syntax": "regex", "definition": "a+"}),
            " It has to match this regular expression as a whole:\n```\na+\n```",
        ),
        (json!({"type": "grammar", "definition": "x"}), " It has to follow this grammar:\n```\nx\n```"),
        (
            json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}),
            " It has to follow this lark grammar:\n```\nx\n```",
        ),
    ];
    for (format, grammar) in rows {
        let tool = merged(custom("run"), json!({"description": "Runs.", "format": format}));
        let upstream = with_tools(json!([tool]));
        assert_eq!(upstream.tools()[0]["description"], format!("Runs.\n\n{tail}{grammar}"), "{format}");
    }
}

#[test]
fn a_tool_search_of_the_client_is_a_strict_function() {
    let own = search();
    let upstream = with_tools(json!([own]));
    let expected = json!({
        "type": "function",
        "name": "tool_search",
        "description": own["description"],
        "strict": true,
        "parameters": own["parameters"],
    });
    assert_eq!(upstream.tools(), [expected]);
    let bare = with_tools(json!([{"type": "tool_search", "execution": "client"}]));
    assert_eq!(bare.tools()[0]["parameters"]["required"], json!(["query"]));
    assert!(bare.tools()[0]["description"].as_str().is_some_and(|text| !text.is_empty()));
}

#[test]
fn the_description_of_a_namespace_goes_where_the_policy_says() {
    let described = |name: &str, text: &str| merged(function(name), json!({"description": text}));
    let members =
        [described("a", "Does a."), function("b"), described("c", " "), described("d", "About S. And d."), custom("e")];
    let tools = json!([merged(namespace("s", &members), json!({"description": " About S. "}))]);
    let custom = "The text for this tool goes, as it is, into the string `input`.";
    let about_custom = format!("About S.\n\n{custom}");
    let rows = [
        (
            NamespaceDescriptions::EachMember,
            ["About S.\n\nDoes a.", "About S.", "About S.", "About S. And d.", &about_custom],
        ),
        (NamespaceDescriptions::FirstMember, ["About S.\n\nDoes a.", "", " ", "About S. And d.", custom]),
        (NamespaceDescriptions::Omit, ["Does a.", "", " ", "About S. And d.", custom]),
    ];
    for (policy, expected) in rows {
        let normalizer = Normalizer::new().namespace_descriptions(policy);
        let upstream = with(&normalizer, &json!({"input": "hi", "tools": tools}));
        let descriptions: Vec<_> =
            upstream.tools().iter().map(|tool| tool["description"].as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(descriptions, expected, "{policy:?}");
    }
}

#[test]
fn strict_is_forced_only_where_asked_and_where_the_schema_allows_it() {
    let loose = merged(function("a"), json!({"strict": false}));
    let strict = merged(function("b"), json!({"strict": true}));
    let odd = merged(function("c"), json!({"parameters": {"type": "object", "not": {}}}));
    let bare = json!({"type": "function", "name": "d", "parameters": null});
    let member = namespace("n", &[function("m")]);
    let request = json!({"input": "hi", "tools": [loose, strict, odd, bare, member]});
    let strictness = |upstream: &crate::spec::Upstream| -> Vec<_> {
        upstream.tools().iter().map(|tool| tool.get("strict").and_then(serde_json::Value::as_bool)).collect()
    };
    assert_eq!(strictness(&normalize(&request)), [Some(false), Some(true), None, None, None]);
    let forced = with(&Normalizer::new().strict(Strict::Force), &request);
    assert_eq!(strictness(&forced), [Some(true), Some(true), None, None, Some(true)]);
}

#[test]
fn private_keywords_leave_the_upstream_copy() {
    let parameters = json!({"type": "object", "properties": {"message": {"type": "string", "encrypted": true}}});
    let tool = merged(function("send"), json!({"parameters": parameters, "defer_loading": false}));
    let upstream = with_tools(json!([tool, namespace("collaboration", std::slice::from_ref(&tool))]));
    let parameters = json!({"type": "object", "properties": {"message": {"type": "string"}}});
    let expected = merged(function("send"), json!({"parameters": parameters}));
    let member = merged(expected.clone(), json!({"name": "collaboration__send"}));
    assert_eq!(upstream.tools(), [expected, member]);
    let echo = upstream.map.declared_tools().unwrap().text();
    assert!(echo.windows(9).any(|text| text == b"encrypted"), "the client gets its own tools back");
}
