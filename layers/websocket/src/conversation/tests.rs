#![allow(clippy::disallowed_methods)]

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn create(frame: &Json) -> Create {
    let mut frame = frame.clone();
    frame["type"] = json!("response.create");
    Create::parse(frame.to_string().into()).unwrap()
}

fn outcome(id: &str, output: &Json) -> Outcome {
    let mut outcome = Outcome::new(usize::MAX);
    let event = json!({"type": "response.completed", "response": {"id": id, "output": output}});
    outcome.event(&tower_responses_core::sse::Event::from_text(format!("data: {event}\n\n").into()));
    outcome
}

/// Leads a conversation one turn further and gives the request that goes inward.
fn turn(conversation: &mut Conversation, frame: &Json, id: &str, output: &Json) -> Json {
    let mut create = create(frame);
    let begun = conversation.begin(&mut create).unwrap();
    conversation.commit(begun, &outcome(id, output));
    serde_json::from_slice(&create.request.text()).unwrap()
}

#[test]
fn what_is_stored_is_said_by_a_boolean() {
    let mut conversation = Conversation::new(1 << 20);
    for store in [json!(true), json!(false), Json::Null] {
        assert!(conversation.begin(&mut create(&json!({"input": "x", "store": store}))).is_ok());
    }
    for store in [json!(0), json!("false"), json!([])] {
        let error = conversation.begin(&mut create(&json!({"input": "x", "store": store}))).unwrap_err();
        assert!(error.message().starts_with("Invalid type for 'store'"), "{error}");
    }
}

#[test]
fn every_kind_of_input_can_be_gone_on_from() {
    let message = json!({"type": "message", "role": "user", "content": "é"});
    for (first, second, whole) in [
        (json!([{"n": 1}]), json!([{"n": 2}]), json!([{"n": 1}, {"o": 1}, {"n": 2}])),
        (json!([]), json!([]), json!([{"o": 1}])),
        (Json::Null, json!([{"n": 2}]), json!([{"o": 1}, {"n": 2}])),
        (json!("é"), json!([{"n": 2}]), json!([message, {"o": 1}, {"n": 2}])),
        (json!([{"n": 1}]), json!("é"), json!([{"n": 1}, {"o": 1}, message])),
        (json!({"odd": 1}), json!([{"n": 2}]), json!([{"o": 1}, {"n": 2}])),
    ] {
        let mut conversation = Conversation::new(1 << 20);
        let inward = turn(&mut conversation, &json!({"input": first}), "r1", &json!([{"o": 1}]));
        assert_eq!(inward["input"], first, "the first goes as it is");
        let inward = turn(&mut conversation, &json!({"input": second, "previous_response_id": "r1"}), "r2", &json!([]));
        assert_eq!(inward["input"], whole, "{first} and {second}");
        assert!(inward.get("previous_response_id").is_none());
    }
}

#[test]
fn a_request_that_does_not_go_on_keeps_its_bytes() {
    let text = r#"{"type":"response.create", "input" : [ {"n":1.0e+2} ],"previous_response_id" : null,"stream":true}"#;
    let mut create = Create::parse(text.into()).unwrap();
    Conversation::new(1 << 20).begin(&mut create).unwrap();
    assert_eq!(create.request.text(), r#"{ "input" : [ {"n":1.0e+2} ],"previous_response_id" : null,"stream":true}"#);
}

#[test]
fn items_keep_their_bytes_through_the_state() {
    let mut conversation = Conversation::new(1 << 20);
    let text = r#"{"type":"response.create","input":[ {"n":1.0e+2} , {"é" : null}],"stream":true}"#;
    let mut first = Create::parse(text.into()).unwrap();
    let begun = conversation.begin(&mut first).unwrap();
    conversation.commit(begun, &Outcome::empty("r1"));
    let text = r#"{"type":"response.create","previous_response_id":"r1","input":[{"x": 1}],"stream":true}"#;
    let mut second = Create::parse(text.into()).unwrap();
    conversation.begin(&mut second).unwrap();
    assert_eq!(second.request.text(), r#"{"input":[{"n":1.0e+2},{"é" : null},{"x": 1}],"stream":true}"#);
}

#[test]
fn a_large_frame_is_not_kept_for_a_small_item() {
    let mut conversation = Conversation::new(10 << 20);
    let tools = "t".repeat(100_000);
    turn(&mut conversation, &json!({"input": [{"x": "x".repeat(100)}], "tools": [{"x": tools}]}), "r1", &json!([]));
    assert!((100_000..102_000).contains(&conversation.bytes()), "{}", conversation.bytes());
    let before = conversation.bytes();
    let frame = json!({"input": [{"x": "x".repeat(100)}], "tools": [{"x": tools}], "previous_response_id": "r1"});
    turn(&mut conversation, &frame, "r2", &json!([]));
    let added = conversation.bytes() - before;
    assert!(added < 1000, "the same tools are kept once: {added}");
    let before = conversation.bytes();
    let frame = json!({"input": [{"x": "x".repeat(200_000)}], "tools": [{"x": tools}], "previous_response_id": "r1"});
    turn(&mut conversation, &frame, "r3", &json!([]));
    let added = conversation.bytes() - before;
    assert!((300_000..303_000).contains(&added), "the frame is kept, and counted whole: {added}");
}

#[test]
fn a_request_without_tools_has_those_of_the_one_before() {
    let (some, other) = (json!([{"name": "a"}]), json!([{"name": "b"}]));
    let allowed = json!({"type": "allowed_tools", "mode": "auto", "tools": []});
    for (first, second, tools, choice) in [
        (json!({"tools": some, "tool_choice": "auto"}), json!({}), &some, json!("auto")),
        (json!({"tools": some, "tool_choice": allowed}), json!({}), &some, allowed.clone()),
        (json!({"tools": some, "tool_choice": "required"}), json!({}), &some, Json::Null),
        (json!({"tools": some, "tool_choice": {"type": "function", "name": "a"}}), json!({}), &some, Json::Null),
        (json!({"tools": some, "tool_choice": "auto"}), json!({"tool_choice": "none"}), &some, json!("none")),
        (json!({"tools": some, "tool_choice": "auto"}), json!({"tools": other}), &other, Json::Null),
        (json!({"tools": some}), json!({"tools": []}), &json!([]), Json::Null),
        (json!({"tools": some}), json!({"tools": null}), &Json::Null, Json::Null),
        (json!({}), json!({"tool_choice": "auto"}), &Json::Null, json!("auto")),
    ] {
        let mut conversation = Conversation::new(1 << 20);
        turn(&mut conversation, &first, "r1", &json!([]));
        let mut second = second;
        second["previous_response_id"] = json!("r1");
        let inward = turn(&mut conversation, &second, "r2", &json!([]));
        assert_eq!((&inward["tools"], &inward["tool_choice"]), (tools, &choice), "{first} and {second}");
        let third = turn(&mut conversation, &json!({"previous_response_id": "r2"}), "r3", &json!([]));
        assert_eq!(&third["tools"], tools, "and so on: {first} and {second}");
    }
}

#[test]
fn many_turns_grow_by_what_they_add() {
    let mut conversation = Conversation::new(10 << 20);
    turn(&mut conversation, &json!({"input": [{"x": 1}]}), "r0", &json!([]));
    for number in 1..=300 {
        let frame = json!({"input": [{"x": "x".repeat(500)}], "previous_response_id": format!("r{}", number - 1)});
        let inward = turn(&mut conversation, &frame, &format!("r{number}"), &json!(["y".repeat(500)]));
        assert_eq!(inward["input"].as_array().unwrap().len(), 2 * number);
    }
    assert!(conversation.bytes() < 450_000, "{}", conversation.bytes());
}

#[test]
fn over_the_limit_all_is_forgotten_and_the_last_id_is_known_to_be() {
    for (store, is_error) in [(json!(false), true), (json!(true), false), (Json::Null, false)] {
        let mut conversation = Conversation::new(2000);
        turn(&mut conversation, &json!({"input": [{"x": 1}], "store": store}), "r1", &json!([]));
        let frame = json!({"input": [{"x": "x".repeat(3000)}], "previous_response_id": "r1", "store": store});
        turn(&mut conversation, &frame, "r2", &json!([]));
        assert_eq!(conversation.bytes(), 0);
        let again = conversation.begin(&mut create(&json!({"previous_response_id": "r2", "store": store})));
        assert_eq!(again.is_err(), is_error, "a store further in may have it: {store}");
        turn(&mut conversation, &json!({"input": [{"x": 1}]}), "r3", &json!([]));
        assert!(conversation.begin(&mut create(&json!({"previous_response_id": "r2"}))).is_ok(), "and anew");
    }
}

#[test]
fn output_over_the_limit_is_forgotten_too() {
    let mut conversation = Conversation::new(1000);
    let mut create = create(&json!({"input": [], "store": false}));
    let begun = conversation.begin(&mut create).unwrap();
    let mut outcome = Outcome::new(1000);
    for event in [
        json!({"type": "response.output_item.done", "item": "x".repeat(2000)}),
        json!({"type": "response.completed", "response": {"id": "r1"}}),
    ] {
        outcome.event(&tower_responses_core::sse::Event::from_text(format!("data: {event}\n\n").into()));
    }
    conversation.commit(begun, &outcome);
    assert_eq!(conversation.bytes(), 0);
}

proptest! {
    /// Against a client that remembers everything itself.
    #[test]
    fn any_conversation_is_what_the_client_means(
        turns in prop::collection::vec((0..12usize, 0..4usize, any::<bool>(), 0..2000usize), 1..40),
    ) {
        let mut conversation = Conversation::new(64 << 20);
        let mut known: HashMap<usize, (Option<usize>, Vec<Json>)> = HashMap::new();
        for (number, (back, length, fails, tools)) in turns.into_iter().enumerate() {
            let new: Vec<Json> = (0..length).map(|item| json!({"n": [number, item], "é": null})).collect();
            // 0 begins anew; what was never answered here lies elsewhere.
            let previous = (back > 0).then(|| number.wrapping_sub(back));
            let mut frame = json!({"input": new, "tools": "t".repeat(tools)});
            if let Some(previous) = previous {
                frame["previous_response_id"] = json!(format!("r{previous}"));
            }
            let (elsewhere, mut whole) = match previous {
                None => (None, Vec::new()),
                Some(previous) => known.get(&previous).cloned().unwrap_or((Some(previous), Vec::new())),
            };
            let continues = previous.is_some_and(|previous| known.contains_key(&previous));
            whole.extend(new);

            let mut create = create(&frame);
            let begun = conversation.begin(&mut create).unwrap();
            let inward: Json = serde_json::from_slice(&create.request.text()).unwrap();
            prop_assert_eq!(&inward["input"], &json!(whole));
            let expected = elsewhere.map(|elsewhere| format!("r{elsewhere}"));
            prop_assert_eq!(inward.get("previous_response_id").and_then(Json::as_str), expected.as_deref());
            prop_assert_eq!(&inward["tools"], &frame["tools"]);
            if fails {
                continue;
            }
            let output = json!([{"o": number}]);
            conversation.commit(begun, &outcome(&format!("r{number}"), &output));
            if !continues {
                known.clear();
            }
            whole.extend(output.as_array().unwrap().iter().cloned());
            known.insert(number, (elsewhere, whole));
        }
    }
}

#[test]
fn what_a_store_has_is_left_to_it() {
    for stored in [true, false] {
        let mut conversation = Conversation::new(1 << 20);
        let mut first = Create::parse(r#"{"type":"response.create","input":[{"id":"a"}]}"#.into()).expect("a frame");
        let begun = conversation.begin(&mut first).expect("begun");
        let mut outcome = Outcome::new(1 << 20);
        let end = format!(
            "data: {{\"type\":\"response.completed\",\"response\":{{\"id\":\"resp_1\",\"store\":{stored},\"output\":[]}}}}\n\n"
        );
        outcome.event(&tower_responses_core::sse::Event::from_text(end.into()));
        conversation.commit(begun, &outcome);

        let next = r#"{"type":"response.create","previous_response_id":"resp_1","input":[{"id":"b"}]}"#;
        let mut next = Create::parse(next.into()).expect("a frame");
        conversation.begin(&mut next).expect("begun");
        assert_eq!(next.request.has("previous_response_id"), stored);
        let items = next.request.get("input").and_then(Value::elements).expect("items");
        assert_eq!(items.count(), if stored { 1 } else { 2 }, "stored: {stored}");
    }
}
