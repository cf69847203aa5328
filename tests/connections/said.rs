//! What the operator hears.

use std::sync::{Arc, Mutex};

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_responses::demo::{Item, Model, Turn, Upstream};

use crate::{
    raw::until,
    support::{Gateway, send},
};

fn lines(log: &Mutex<Vec<String>>, text: &str) -> Vec<String> {
    log.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
}

#[tokio::test]
async fn an_upstream_that_gives_no_answer_is_named_and_so_is_the_request() {
    let (gateway, log) = Gateway::start_logged(&["--upstream", "http://127.0.0.1:9/base", "--store", "none"]);
    let request = Request::post(format!("{}/v1/responses", gateway.url)).header("x-request-id", "req-of-mine");
    let request = request.header("content-type", "application/json").body(Full::from("{\"model\":\"m\"}")).unwrap();
    assert_eq!(send(request).await.status(), 502);
    let said = || lines(&log, "the upstream gave no answer");
    until("it is said", || !said().is_empty()).await;
    let line = said().remove(0);
    assert!(line.contains("http://127.0.0.1:9/base") && line.contains("req-of-mine"), "{line}");
}

#[tokio::test]
async fn tools_that_are_dropped_are_told_of_once_in_a_conversation() {
    let turns = (0..8).map(|_| Turn::new([Item::say("said")]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::start(listener, Model::scripted(turns)).unwrap();
    let (gateway, log) = Gateway::start_logged(&["--upstream", &upstream.url(), "--store", "memory"]);
    let log: Arc<Mutex<Vec<String>>> = log;
    let user = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]});
    let ask = async |input: Value, previous: &Value| {
        let tools = json!([{"type": "web_search"}]);
        let body = json!({"model": Model::NAME, "input": input, "previous_response_id": previous, "tools": tools});
        let (status, answer) = gateway.post(&body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    for (conversation, history_is_sent) in [false, true].into_iter().enumerate() {
        let (mut history, mut previous) = (Vec::new(), Value::Null);
        for _ in 0..3 {
            if !history_is_sent {
                history.clear();
            }
            history.push(user.clone());
            let answer = ask(json!(history), &previous).await;
            history.extend(answer["output"].as_array().unwrap().iter().cloned());
            if !history_is_sent {
                previous = answer["id"].clone();
            }
        }
        until("all turns are logged", || lines(&log, "tools_dropped=1").len() == 3 * (conversation + 1)).await;
        let told = lines(&log, "so they were dropped");
        assert_eq!(told.len(), conversation + 1, "{told:?}");
        assert!(told[0].contains("WARN") && told[0].contains("web_search"), "{told:?}");
    }
}
