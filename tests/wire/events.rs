//! Requests as people write them, on many lines: what is echoed of them leaves in events that
//! every client reads.

use futures_util::{SinkExt, StreamExt};
use http::Request;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tower_responses::demo::{Item, Model, Turn, Upstream};
use tower_responses_testing::{body_text, read_events};

use crate::support::{Gateway, send};

async fn upstream() -> Upstream {
    let turns = [
        Turn::new([
            Item::call_with_text(&["apply_patch"], "*** Begin Patch\n"),
            Item::call(&["tool_search"], json!({"query": "a"})),
        ]),
        Turn::new([Item::say("done")]),
    ];
    Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), Model::scripted(turns)).unwrap()
}

fn request() -> Value {
    let object = json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]});
    json!({
        "model": Model::NAME, "stream": true, "instructions": "Be brief.\nAnd kind.", "metadata": {"a": "b", "c": "d"},
        "tools": [
            {"type": "namespace", "name": "fs", "description": "Files.",
             "tools": [{"type": "function", "name": "read", "description": "d", "parameters": object}]},
            {"type": "custom", "name": "apply_patch", "description": "p", "format": {"type": "text"}},
            {"type": "tool_search", "execution": "client", "description": "s", "parameters": object},
        ],
        "tool_choice": {"type": "custom", "name": "apply_patch"},
        "reasoning": {"effort": "low", "summary": null},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}],
    })
}

fn pretty(request: &Value, end: &str) -> String {
    serde_json::to_string_pretty(request).unwrap().replace('\n', end)
}

/// What comes next after this answer.
fn go_on(request: &mut Value, answer: &Value) {
    assert_eq!(answer["type"], "response.completed", "{answer}");
    let response = &answer["response"];
    assert_eq!(response["instructions"], request["instructions"]);
    assert_eq!(response["metadata"], request["metadata"]);
    assert_eq!(response["tools"].as_array().unwrap().len(), 3);
    let outputs = response["output"].as_array().unwrap().iter().map(|item| match item["type"].as_str().unwrap() {
        "custom_tool_call" => json!({"type": "custom_tool_call_output", "call_id": item["call_id"], "output": "ok"}),
        "tool_search_call" => {
            json!({"type": "tool_search_output", "call_id": item["call_id"], "status": "completed", "tools": []})
        }
        other => panic!("{other}"),
    });
    request["input"] = outputs.collect();
    request["previous_response_id"] = response["id"].clone();
    request["tool_choice"] = json!("auto");
}

#[tokio::test]
async fn a_request_on_many_lines_is_answered_with_readable_events() {
    for end in ["\n", "\r\n", "\r"] {
        let upstream = upstream().await;
        let gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", "memory"]);
        let mut request = request();
        for turn in 0..2 {
            let post =
                Request::post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
            let text = body_text(send(post.body(pretty(&request, end).into()).unwrap()).await.into_body()).await;
            let events: Vec<Value> = read_events(&text)
                .iter()
                .map(|(_, data)| serde_json::from_str(data).unwrap_or_else(|_| panic!("no JSON: {data:?} in {text}")))
                .collect();
            for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
                assert!(line.starts_with("event: ") || line.starts_with("data: "), "{line:?} in {text}");
            }
            if turn == 0 {
                go_on(&mut request, events.last().unwrap());
            } else {
                assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["text"], "done");
            }
        }
    }
}

#[tokio::test]
async fn frames_that_echo_a_request_on_many_lines_are_json() {
    let upstream = upstream().await;
    let gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", "memory"]);
    let url = format!("{}/v1/responses", gateway.url.replace("http://", "ws://"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut request = request();
    request["type"] = json!("response.create");
    for turn in 0..2 {
        socket.send(Message::text(pretty(&request, "\r\n"))).await.unwrap();
        let answer = loop {
            let message = socket.next().await.unwrap().unwrap();
            let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            if event["type"].as_str().unwrap().starts_with("response.completed") {
                break event;
            }
        };
        if turn == 0 {
            go_on(&mut request, &answer);
        }
    }
}
