//! What OpenAI's service does with conversations, and what this one adds.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Gateway, message};
use serde_json::{Value, json};
use tower_responses_response_store::{MemoryStore, Owner, ResponseId, ResponseStoreLayer};
use tower_responses_testing::{body_text, create, parse_sse};

fn gateway() -> Gateway {
    Gateway::new(Arc::new(MemoryStore::default()))
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

fn function_call(call_id: &str, status: &str) -> Value {
    json!({"id": "fc_1", "type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", "status": status})
}

fn output_of(kind: &str, call_id: &str) -> Value {
    json!({"type": format!("{kind}_output"), "call_id": call_id, "output": "done"})
}

fn error_of(answer: &Value) -> (&str, &str, Option<&str>) {
    let error = &answer["error"];
    let text = |name: &str| error[name].as_str();
    (text("message").unwrap(), text("code").unwrap_or(""), text("param"))
}

#[tokio::test]
async fn what_is_not_served_is_refused_before_the_upstream_is_asked() {
    let gateway = gateway();
    let unknown = ResponseId::root().to_string();
    for (body, code, param) in [
        (json!({"background": true}), "unsupported_parameter", "background"),
        (json!({"background": 1}), "invalid_type", "background"),
        (json!({"background": "false"}), "invalid_type", "background"),
        (json!({"store": 0}), "invalid_type", "store"),
        (json!({"store": "false"}), "invalid_type", "store"),
        (json!({"stream": 1}), "invalid_type", "stream"),
        (json!({"stream": "true"}), "invalid_type", "stream"),
        (json!({"conversation": "conv_1"}), "unsupported_parameter", "conversation"),
        (json!({"conversation": {"id": "conv_1"}}), "unsupported_parameter", "conversation"),
        (json!({"previous_response_id": 1}), "invalid_type", "previous_response_id"),
        (json!({"previous_response_id": "resp_1"}), "previous_response_not_found", "previous_response_id"),
        (json!({"previous_response_id": unknown}), "previous_response_not_found", "previous_response_id"),
        (
            json!({"previous_response_id": unknown, "stream": true}),
            "previous_response_not_found",
            "previous_response_id",
        ),
    ] {
        let (status, answer) = gateway.create_as(None, body.clone()).await;
        assert_eq!(status, 400, "{body}");
        let (message, got_code, got_param) = error_of(&answer);
        assert_eq!((got_code, got_param), (code, Some(param)), "{body}");
        if code == "previous_response_not_found" {
            let id = body["previous_response_id"].as_str().unwrap();
            assert_eq!(message, format!("Previous response with id '{id}' not found."));
        }
        assert_eq!(answer["error"]["type"], "invalid_request_error");
    }
    for path in ["/v1/responses/compact", "/v1/responses/input_tokens"] {
        let (status, answer) = gateway.call("POST", path, None).await;
        assert_eq!((status, error_of(&answer).1), (400, "unsupported_endpoint"));
    }
    for body in [
        json!({"background": false, "conversation": null, "previous_response_id": null, "store": null, "stream": null, "input": "x"}),
    ] {
        gateway.create(body).await;
    }
    assert_eq!(gateway.times_asked(), 1);
}

#[tokio::test]
async fn a_response_that_is_not_to_be_stored_is_not() {
    let gateway = gateway();
    for stream in [false, true] {
        let first = gateway.create(json!({"input": "a"})).await;
        let body = json!({"input": "b", "store": false, "previous_response_id": first["id"], "stream": stream});
        let second = gateway.create(body).await;
        assert_eq!(second["store"], false);
        assert_eq!(second["previous_response_id"], first["id"]);
        assert_eq!(gateway.last_seen()["input"].as_array().unwrap().len(), 3, "it is hydrated");
        assert_eq!(gateway.last_seen()["store"], false);
        let id = second["id"].as_str().unwrap();
        assert!(id.parse::<ResponseId>().is_ok(), "the id is ours all the same");
        assert_eq!(gateway.call("GET", &format!("/v1/responses/{id}"), None).await.0, 404);
        let (status, answer) = gateway.create_as(None, json!({"input": "c", "previous_response_id": id})).await;
        assert_eq!((status, error_of(&answer).1), (400, "previous_response_not_found"));
    }
}

#[tokio::test]
async fn every_event_has_our_id_and_says_what_is_true() {
    let gateway = gateway();
    let body = json!({"input": "a", "stream": true, "instructions": "be kind"});
    let text = body_text(gateway.send(create(&body)).await.into_body()).await;
    assert!(!text.contains("resp_upstream"));
    let events = parse_sse(&text);
    let of_response: Vec<_> = events.iter().filter_map(|event| event.get("response")).collect();
    assert_eq!(of_response.len(), 3);
    for response in &of_response {
        assert_eq!(response["id"], of_response[0]["id"]);
        assert_eq!(response["store"], true);
        assert_eq!(response["instructions"], "be kind");
        assert_eq!(response["previous_response_id"], Value::Null);
    }
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn two_requests_never_share_an_id() {
    let gateway = gateway();
    let (first, second) = (gateway.create(json!({"input": "a"})).await, gateway.create(json!({"input": "b"})).await);
    assert_ne!(first["id"], second["id"], "though the upstream gives the same");
}

#[tokio::test]
async fn calls_wait_for_their_outputs() {
    for (kind, words) in [
        ("function_call", "function call"),
        ("custom_tool_call", "custom tool call"),
        ("tool_search_call", "tool search call"),
    ] {
        let gateway = gateway();
        let mut call = function_call("call_x", "completed");
        call["type"] = json!(kind);
        gateway.will_answer(json!([message("let me see"), call]));
        let first = gateway.create(json!({"input": "a"})).await;
        for input in [json!("go on"), json!([output_of(kind, "call_y")]), json!([])] {
            let body = json!({"input": input, "previous_response_id": first["id"]});
            let (status, answer) = gateway.create_as(None, body).await;
            let expected = format!("No tool output found for {words} call_x.");
            assert_eq!((status, error_of(&answer).0), (400, &*expected));
            assert_eq!(answer["error"]["param"], "input");
        }
        assert_eq!(gateway.times_asked(), 1, "the upstream was not asked");
        let output = output_of(kind, "call_x");
        gateway.create(json!({"input": [output], "previous_response_id": first["id"]})).await;
        assert_eq!(gateway.last_seen()["input"], json!([user("a"), message("let me see"), call, output]));
    }
}

#[tokio::test]
async fn a_call_of_the_clients_own_history_waits_too() {
    let gateway = gateway();
    let first = gateway.create(json!({"input": [user("a"), function_call("call_x", "completed")]})).await;
    let (status, _) = gateway.create_as(None, json!({"input": "b", "previous_response_id": first["id"]})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_call_that_was_cut_is_neither_waited_for_nor_shown_again() {
    let gateway = gateway();
    let cut = function_call("call_x", "incomplete");
    gateway.reply(json!({"output": [message("I"), cut], "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"}}));
    let first = gateway.create(json!({"input": "a", "stream": true})).await;
    assert_eq!(first["status"], "incomplete");
    assert_eq!(first.get("completed_at").cloned().unwrap_or_default(), Value::Null);
    gateway.create(json!({"input": "go on", "previous_response_id": first["id"]})).await;
    assert_eq!(gateway.last_seen()["input"], json!([user("a"), message("I"), user("go on")]));
    let (_, got) = gateway.call("GET", &format!("/v1/responses/{}", first["id"].as_str().unwrap()), None).await;
    assert_eq!(got, first, "GET shows it as it was");
}

#[tokio::test]
async fn a_failed_response_can_be_read_and_not_continued() {
    let gateway = gateway();
    gateway.reply(json!({"status": "failed", "output": [], "error": {"code": "server_error", "message": "no"}}));
    let first = gateway.create(json!({"input": "a"})).await;
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    assert_eq!(gateway.call("GET", &path, None).await, (200, first.clone()));
    let (status, answer) = gateway.create_as(None, json!({"input": "b", "previous_response_id": first["id"]})).await;
    assert_eq!((status, error_of(&answer).1), (400, "previous_response_failed"));
}

#[tokio::test]
async fn tools_are_inherited_and_instructions_are_not() {
    let tools = json!([{"type": "function", "name": "f", "parameters": {}}]);
    let named = json!({"type": "function", "name": "f"});
    let allowed = |mode: &str| json!({"type": "allowed_tools", "mode": mode, "tools": []});
    for (choice, inherited) in [
        (json!("auto"), true),
        (json!("none"), true),
        (json!("required"), false),
        (named, false),
        (allowed("auto"), true),
        (allowed("required"), false),
    ] {
        let gateway = gateway();
        let body = json!({"input": "a", "tools": tools, "tool_choice": choice, "instructions": "be kind"});
        let first = gateway.create(body).await;
        let second = gateway.create(json!({"input": "b", "previous_response_id": first["id"]})).await;
        let third = gateway.create(json!({"input": "c", "previous_response_id": second["id"]})).await;
        let seen = gateway.last_seen();
        assert_eq!(seen["tools"], tools, "also over two turns");
        assert_eq!(seen.get("tool_choice"), inherited.then_some(&choice), "{choice}");
        assert_eq!((seen.get("instructions"), &third["instructions"]), (None, &Value::Null));
        assert_eq!(third["tools"], tools);
        gateway.create(json!({"input": "d", "tools": [], "previous_response_id": third["id"]})).await;
        assert_eq!(gateway.last_seen()["tools"], json!([]), "no tools are none");
    }
    let gateway = Gateway::with_layer(&ResponseStoreLayer::new(Arc::new(MemoryStore::default())).inherit_tools(false));
    let first = gateway.create(json!({"input": "a", "tools": tools})).await;
    gateway.create(json!({"input": "b", "previous_response_id": first["id"]})).await;
    assert_eq!(gateway.last_seen().get("tools"), None);
}

#[tokio::test]
async fn items_may_be_replayed_with_their_ids() {
    let gateway = gateway();
    let first = gateway.create(json!({"input": "a"})).await;
    let all = json!([user("a"), first["output"][0], user("b")]);
    let second = gateway.create(json!({"input": all})).await;
    assert_eq!(second["store"], true);
    let third =
        gateway.create(json!({"input": [message("hello"), user("c")], "previous_response_id": second["id"]})).await;
    assert_eq!(third["store"], true);
    assert_eq!(gateway.last_seen()["input"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn references_to_items_are_resolved_for_their_owner() {
    let gateway = gateway();
    gateway.will_answer(json!([{"id": "msg_7", "type": "message", "role": "assistant", "content": "seven"}]));
    let (_, first) = gateway.create_as(Some("k"), json!({"input": "a"})).await;
    let reference = json!({"type": "item_reference", "id": "msg_7"});
    let resolved = first["output"][0].clone();

    // Alone, in the same conversation, and in another that is not stored.
    for extra in [json!({}), json!({"previous_response_id": first["id"]}), json!({"store": false})] {
        let mut body = extra.clone();
        body["input"] = json!([reference, user("b")]);
        let (status, answer) = gateway.create_as(Some("k"), body).await;
        assert_eq!(status, 200, "{answer}");
        let seen = gateway.last_seen();
        let items = seen["input"].as_array().unwrap();
        assert_eq!(items[items.len() - 2..], [resolved.clone(), user("b")], "{extra}");
    }
    for key in [Some("other"), None] {
        let (status, answer) = gateway.create_as(key, json!({"input": [reference]})).await;
        assert_eq!((status, error_of(&answer).0), (400, "Item with id 'msg_7' not found."));
    }
}

#[tokio::test]
async fn what_a_request_brings_can_be_referred_to_unless_it_brings_a_whole_conversation() {
    let gateway = gateway();
    let named = |count: usize| {
        let name =
            |number| json!({"type": "message", "role": "user", "content": "x", "id": format!("in_{count}_{number}")});
        (0..count).map(name).collect::<Vec<_>>()
    };
    let status_of = async |id: &str, previous: Option<&Value>| {
        let body = json!({"input": [{"type": "item_reference", "id": id}], "previous_response_id": previous});
        gateway.create_as(None, body).await.0
    };
    gateway.create(json!({"input": named(64)})).await;
    assert_eq!(status_of("in_64_63", None).await, 200);
    let large = gateway.create(json!({"input": named(65)})).await;
    assert_eq!(status_of("in_65_0", None).await, 400, "not from elsewhere");
    assert_eq!(status_of("in_65_0", Some(&large["id"])).await, 200, "in its own conversation");
    let answered = large["output"][0]["id"].as_str().unwrap();
    assert_eq!(status_of(answered, None).await, 200);
}

#[tokio::test]
async fn a_response_belongs_to_the_credential_of_its_request() {
    let gateway = gateway();
    let (_, mine) = gateway.create_as(Some("a"), json!({"input": "secret"})).await;
    let path = format!("/v1/responses/{}", mine["id"].as_str().unwrap());
    for other in [Some("b"), None] {
        assert_eq!(gateway.call("GET", &path, other).await.0, 404);
        assert_eq!(gateway.call("DELETE", &path, other).await.0, 404);
        assert_eq!(gateway.call("GET", &format!("{path}/input_items"), other).await.0, 404);
        assert_eq!(gateway.call("POST", &format!("{path}/cancel"), other).await.0, 404);
        let body = json!({"input": "b", "previous_response_id": mine["id"]});
        let (status, answer) = gateway.create_as(other, body).await;
        let unknown = ResponseId::root().to_string();
        let (_, of_unknown) = gateway.create_as(other, json!({"input": "b", "previous_response_id": unknown})).await;
        assert_eq!(status, 400);
        let same = answer.to_string().replace(mine["id"].as_str().unwrap(), &unknown);
        assert_eq!(same, of_unknown.to_string(), "not to be told from an unknown one");
    }
    assert_eq!(gateway.call("GET", &path, Some("a")).await.0, 200);
}

#[tokio::test]
async fn an_operator_can_name_the_owner_of_a_key() {
    let gateway = gateway();
    let request = |body: Value, key: &str, owner: &str| {
        let mut request = create(&body);
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        request.extensions_mut().insert(Owner::named(owner));
        request
    };
    let first = gateway.send(request(json!({"input": "a"}), "old token", "team")).await;
    let first = tower_responses_testing::body_json(first.into_body()).await;
    let next = json!({"input": "b", "previous_response_id": first["id"]});
    assert_eq!(gateway.send(request(next.clone(), "new token", "team")).await.status(), 200);
    assert_eq!(gateway.send(request(next, "old token", "other")).await.status(), 400);
}

#[tokio::test]
async fn responses_are_read_and_deleted() {
    let gateway = gateway();
    let first = gateway.create(json!({"input": "a"})).await;
    let second = gateway.create(json!({"input": "b", "previous_response_id": first["id"]})).await;
    let path = |response: &Value| format!("/v1/responses/{}", response["id"].as_str().unwrap());

    let (status, answer) = gateway.call("POST", &format!("{}/cancel", path(&first)), None).await;
    assert_eq!((status, error_of(&answer).0), (400, "Cannot cancel a synchronous response."));
    assert_eq!(gateway.call("GET", &format!("{}?stream=true", path(&first)), None).await.0, 400);

    let (status, answer) = gateway.call("DELETE", &path(&first), None).await;
    assert_eq!((status, answer), (200, json!({"id": first["id"], "object": "response", "deleted": true})));
    for method in ["GET", "DELETE"] {
        let (status, answer) = gateway.call(method, &path(&first), None).await;
        let expected = format!("Response with id '{}' not found.", first["id"].as_str().unwrap());
        assert_eq!((status, error_of(&answer).0), (404, &*expected));
    }
    let (status, _) = gateway.create_as(None, json!({"input": "c", "previous_response_id": first["id"]})).await;
    assert_eq!(status, 400);
    let third = gateway.create(json!({"input": "c", "previous_response_id": second["id"]})).await;
    assert_eq!(gateway.last_seen()["input"].as_array().unwrap().len(), 5, "the continuation is whole");
    assert_eq!(third["store"], true);
}

#[tokio::test]
async fn output_is_collected_where_the_last_event_has_none() {
    let gateway = gateway();
    gateway.reply(json!({"output": [message("one"), message("two")], "omit_output": true}));
    let first = gateway.create(json!({"input": "a", "stream": true})).await;
    gateway.create(json!({"input": "b", "previous_response_id": first["id"]})).await;
    assert_eq!(gateway.last_seen()["input"], json!([user("a"), message("one"), message("two"), user("b")]));
}

#[tokio::test]
async fn a_stream_without_an_end_is_not_stored() {
    let store = Arc::new(MemoryStore::default());
    let gateway = Gateway::new(store.clone());
    gateway.reply(json!({"cut": true}));
    let text = body_text(gateway.send(create(&json!({"input": "a", "stream": true}))).await.into_body()).await;
    assert!(!text.contains("response.completed"));
    use tower_responses_response_store::ResponseStore;
    assert_eq!(store.stats().await.unwrap().responses, 0);
}

#[tokio::test]
async fn an_error_of_the_upstream_passes_as_it_came() {
    let gateway = gateway();
    gateway.reply(json!({"http": 429}));
    let (status, answer) = gateway.create_as(None, json!({"input": "a"})).await;
    assert_eq!(
        (status, &answer),
        (429, &json!({"error": {"message": "no", "type": "x", "param": null, "code": null}}))
    );
}

#[tokio::test]
async fn without_a_store_ids_are_minted_and_nothing_is_continued() {
    let gateway = Gateway::with_layer(&ResponseStoreLayer::disabled());
    let first = gateway.create(json!({"input": "a", "store": true})).await;
    assert!(first["id"].as_str().unwrap().parse::<ResponseId>().is_ok());
    assert_eq!(first["store"], false);
    let (status, answer) = gateway.create_as(None, json!({"input": "b", "previous_response_id": first["id"]})).await;
    assert_eq!((status, error_of(&answer).2), (400, Some("previous_response_id")));
    assert!(error_of(&answer).0.contains("stores no responses"));
    assert_eq!(gateway.call("GET", &format!("/v1/responses/{}", first["id"].as_str().unwrap()), None).await.0, 404);
}

#[tokio::test]
async fn what_is_not_for_responses_passes_untouched() {
    let gateway = gateway();
    let request = http::Request::post("/v1/chat/completions").body("{ not json".into()).unwrap();
    assert_eq!(body_text(gateway.send(request).await.into_body()).await, "passed");
}

#[tokio::test]
async fn what_the_client_wrote_is_kept_byte_for_byte() {
    let gateway = gateway();
    let text = r#"{"input":[{"role":"user","content":"\u00e9 \/ 1.0e+2","n": 1.0e+2 , "m":2},{"id":"a", "i\u0064" : "b"}],"model":"m"}"#;
    let request = http::Request::post("/v1/responses").body(text.into()).unwrap();
    let first = tower_responses_testing::body_json(gateway.send(request).await.into_body()).await;
    let text = format!(r#"{{"input":"b","previous_response_id":{}}}"#, first["id"]);
    let request = http::Request::post("/v1/responses").body(text.into()).unwrap();
    gateway.send(request).await;
    let seen = gateway.last_seen_text();
    assert!(seen.contains(r#"{"role":"user","content":"\u00e9 \/ 1.0e+2","n": 1.0e+2 , "m":2}"#), "{seen}");
    assert!(seen.contains(r#",{ "i\u0064" : "b"},"#), "of a name that stands twice the last member counts: {seen}");
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_unless_it_is_to_be_finished() {
    use http_body_util::BodyExt;
    use tower::{Layer, ServiceExt};
    use tower_responses_response_store::{FinishLayer, ResponseStore};
    use tower_responses_testing::{ScriptedBody, sse, sse_response};

    let request = json!({"input": "a", "stream": true});
    for finish in [false, true] {
        let store = Arc::new(MemoryStore::default());
        let (body, watch) = {
            let events = sse(&common::events_of(&common::response_object(&request, &json!([message("hello")]))));
            let body = ScriptedBody::new().chunks_of(events, 300).pending();
            let watch = body.watch();
            (std::sync::Mutex::new(Some(body)), watch)
        };
        let body = Arc::new(body);
        let upstream = tower::service_fn(move |_: http::Request<tower_responses_core::RequestBody>| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Ok::<_, std::convert::Infallible>(sse_response(body)) }
        });
        let kept = ResponseStoreLayer::new(store.clone()).layer(upstream);
        let response = if finish {
            FinishLayer::new(8).layer(kept).oneshot(create(&request)).await.unwrap()
        } else {
            kept.oneshot(create(&request)).await.unwrap()
        };
        let mut body = response.into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(watch.is_dropped(), "the upstream's body is gone");
        assert_eq!(store.stats().await.unwrap().responses, u64::from(finish));
    }
}
