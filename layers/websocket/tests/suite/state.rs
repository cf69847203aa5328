//! What a connection knows of the responses made on it.

use std::sync::{Arc, Mutex};

use http::Response;
use serde_json::{Value as Json, json};
use tower_responses_core::ResponseBody;
use tower_responses_testing::{json_response, sse, sse_response};
use tower_responses_websocket::WebSocketLayer;

use crate::common::*;

fn next(previous: &str, input: Json) -> Json {
    create(json!({"previous_response_id": previous, "input": input}))
}

/// The texts of an input, for short.
fn texts(body: &Json) -> Vec<&str> {
    let items = body["input"].as_array().unwrap();
    items.iter().map(|item| item["content"][0]["text"].as_str().or(item["content"].as_str()).unwrap()).collect()
}

#[tokio::test]
async fn a_conversation_as_codex_leads_it() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    let tools = json!([{"type": "custom", "name": "apply_patch"}]);

    // 1. Prewarm: the base instructions and all tools; the upstream hears nothing of it.
    let developer =
        json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "base"}]});
    client.send(&create(json!({"generate": false, "input": [developer], "tools": tools, "tool_choice": "auto"}))).await;
    let events = client.answer().await;
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["response.created", "response.completed"]);
    let response = &events[1]["response"];
    assert_eq!(
        (&response["status"], &response["model"], &response["output"]),
        (&json!("completed"), &json!("m"), &json!([]))
    );
    assert_eq!((&events[0]["sequence_number"], &events[1]["sequence_number"]), (&json!(0), &json!(1)));
    let prewarmed = response["id"].as_str().unwrap().to_owned();
    assert!(server.seen.bodies().is_empty());

    // 2. Only what is new, with the id of the prewarm; tools are sent anew each time.
    let mut frame = next(&prewarmed, json!([user("hello")]));
    frame["tools"] = tools.clone();
    assert_eq!(client.ask(&frame).await["response"]["id"], "resp_1");
    assert_eq!(server.seen.bodies()[0]["input"], json!([developer, user("hello")]));
    assert_eq!(server.seen.bodies()[0]["tools"], tools);

    // 3. The id of response.completed; what the response said is not sent again.
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "1.0e0"});
    client.ask(&next("resp_1", json!([output]))).await;
    let whole = json!([developer, user("hello"), message(1, "answer 1"), output]);
    assert_eq!(server.seen.bodies()[1]["input"], whole);
    assert_eq!(server.seen.bodies()[1]["tools"], tools, "those of the state, where a frame has none");
    for body in server.seen.bodies() {
        for gone in ["previous_response_id", "generate", "type"] {
            assert!(body.get(gone).is_none(), "{gone}");
        }
    }

    // 4. Without an id everything begins anew.
    client.ask(&create(json!({"input": [user("summary")]}))).await;
    client.ask(&next("resp_3", json!([user("on")]))).await;
    assert_eq!(texts(&server.seen.bodies()[3]), ["summary", "answer 3", "on"]);
    client.ask(&next("resp_2", json!([user("old")]))).await;
    assert_eq!(server.seen.bodies()[4]["previous_response_id"], "resp_2", "what was before is not known any more");
}

#[tokio::test]
async fn the_same_conversation_over_http_puts_the_same_on_the_upstream() {
    // A client that echoes over HTTP what it got, and one that sends only what is new.
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    let mut whole: Vec<Json> = Vec::new();
    let mut over_http = Vec::new();
    let mut previous = Json::Null;
    for number in 1..=5 {
        let new = [user(&format!("é {number}")), json!({"type": "unknown_item", "x": null, "n": 1.50})];
        client.send(&create(json!({"previous_response_id": previous, "input": new}))).await;
        whole.extend(new);
        over_http.push(json!({"model": "m", "store": false, "stream": true, "input": whole}));
        for event in client.answer().await {
            if event["type"] == "response.output_item.done" {
                whole.push(event["item"].clone());
            }
            previous = event["response"]["id"].clone();
        }
    }
    let mut seen = server.seen.bodies();
    seen.iter_mut().for_each(|body| drop(body.as_object_mut().unwrap().remove("previous_response_id")));
    assert_eq!(seen, over_http);
}

#[tokio::test]
async fn any_response_of_the_connection_can_be_gone_on_from() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    client.ask(&create(json!({"input": "a"}))).await;
    client.ask(&next("resp_1", json!("b"))).await;
    client.ask(&next("resp_1", json!([user("c")]))).await;
    client.ask(&next("resp_2", Json::Null)).await;
    client.ask(&next("resp_3", json!([]))).await;
    let bodies = server.seen.bodies();
    assert_eq!(bodies[0]["input"], "a", "left as it is");
    assert_eq!(texts(&bodies[1]), ["a", "answer 1", "b"]);
    assert_eq!(texts(&bodies[2]), ["a", "answer 1", "c"]);
    assert_eq!(texts(&bodies[3]), ["a", "answer 1", "b", "answer 2"]);
    assert_eq!(texts(&bodies[4]), ["a", "answer 1", "c", "answer 3"]);
    client.send(&next("resp_1", json!(3))).await;
    assert_eq!(code(&client.event().await).0, 400);
}

#[tokio::test]
async fn other_ids_are_left_to_a_store_further_in() {
    let answer = |body: &Json, number: usize| {
        if body["previous_response_id"] == "unknown" {
            let error = json!({"error": {"message": "no", "code": "previous_response_not_found"}});
            return json_response(400, &error).map(ResponseBody::new);
        }
        answers(body, number)
    };
    let server = serve(WebSocketLayer::new(), answer).await;
    let mut client = Client::new(&server).await;
    assert_eq!(code(&client.ask(&next("unknown", json!([user("x")]))).await), (400, "previous_response_not_found"));
    client.ask(&next("stored", json!([user("a")]))).await;
    client.ask(&next("resp_2", json!([user("b")]))).await;
    let bodies = server.seen.bodies();
    assert_eq!((&bodies[1]["previous_response_id"], texts(&bodies[1])), (&json!("stored"), vec!["a"]));
    let second = (&bodies[2]["previous_response_id"], texts(&bodies[2]));
    assert_eq!(second, (&json!("stored"), vec!["a", "answer 2", "b"]), "the store knows what was before");
}

#[tokio::test]
async fn what_failed_leaves_the_state_as_it_was() {
    let answer = |body: &Json, number: usize| match number {
        2 => stream(sse(&[
            json!({"type": "response.output_item.done", "item": {}}),
            json!({"type": "response.failed", "response": {"id": "resp_2"}}),
        ])),
        3 => json_response(500, &json!({})).map(ResponseBody::new),
        4 => stream(sse(&[json!({"type": "response.created"})])),
        5 => stream(sse(&[
            json!({"type": "response.incomplete", "response": {"id": "resp_5", "output": [message(5, "cut")]}}),
        ])),
        _ => answers(body, number),
    };
    let server = serve(WebSocketLayer::new(), answer).await;
    let mut client = Client::new(&server).await;
    client.ask(&create(json!({"input": "a"}))).await;
    for lost in ["b", "c", "d"] {
        client.ask(&next("resp_1", json!(lost))).await;
    }
    client.ask(&next("resp_1", json!("e"))).await;
    client.ask(&next("resp_5", json!("f"))).await;
    assert_eq!(texts(&server.seen.bodies()[5]), ["a", "answer 1", "e", "cut", "f"], "one that is cut is kept");
    client.ask(&next("resp_2", json!("g"))).await;
    assert_eq!(server.seen.bodies()[6]["previous_response_id"], "resp_2", "one that failed is not");
}

#[tokio::test]
async fn state_over_its_limit_is_forgotten_and_that_is_said() {
    let server = serve(WebSocketLayer::new().max_state(4000), answers).await;
    let mut client = Client::new(&server).await;
    client.ask(&create(json!({"input": "a"}))).await;
    client.ask(&next("resp_1", json!("x".repeat(4000)))).await;
    assert_eq!(code(&client.ask(&next("resp_2", json!("b"))).await), (400, "previous_response_not_found"));
    client.ask(&create(json!({"input": "a"}))).await;
    client.ask(&next("resp_3", json!("b"))).await;
    assert_eq!(texts(&server.seen.bodies()[3]), ["a", "answer 3", "b"]);
}

#[tokio::test]
async fn connections_know_nothing_of_each_other() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let (mut one, mut two) = (Client::new(&server).await, Client::new(&server).await);
    one.ask(&create(json!({"input": "secret"}))).await;
    two.ask(&next("resp_1", json!("x"))).await;
    assert_eq!(
        server.seen.bodies()[1],
        json!({"model": "m", "store": false, "stream": true, "previous_response_id": "resp_1", "input": "x"})
    );
}

#[tokio::test]
async fn a_pipelined_frame_can_go_on_from_the_one_before_it() {
    let gate = Arc::new(Mutex::new(Some(())));
    let answer = move |body: &Json, number: usize| -> Response<ResponseBody> {
        gate.lock().unwrap().take();
        sse_response(ResponseBody::new(
            tower_responses_testing::ScriptedBody::new()
                .pending()
                .chunks_of(said(number, body["input"].as_str().unwrap_or("more")), 50),
        ))
    };
    let server = serve(WebSocketLayer::new(), answer).await;
    let mut client = Client::new(&server).await;
    client.send(&create(json!({"input": "a"}))).await;
    client.send(&next("resp_1", json!("b"))).await;
    client.answer().await;
    client.answer().await;
    assert_eq!(texts(&server.seen.bodies()[1]), ["a", "a", "b"]);
}
