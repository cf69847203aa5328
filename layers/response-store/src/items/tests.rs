use super::*;

fn values(items: &[&str]) -> Vec<Value> {
    items.iter().map(|item| Value::from_text(item.as_bytes().to_vec())).collect()
}

#[test]
fn calls_are_followed_to_their_outputs() {
    for (items, pending) in [
        (vec![r#"{"type":"function_call","call_id":"a"}"#], vec!["a"]),
        (vec![r#"{"type":"function_call","call_id":"a"}"#, r#"{"type":"function_call_output","call_id":"a"}"#], vec![]),
        (vec![r#"{"call_id":"a","status":"completed","type":"custom_tool_call"}"#], vec!["a"]),
        (vec![r#"{"type":"function_call","call_id":"a","status":"incomplete"}"#], vec![]),
        (vec![r#"{"type":"web_search_call","id":"ws_1","status":"completed"}"#], vec![]),
        (vec![r#"{"type":"tool_search_call","call_id":null,"execution":"server"}"#], vec![]),
        (
            vec![r#"{"type":"function_call_output","call_id":"a"}"#, r#"{"type":"function_call","call_id":"a"}"#],
            vec!["a"],
        ),
        (vec![r#"{"role":"user","content":"function_call"}"#, "1", "null"], vec![]),
    ] {
        let mut calls = Calls::default();
        values(&items).iter().for_each(|item| calls.item(item));
        let calls = calls.into_pending();
        let ids: Vec<_> = calls.iter().map(|call| &*call.call_id).collect();
        assert_eq!(ids, pending, "{items:?}");
    }
}

#[test]
fn input_is_text_or_items() {
    let items = |input: &str| {
        let items = input_items(Some(&Value::from_text(input.as_bytes().to_vec())))?;
        Some(items.iter().map(|item| String::from_utf8(item.to_vec()).unwrap()).collect::<Vec<_>>())
    };
    assert_eq!(input_items(None), Some(Vec::new()));
    for (input, expected) in [
        ("null", Some(vec![])),
        ("[]", Some(vec![])),
        (r#""a\"b""#, Some(vec![r#"{"type":"message","role":"user","content":"a\"b"}"#])),
        (r#"[ {"a" : 1.0e2}, 2]"#, Some(vec![r#"{"a" : 1.0e2}"#, "2"])),
        ("{}", None),
        ("1", None),
    ] {
        assert_eq!(items(input), expected.map(|items| items.into_iter().map(str::to_owned).collect()), "{input}");
    }
}
