//! Requests by hand.

use serde_json::{Value, json};
use tower_responses_testing::parse_sse;

use crate::{
    prompter::{Prompter, Say},
    support::{Gateway, TempDir, client},
    words::word,
};

const PATCH: &str = "*** Begin Patch\n*** Add File: a.txt\n+\"quoted\" \\ Grüße \u{1f600}\n*** End Patch\n";
const GRAMMAR: &str = "start: \"*** Begin Patch\" LF add+ \"*** End Patch\" LF?\n\
                       add: \"*** Add File: \" /(.+)/ LF (\"+\" /(.*)/ LF)+\n\n%import common.LF\n";

/// Asks through the gateway, and vLLM itself. Status and body of each.
async fn ask_both(request: &Value, say: &[Say]) -> [(u16, String); 2] {
    let prompter = Prompter::start([say, say].concat()).await;
    let dir = TempDir::new();
    let store = format!("sqlite:{}", dir.0.join("responses.db").display());
    let gateway = Gateway::start_with(&["--upstream", &prompter.url, "--store", &store], &[("RUST_LOG", "error")]);
    let through = post(&gateway.url, request).await;
    [through, post(&prompter.url, request).await]
}

async fn post(url: &str, request: &Value) -> (u16, String) {
    let post = http::Request::post(format!("{url}/v1/responses")).header("content-type", "application/json");
    let response = client().request(post.body(request.to_string().into()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.map(|body| body.to_bytes());
    (status, String::from_utf8(body.unwrap_or_default().to_vec()).unwrap())
}

fn completed(stream: &str) -> Value {
    let events = parse_sse(stream);
    let last = events.last().unwrap_or_else(|| panic!("no events: {stream}"));
    assert_eq!(last["type"], "response.completed");
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    last["response"].clone()
}

#[tokio::test]
#[ignore = "needs vLLM: tests/vllm/run.sh"]
async fn text_is_streamed() {
    let text = format!("Grüße from {}, 世界.", word());
    let request = json!({"model": "tiny", "input": "Say something.", "stream": true});
    let [(status, stream), (_, direct)] = ask_both(&request, &[Say::text(&text)]).await;
    assert_eq!(status, 200, "{stream}");
    let deltas = |stream: &str| -> String {
        let events = parse_sse(stream);
        let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
        deltas.filter_map(|event| event["delta"].as_str()).collect()
    };
    assert_eq!([deltas(&stream), deltas(&direct)], [text.clone(), text.clone()]);
    assert_eq!(completed(&stream)["output"][0]["content"][0]["text"], text);
}

#[tokio::test]
#[ignore = "needs vLLM: tests/vllm/run.sh"]
async fn a_custom_tool_with_a_grammar_is_called() {
    let format = json!({"type": "grammar", "syntax": "lark", "definition": GRAMMAR});
    let tools = json!([{"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": format}]);
    let request = json!({"model": "tiny", "input": "Write the file.", "stream": true, "tools": tools});
    let say = [Say::call(&["apply_patch"], json!({"input": PATCH}))];
    let [(status, stream), direct] = ask_both(&request, &say).await;
    assert_eq!(status, 200, "{stream}");
    let response = completed(&stream);
    assert_eq!(response["output"][0]["type"], "custom_tool_call");
    assert_eq!(response["output"][0]["input"], PATCH);
    assert_eq!(response["tools"], tools);
    assert_eq!(direct.0, 400, "{}", direct.1);
    assert!(direct.1.contains("grammar format are not supported"), "{}", direct.1);
}

#[tokio::test]
#[ignore = "needs vLLM: tests/vllm/run.sh"]
async fn a_custom_tool_in_a_namespace_is_called() {
    let (namespace, tool) = (word(), word());
    let members = json!([{"type": "custom", "name": tool, "description": "Takes text."}]);
    let tools = json!([{"type": "namespace", "name": namespace, "description": "Some tools.", "tools": members}]);
    let say = [Say::call(&[&namespace, &tool], json!({"input": PATCH}))];
    for stream in [true, false] {
        let request = json!({"model": "tiny", "input": "Call it.", "stream": stream, "tools": tools});
        let [(status, through), (_, direct)] = ask_both(&request, &say).await;
        assert_eq!(status, 200, "{through}");
        let response = if stream { completed(&through) } else { serde_json::from_str(&through).unwrap() };
        let item = &response["output"][0];
        let got = ["type", "name", "namespace", "input"].map(|member| &item[member]);
        assert_eq!(got, [&json!("custom_tool_call"), &json!(tool), &json!(namespace), &json!(PATCH)]);
        // vLLM knows namespaces, but drops such a member.
        assert!(!direct.contains("custom_tool_call"), "{direct}");
    }
}
