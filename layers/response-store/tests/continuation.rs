//! `previous_response_id` from the first turn on.
#![allow(clippy::disallowed_methods)]

mod common;

use std::sync::Arc;

use common::{Gateway, message};
use serde_json::{Value, json};
use tower_responses_response_store::{MemoryStore, ResponseId};

fn gateway() -> Gateway {
    Gateway::new(Arc::new(MemoryStore::default()))
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

#[tokio::test]
async fn a_conversation_goes_on_in_json_and_in_streams() {
    for stream in [false, true] {
        let gateway = gateway();
        let first = gateway.create(json!({"model": "m", "input": "one", "stream": stream})).await;
        let id: ResponseId = first["id"].as_str().unwrap().parse().expect("an id of ours");
        assert_eq!(first["store"], true);
        assert_eq!(first["previous_response_id"], Value::Null);
        assert_eq!(first["output"], json!([message("hello")]));
        assert!(first["completed_at"].is_i64());
        assert_eq!(gateway.last_seen()["input"], "one", "the first turn goes on as it came");
        assert_eq!(gateway.last_seen()["store"], false);

        let body = json!({"model": "m", "input": [user("two")], "previous_response_id": first["id"], "stream": stream});
        let second = gateway.create(body).await;
        assert_eq!(gateway.last_seen()["input"], json!([user("one"), message("hello"), user("two")]));
        assert_eq!(gateway.last_seen().get("previous_response_id"), None);
        assert_eq!(second["previous_response_id"], first["id"]);
        assert_ne!(second["id"], first["id"]);

        // Two continuations of the second turn.
        for text in ["three", "four"] {
            let body = json!({"model": "m", "input": text, "previous_response_id": second["id"], "stream": stream});
            gateway.create(body).await;
            let all = [user("one"), message("hello"), user("two"), message("hello"), user(text)];
            assert_eq!(gateway.last_seen()["input"], json!(all));
        }

        let (status, got) = gateway.call("GET", &format!("/v1/responses/{id}"), None).await;
        assert_eq!((status, &got), (200, &first), "GET gives what the client got");
    }
}
