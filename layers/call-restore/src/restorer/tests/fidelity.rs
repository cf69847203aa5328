//! Nothing is lost, nothing else is changed, and how the bytes come makes no difference.

use proptest::prelude::*;

use super::*;

const TEXT: &str = concat!(
    "event: response.created\n",
    "data: {\"type\":\"response.created\",\"sequence_number\":0, \"response\":{\"x\":1.0e+2,\"output\":[]}}\n\n",
    ": comment\n\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{ \"type\":\"message\",\"new\":[1 , 2]}}\n\n",
    "id: 7\r\nevent: response.output_text.delta\r\n",
    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"\\u00e9\",\"sequence_number\":2}\r\n\r\n",
    "data: not json\n\n",
    "event: brand.new\ndata: {\"type\":\"brand.new\",\"sequence_number\":3}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"brand_new_call\",\"name\":\"mcp__fs__read\"}}\n\n",
    "data: {\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"fc_9\",\"delta\":\"{\"}\n\n",
    "data: {\"type\":\"response.function_call_arguments.done\", \"item_id\":\"fc_9\",\"name\" : \"shell\",\"arguments\":\"{}\"}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"sequence_number\":6,\"item\":{ \"name\":\"shell\", ",
    "\"type\":\"function_call\",\"id\":\"fc_9\",\"call_id\":\"c\",\"arguments\":\"{}\",\"status\":\"completed\"}}\n\n",
    "data: {\"type\":\"response.completed\",\"response\":{ \"status\":\"completed\",",
    "\"output\":[{\"type\":\"unheard_of\"}],\"tools\":[] ,\"usage\":null}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn a_stream_with_nothing_to_restore_leaves_as_it_came() {
    for chunk in [1, 2, 3, 5, 7, 11, 13, 17, 64, MAX] {
        assert_eq!(run_text(&map(), TEXT, chunk), TEXT);
    }
}

#[test]
fn objects_leave_as_they_came_but_for_what_is_restored() {
    let restored = |text: &str| {
        let mut object = Object::parse(text.to_owned().into()).unwrap();
        Restorer::new(map()).restore_object(&mut object);
        String::from_utf8(object.text().to_vec()).unwrap()
    };
    let text = r#"{ "status":"completed", "n" : 1.0e+2, "output":[ {"type":"x", "a":1},{"type":"function_call","name":"shell","id":"f","call_id":"c","arguments":"{}","status":"completed"}] , "tools":[]}"#;
    assert_eq!(restored(text), text);

    let text = r#"{"output":[{"new": 1.0e+2 ,"type":"function_call","id":"fc_1","call_id":"c","name":"mcp__fs__read","arguments":"{ \"x\" : 1.0 }","status":"completed", "async":null}]}"#;
    let expected = r#"{"output":[{"new": 1.0e+2 ,"type":"function_call","id":"fc_1","call_id":"c","name":"read","arguments":"{ \"x\" : 1.0 }","status":"completed", "async":null,"namespace":"mcp__fs"}]}"#;
    assert_eq!(restored(text), expected);
}

/// Models write their arguments on several lines too, and those of a search leave as JSON.
#[test]
fn line_ends_in_arguments_that_become_json_do_not_reach_the_wire() {
    let events = call_events("tool_search", &["{\n  \"query\": \"a\",\r\n", "  \"limit\": 1\n}"]);
    let read = read_events(&run_text(&map(), &sse(&number(&events)), MAX));
    let last: Json = serde_json::from_str(&read.last().unwrap().1).unwrap();
    assert_eq!(last["response"]["output"][0]["arguments"], json!({"query": "a", "limit": 1}));
    assert!(read.iter().all(|(_, data)| serde_json::from_str::<Json>(data).is_ok()), "{read:?}");
}

/// A call, cut into deltas.
fn any_call() -> impl Strategy<Value = Vec<Json>> {
    let name = prop::sample::select(vec!["shell", "mcp__fs__read", "apply_patch", "js__exec", "tool_search", "other"]);
    // A text in quotes looks like vLLM's when it is seen again.
    let input = any::<String>().prop_filter("quotes", |input| !input.starts_with('"'));
    let arguments = prop_oneof![
        input.clone().prop_map(|input| json!({"input": input}).to_string()),
        input.prop_map(|input| json!({"why": [1, {"input": 2}], "input": input, "z": "\"}"}).to_string()),
        // Not to be taken for JSON.
        "[*a-z\\\\éß😀][^\"]{0,20}",
    ];
    (name, arguments, prop::collection::vec(0..64usize, 0..8)).prop_map(|(name, arguments, cuts)| {
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| arguments.is_char_boundary(*cut)).collect();
        cuts.sort_unstable();
        let mut deltas = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([arguments.len()]) {
            deltas.push(&arguments[start..cut]);
            start = cut;
        }
        call_events(name, &deltas)
    })
}

proptest! {
    #[test]
    fn chunks_make_no_difference_and_twice_is_once(events in any_call(), chunk in 1..40usize) {
        let text = sse(&number(&events));
        let out = run_text(&map(), &text, MAX);
        prop_assert_eq!(&run_text(&map(), &text, chunk), &out);
        prop_assert_eq!(&run_text(&map(), &out, chunk), &out);
        for (number, event) in parse_sse(&out).iter().enumerate() {
            prop_assert_eq!(&event["sequence_number"], &json!(number));
        }
    }

    #[test]
    fn a_call_on_several_lines_is_restored_as_one_on_one_line_is(
        events in any_call(), end in prop::sample::select(vec!["\n", "\r\n", "\r"]), chunk in 1..40usize,
    ) {
        let events = number(&events);
        let lines = |event: &Json| {
            let pretty = serde_json::to_string_pretty(event).unwrap();
            pretty.lines().map(|line| format!("data: {line}{end}")).collect::<String>() + end
        };
        let spelled: String = events.iter().map(lines).collect();
        let out = run_text(&map(), &spelled, MAX);
        prop_assert_eq!(&run_text(&map(), &spelled, chunk), &out);
        let read = read_events(&out).iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect::<Vec<Json>>();
        prop_assert_eq!(read, parse_sse(&run_text(&map(), &sse(&events), MAX)), "{}", out);
    }

    #[test]
    fn the_deltas_of_a_custom_call_are_its_input(events in any_call()) {
        let out = parse_sse(&run_text(&map(), &sse(&number(&events)), MAX));
        let deltas = out.iter().filter(|event| event["type"] == crate::events::DELTA);
        let sum: String = deltas.map(|event| event["delta"].as_str().unwrap()).collect();
        let done: Vec<_> = out.iter().filter(|event| event["type"] == crate::events::DONE).collect();
        for event in &done {
            prop_assert_eq!(&event["input"], &json!(sum));
        }
        let last = &out.last().unwrap()["response"]["output"][0];
        if last["type"] == "custom_tool_call" {
            prop_assert_eq!(done.len(), 1);
            prop_assert_eq!(&last["input"], &json!(sum));
        }
    }
}
