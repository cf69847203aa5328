//! `GET /v1/responses/{id}/input_items`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::{collections::HashSet, sync::Arc};

use common::{Gateway, message};
use serde_json::{Value, json};
use tower_responses_response_store::MemoryStore;

fn gateway() -> Gateway {
    Gateway::new(Arc::new(MemoryStore::default()))
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

async fn list(gateway: &Gateway, response: &Value, query: &str) -> (u16, Value) {
    let path = format!("/v1/responses/{}/input_items{query}", response["id"].as_str().unwrap());
    gateway.call("GET", &path, None).await
}

fn input_text(text: &str) -> Value {
    json!([{"type": "input_text", "text": text}])
}

#[tokio::test]
async fn items_are_listed_in_pages() {
    let gateway = gateway();
    let with_id = json!({"id": "msg_u", "type": "message", "role": "user", "content": "b"});
    let first = gateway.create(json!({"input": "a"})).await;
    let second = gateway.create(json!({"input": [with_id, user("c")], "previous_response_id": first["id"]})).await;
    let list = async |query: &str| list(&gateway, &second, query).await;

    let (status, all) = list("?order=asc").await;
    assert_eq!((status, &all["object"], &all["has_more"]), (200, &json!("list"), &json!(false)));
    let items = all["data"].as_array().unwrap();
    let contents: Vec<_> = items.iter().map(|item| &item["content"]).collect();
    assert_eq!(contents, [&input_text("a"), &message("hello")["content"], &input_text("b"), &input_text("c")]);
    assert_eq!(items[2]["id"], "msg_u", "an id of its own stays");
    assert!(items.iter().all(|item| item["id"].is_string()));
    assert_eq!((&all["first_id"], &all["last_id"]), (&items[0]["id"], &items[3]["id"]));

    let (_, newest) = list("").await;
    let mut reversed = items.clone();
    reversed.reverse();
    assert_eq!(newest["data"], json!(reversed), "newest first, with the same ids");

    let (_, page) = list("?limit=2").await;
    assert_eq!((&page["data"], &page["has_more"]), (&json!(reversed[..2]), &json!(true)));
    let (_, rest) = list(&format!("?limit=2&after={}", page["last_id"].as_str().unwrap())).await;
    assert_eq!((&rest["data"], &rest["has_more"]), (&json!(reversed[2..]), &json!(false)));
    let (_, none) = list(&format!("?after={}", rest["last_id"].as_str().unwrap())).await;
    assert_eq!((&none["data"], &none["first_id"], &none["has_more"]), (&json!([]), &Value::Null, &json!(false)));
    for wrong in ["?limit=0", "?limit=101", "?limit=x", "?order=up", "?after=nothing"] {
        assert_eq!(list(wrong).await.0, 400, "{wrong}");
    }
}

/// What the SDKs read has a list of parts, a type and a status, whatever short form was sent.
#[tokio::test]
async fn messages_have_lists_of_parts() {
    let gateway = gateway();
    let parts = json!([{"type": "input_text", "text": "p"}, {"type": "input_image", "image_url": "data:,"}]);
    let call = json!({"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "a text"});
    let input = json!([
        {"role": "user", "content": "u\u{e9}\"\n"},
        {"type": "message", "role": "system", "content": "s"},
        {"role": "developer", "content": ""},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": parts},
        {"type": "message", "role": "assistant", "status": "incomplete", "content": "cut"},
        call,
        output,
    ]);
    let response = gateway.create(json!({"input": input})).await;
    let (_, listed) = list(&gateway, &response, "?order=asc").await;
    let text = |text: &str| json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
    let mut seen = listed["data"].as_array().unwrap().clone();
    for item in &mut seen {
        assert!(item["id"].is_string(), "{item}");
        item.as_object_mut().unwrap().remove("id");
    }
    let message = |role: &str, status: &str, content: Value| json!({"type": "message", "role": role, "status": status, "content": content});
    let mut call = call.clone();
    call.as_object_mut().unwrap().remove("id");
    let expected = [
        message("user", "completed", input_text("u\u{e9}\"\n")),
        message("system", "completed", input_text("s")),
        message("developer", "completed", input_text("")),
        message("assistant", "completed", text("a")),
        message("user", "completed", parts),
        message("assistant", "incomplete", text("cut")),
        call,
        output,
    ];
    assert_eq!(seen, expected);

    // Nothing of that is stored: the upstream sees what the client said.
    gateway.create(json!({"input": "next", "previous_response_id": response["id"]})).await;
    let asked = gateway.last_seen()["input"].as_array().unwrap().clone();
    assert_eq!(asked[..8], input.as_array().unwrap()[..]);
}

/// A pager that goes on after the last id of a page comes to an end, and sees everything.
#[tokio::test]
async fn items_that_were_sent_again_are_listed_under_ids_of_their_own() {
    let gateway = gateway();
    let same = message("hello");
    let first = gateway.create(json!({"input": [same, user("a"), same, user("b"), same]})).await;
    let second = gateway.create(json!({"input": [same], "previous_response_id": first["id"]})).await;
    for order in ["asc", "desc"] {
        for limit in 1..8 {
            let (mut ids, mut after) = (Vec::new(), String::new());
            loop {
                let query = format!("?order={order}&limit={limit}{after}");
                let (status, page) = list(&gateway, &second, &query).await;
                assert_eq!(status, 200, "{page}");
                ids.extend(page["data"].as_array().unwrap().iter().map(|item| item["id"].to_string()));
                assert!(ids.len() <= 7, "{ids:?}");
                if page["has_more"] == false {
                    break;
                }
                after = format!("&after={}", page["last_id"].as_str().unwrap());
            }
            assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 7, "{order} {limit} {ids:?}");
            assert!(ids.contains(&same["id"].to_string()));
        }
    }
}
