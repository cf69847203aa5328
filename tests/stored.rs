//! What a gateway that runs does with its store, on the disk and in memory.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use tower_responses::demo::{Model, Upstream};

use support::{Gateway, TempDir};

async fn upstream() -> Upstream {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Upstream::start(listener, Model::obedient()).unwrap()
}

fn reference(id: usize) -> Value {
    json!({"type": "item_reference", "id": format!("msg_{id}")})
}

#[tokio::test]
async fn many_references_into_one_large_turn_take_little_memory() {
    const ITEMS: usize = 59;
    let (upstream, folder) = (upstream().await, TempDir::new());
    let url = format!("sqlite:{}", folder.0.join("s.db").display());
    let gateway = Gateway::start(&["--upstream", &upstream.url(), "--store", &url]);
    let text = "x".repeat(140_000);
    let message = |id| json!({"type": "message", "role": "user", "content": text, "id": format!("msg_{id}")});
    let first: Vec<_> = (0..ITEMS).map(message).collect();
    let (status, answer) = gateway.post(&json!({"model": Model::NAME, "input": first})).await;
    assert_eq!((status, &answer["store"]), (200, &json!(true)), "{answer}");

    // The second time there is nothing new.
    let references =
        json!({"model": Model::NAME, "store": false, "input": (0..ITEMS).map(reference).collect::<Vec<_>>()});
    let before = gateway.peak_memory();
    for _ in 0..2 {
        let (status, answer) = gateway.post(&references).await;
        assert_eq!(status, 200, "{answer}");
    }
    let grown = gateway.peak_memory() - before;
    assert!(grown < 100 << 20, "8 MB that are referred to took {} MB more", grown >> 20);
}
