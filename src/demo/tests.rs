use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Item, Model, Turn, Upstream, client::Client, run};

async fn upstream(model: Model) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Upstream::start(listener, model).unwrap()
}

fn function(name: &str, parameters: &[&str]) -> Value {
    let properties = parameters.iter().map(|&name| (name.to_owned(), json!({"type": "string"}))).collect();
    json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": Value::Object(properties)}})
}

#[tokio::test]
async fn only_what_a_function_only_server_understands_is_taken() {
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let with = |name: &str, value: Value| {
        let mut call = call.clone();
        call[name] = value;
        json!({"input": [call]})
    };
    let refused = [
        (json!({"input": "x", "model": "other"}), "does not exist"),
        (json!({"input": "x", "previous_response_id": "resp_1"}), "keeps no responses"),
        (json!({"input": []}), "not empty"),
        (json!({"input": "x", "tools": null}), "must be a list"),
        (json!({"input": "x", "tools": [{"type": "custom", "name": "f"}]}), "only functions"),
        (json!({"input": "x", "tools": [function("a.b", &[])]}), "not a legal name"),
        (json!({"input": "x", "tools": [function("f", &[]), function("f", &[])]}), "declared twice"),
        (json!({"input": "x", "tool_choice": {"type": "function", "name": "f"}}), "not declared"),
        (json!({"input": "x", "tool_choice": "required"}), "not supported"),
        (json!({"input": [{"type": "custom_tool_call", "call_id": "c"}]}), "not supported"),
        (json!({"input": [{"type": "additional_tools", "role": "developer"}]}), "not supported"),
        (with("namespace", json!("n")), "namespaces are not supported"),
        (with("arguments", json!({})), "must be a string"),
        (with("call_id", Value::Null), "call_id is missing"),
        (json!({"input": [{"type": "reasoning", "summary": [], "encrypted_content": "x"}]}), "encrypted"),
        (json!({"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]}), "not supported"),
    ];
    let upstream = upstream(Model::obedient()).await;
    let client = Client::new(&upstream.url());
    for (request, why) in refused {
        let error = client.ask(&request).await.unwrap_err().to_string();
        assert!(error.contains(why), "{request}: {error}");
    }
    client
        .ask(&json!({"input": [call, {"type": "reasoning", "summary": [], "encrypted_content": null}]}))
        .await
        .unwrap();
    assert!(upstream.seen().iter().rev().skip(1).all(|exchange| exchange.refused.is_some()));
}

#[tokio::test]
async fn an_obedient_model_calls_what_it_is_told_to() {
    let upstream = upstream(Model::obedient()).await;
    let client = Client::new(&upstream.url());
    let tools =
        json!([function("read", &["path"]), function("mcp__git__log", &["n", "m"]), function("patch", &["input"])]);
    let rows = [
        ("hello", json!(null)),
        ("use log with {\"n\":\"3\"}", json!(["mcp__git__log", "{\"n\":\"3\"}"])),
        ("read it", json!(["read", "{}"])),
        ("patch\nline \"one\"\ntwo", json!(["patch", "{\"input\":\"line \\\"one\\\"\\ntwo\"}"])),
    ];
    for (input, expected) in rows {
        for stream in [false, true] {
            let answer = client.ask(&json!({"input": input, "tools": tools, "stream": stream})).await.unwrap();
            let item = &answer.response["output"][0];
            let got = if item["type"] == "message" { json!(null) } else { json!([item["name"], item["arguments"]]) };
            assert_eq!(got, expected, "{input}");
            assert_eq!(stream, !answer.events.is_empty());
        }
    }
}

#[tokio::test]
async fn a_script_is_followed_and_a_call_finds_its_tool() {
    let model = Model::scripted([
        Turn::new([Item::think("hm"), Item::call(&["git", "log"], json!({"n": 1}))]),
        Turn::new([Item::call(&["nothing"], json!({}))]),
        Turn::error(429, json!({"error": {"message": "later"}})).header("retry-after", "1"),
        Turn::new([Item::say("Grüße, 世界!")]).cut_after("response.output_text.delta"),
    ]);
    let upstream = upstream(model.named("m")).await;
    let client = Client::new(&upstream.url());
    let request = json!({"model": "m", "input": "x", "tools": [function("git__log", &["n"])], "stream": true});
    let answer = client.ask(&request).await.unwrap();
    let numbers: Vec<_> = answer.events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..answer.events.len() as u64).collect::<Vec<_>>());
    assert_eq!(answer.response["output"][1]["name"], "git__log");
    for expected in ["0 functions are called", "429", "error", "no more turns"] {
        let error = client.ask(&request).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn without_a_gateway_the_demo_fails() {
    let upstream = upstream(Model::obedient()).await;
    let error = run(&upstream.url(), &upstream, std::io::sink()).await.unwrap_err().to_string();
    assert!(error.contains("only functions are"), "{error}");
}
