//! The same conversation over HTTP and over a WebSocket asks the upstream for the same.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tower_responses::demo::{Item, Model, Turn, Upstream};

use support::Gateway;

/// For the next frame.
const PATIENCE: Duration = Duration::from_secs(10);

const PATCH: &str = "*** Begin Patch\n*** Add File: a\n+\"é\"\n*** End Patch\n";

/// What the model says in each turn, whatever it came by.
async fn upstream() -> Upstream {
    let model = Model::scripted([
        Turn::new([Item::think("hm"), Item::call(&["read"], json!({"path": "/a", "n": 1.5e3}))]),
        Turn::new([Item::say("Now the patch."), Item::call_with_text(&["apply_patch"], PATCH)]),
        Turn::new([Item::call(&["tool_search"], json!({"query": "more"}))]),
        Turn::new([Item::call(&["found"], json!({}))]),
        Turn::new([Item::say("done")]),
    ]);
    Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), model).unwrap()
}

fn request() -> Value {
    let function = |name: &str| {
        let properties = json!({"path": {"type": "string"}, "n": {"type": "number"}});
        json!({"type": "function", "name": name, "description": "d", "strict": false,
               "parameters": {"type": "object", "properties": properties}})
    };
    let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "start: /.+/"});
    let query = json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]});
    json!({
        "model": Model::NAME, "store": false, "stream": true, "parallel_tool_calls": true,
        "tools": [
            {"type": "namespace", "name": "mcp__fs", "description": "Files.", "tools": [function("read")]},
            {"type": "custom", "name": "apply_patch", "description": "p", "format": grammar},
            {"type": "tool_search", "execution": "client", "description": "s", "parameters": query},
        ],
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}],
    })
}

/// What a client answers to the calls of a turn.
fn outputs(items: &[Value]) -> Vec<Value> {
    let found = json!({"type": "function", "name": "found", "description": "f", "defer_loading": true,
                       "parameters": {"type": "object", "properties": {}}});
    let output = |item: &Value| {
        let call_id = &item["call_id"];
        match item["type"].as_str().unwrap() {
            "function_call" => Some(json!({"type": "function_call_output", "call_id": call_id, "output": "ok"})),
            "custom_tool_call" => Some(json!({"type": "custom_tool_call_output", "call_id": call_id, "output": "ok"})),
            "tool_search_call" => Some(json!({"type": "tool_search_output", "call_id": call_id, "status": "completed",
                "execution": "client", "tools": [{"type": "namespace", "name": "mcp__late", "description": "L.", "tools": [found]}]})),
            _ => None,
        }
    };
    items.iter().filter_map(output).collect()
}

/// The items of one streamed answer, and the id of its response.
fn take(events: &[Value]) -> (Vec<Value>, Value) {
    let done = |event: &&Value| event["type"] == "response.output_item.done";
    let items = events.iter().filter(done).map(|event| event["item"].clone()).collect();
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed", "{last}");
    (items, last["response"]["id"].clone())
}

async fn over_http(gateway: &Gateway) {
    let mut request = request();
    loop {
        let post =
            http::Request::post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
        let response = support::send(post.body(request.to_string().into()).unwrap()).await;
        let text = tower_responses_testing::body_text(response.into_body()).await;
        let (items, _) = take(&tower_responses_testing::parse_sse(&text));
        let new = outputs(&items);
        if new.is_empty() {
            return;
        }
        let input = request["input"].as_array_mut().unwrap();
        input.extend(items);
        input.extend(new);
    }
}

async fn over_websocket(gateway: &Gateway) {
    let url = format!("{}/v1/responses", gateway.url.replace("http://", "ws://"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut frame = request();
    frame["type"] = json!("response.create");
    loop {
        socket.send(Message::text(frame.to_string())).await.unwrap();
        let mut events: Vec<Value> = Vec::new();
        while events.last().is_none_or(|event| event["type"] != "response.completed") {
            let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("a frame").unwrap().unwrap();
            let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            assert!(event["type"] != "error" && event["type"] != "response.failed", "{event}");
            events.push(event);
        }
        let (items, id) = take(&events);
        let new = outputs(&items);
        if new.is_empty() {
            return;
        }
        frame["previous_response_id"] = id;
        frame["input"] = json!(new);
    }
}

/// The request without what differs from run to run: ids, with calls and outputs still paired.
fn canonical(request: &Value) -> Value {
    let mut request = request.clone();
    let mut calls = Vec::new();
    for item in request["input"].as_array_mut().unwrap() {
        let item = item.as_object_mut().unwrap();
        item.remove("id");
        if let Some(call) = item.get_mut("call_id") {
            let at = calls.iter().position(|known| known == call).unwrap_or_else(|| {
                calls.push(call.clone());
                calls.len() - 1
            });
            *call = json!(at);
        }
    }
    request
}

#[tokio::test]
async fn the_upstream_cannot_tell_a_socket_from_http() {
    let (first, second) = (upstream().await, upstream().await);
    over_http(&Gateway::start(&["--upstream", &first.url(), "--store", "memory"])).await;
    over_websocket(&Gateway::start(&["--upstream", &second.url(), "--store", "memory"])).await;
    let requests = |upstream: &Upstream| -> Vec<Value> {
        let seen = upstream.seen();
        assert!(seen.iter().all(|exchange| exchange.refused.is_none()), "{seen:?}");
        seen.iter().map(|exchange| canonical(&exchange.request)).collect()
    };
    let (http, socket) = (requests(&first), requests(&second));
    assert_eq!(http.len(), 5);
    for (turn, (http, socket)) in http.iter().zip(&socket).enumerate() {
        assert_eq!(http, socket, "turn {turn}");
    }
    assert_eq!(http.len(), socket.len());
}
