#![allow(clippy::disallowed_methods)]

mod properties;

use super::*;
use bytes::Bytes;

fn object(text: &str) -> Object {
    Object::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

#[test]
fn text_that_nobody_changes_stays_as_it_came() {
    let text = "\n { \"b\" : 1.50e+01 ,\"a\":\t[ 1 , { \"x\" : null } ] , \"\\u0061b\" : \"\\u00e9\" } ";
    let mut object = object(text);
    object.array_mut("a").unwrap().get_mut(1).unwrap().as_object_mut().unwrap();
    assert_eq!(object.text(), text, "also when opened to the bottom");
    assert_eq!(object.get_str("ab").as_deref(), Some("é"), "keys are compared decoded");
}

#[test]
fn only_the_member_that_was_set_differs() {
    let mut body = object(r#"{"model":"a", "big": [1, 2],  "input": [ {"id": 1 }, {"id":2}, 3 ] , "z": 0}"#);
    body.set("model", "b");
    let items = body.array_mut("input").unwrap();
    items.map(|item| match item.as_object_mut() {
        Some(item) if item.get("id").unwrap().as_i64() == Some(2) => {
            item.set("id", "two");
            Edit::Keep
        }
        Some(_) => Edit::Keep,
        None => Edit::with("three"),
    });
    assert_eq!(body.text(), r#"{"model":"b", "big": [1, 2],"input":[ {"id": 1 },{"id":"two"},"three"], "z": 0}"#);
}

#[test]
fn the_last_of_equal_keys_counts() {
    let mut body = object(r#"{"a":1,"b":2,"a":3}"#);
    assert_eq!(body.get("a").unwrap().as_i64(), Some(3));
    body.set("a", Value::serialize(&4));
    assert_eq!(body.text(), r#"{"b":2,"a":4}"#);
    let mut body = object(r#"{"a":1,"b":2,"a":3}"#);
    body.remove("a");
    assert_eq!(body.text(), r#"{"b":2}"#);
    body.remove("b");
    assert_eq!(body.text(), "{}");
}

#[test]
fn members_are_found_among_many() {
    let keys: Vec<_> = (0..300).map(|number| format!("{}{number}", "k".repeat(number % 7))).collect();
    let members: Vec<_> = keys.iter().map(|key| format!("\"{key}\":\"{key}\"")).collect();
    for count in [0, 1, 11, 12, 13, 40, 300] {
        let mut object = object(&format!("{{{}}}", members[..count].join(",")));
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(object.get_str(key).as_deref(), (at < count).then_some(&**key), "{count}");
        }
        for key in keys[..count].iter().step_by(3) {
            assert!(object.remove(key).is_some());
        }
        object.set("new", 1.to_string().as_str());
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(object.has(key), at < count && at % 3 != 0, "{count}");
        }
        assert!(object.has("new"));
    }
}

/// In a table of all of them each would be compared with all before it.
#[test]
fn keys_that_are_chosen_to_be_alike_cost_no_more_than_others() {
    let members: Vec<_> = (0..60_000).map(|number| format!("\"a{number:06}a\":{number:22}")).collect();
    let text = format!("{{{}}}", members.join(","));
    let start = std::time::Instant::now();
    let object = object(&text);
    assert_eq!(object.get("a059999a").and_then(Value::as_i64), Some(59_999));
    assert!(object.get("a060000a").is_none());
    assert!(start.elapsed() < std::time::Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["", "[1]", "null", "{", "{\"a\":}", "{\"a\":1,}", "{} x", "{\"a\":01}", "{\"a\":\"\n\"}", "{'a':1}"] {
        assert!(Object::parse(text.into()).is_err(), "{text}");
    }
    assert!(Object::parse(Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err(), "not UTF-8");
}

#[test]
fn depth_does_not_overflow_the_stack() {
    let text = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(object(&text).text(), text);
}

#[test]
fn large_neighbours_leave_as_one_slice_of_what_came() {
    let item = format!("{{\"text\":\"{}\"}}", "x".repeat(9000));
    let text = format!("{{\"model\":\"a\",\"input\":[{item},{item},{item}],\"z\":1}}");
    let source = Bytes::from(text);
    let mut body = Object::parse(source.clone()).unwrap();
    body.set("model", "b");
    body.array_mut("input").unwrap().map(|_| Edit::Keep);
    let frames = body.frames(body.measure());
    let shared = frames.iter().find(|frame| frame.len() > 27_000).expect("the three items in one frame");
    let address = shared.as_ptr() as usize - source.as_ptr() as usize;
    assert!(address + shared.len() <= source.len(), "in the memory of the input");
}

#[test]
fn an_array_opened_on_the_way_is_as_one_opened_later() {
    for text in [
        r#"{"input":[ {} , {"input":[2]} ,{"a":"]"}] , "b":1}"#,
        r#"{"input":[],"input": [ ] }"#,
        r#"{"input":[1],"input": [{ }] }"#,
        r#"{"input":{"input":[1]},"x":["input"]}"#,
        r#"{ "input" : "text" }"#,
    ] {
        let mut opened = open(text.as_bytes()).unwrap();
        let mut plain = object(text);
        assert_eq!(opened.text(), text);
        for object in [&mut opened, &mut plain] {
            if let Some(items) = object.array_mut("input") {
                items.push("new");
            }
        }
        assert_eq!(opened.text(), plain.text());
    }
    assert!(open(b"{\"input\":[1}").is_err());
}

/// Opened in one go.
fn open(text: &[u8]) -> Result<Object, NotOpened> {
    Opening::new(&["input"], true).finish(Bytes::copy_from_slice(text))
}

#[test]
fn an_object_is_opened_wherever_its_text_is_cut() {
    let long = format!(r#"{{"input":[{{"a":"{}"}},{{"b":[{{}}]}}],"x":12}}"#, "é".repeat(9000));
    for text in [
        r#"{"model":"a","input":[ {} , {"input":[2]} ,{"a":"]"}] , "b":1.5e3}"#,
        r#"{"input":[],"input": [ {"a":12} ],"é":null } "#,
        "{}",
        r#"{"input":[{},{"b":2,"b":3}]}"#,
        r#"{"input":[{},{}}"#,
        r#"{"input":[{}]"#,
        r#"{"input":[{}],}"#,
        r#"{"a":1}x"#,
        "[1]",
        "",
        &long,
    ] {
        let whole = open(text.as_bytes()).map(|object| object.text());
        assert_eq!(whole.is_ok(), is_json(text.as_bytes()) && text.starts_with('{'), "{text}");
        for step in [1, 7, 8191, 9000] {
            let mut opening = Opening::new(&["input"], true);
            for end in (0..text.len()).step_by(step) {
                opening.look_at(&text.as_bytes()[..end]);
            }
            let opened = opening.finish(text.as_bytes().to_vec().into());
            assert_eq!(opened.map(|object| object.text()), whole, "{step}");
        }
    }
}

#[test]
fn elements_are_kept_replaced_removed_and_added() {
    let mut body = object(r#"{"input":[0, 1,2 ,3,4]}"#);
    let input = body.array_mut("input").unwrap();
    input.map(|element| match element.as_i64().unwrap() {
        1 => Edit::remove(),
        2 => Edit::with("two"),
        3 => Edit::Replace(vec![Value::from_text("30"), Value::from_text("31")]),
        _ => Edit::Keep,
    });
    assert_eq!(input.len(), 5);
    assert_eq!(body.text(), r#"{"input":[0,"two",30,31,4]}"#);
}

#[test]
fn what_was_looked_at_is_not_looked_at_again() {
    let element = format!("{{\"a\":\"{}\"}},", "x".repeat(1000));
    let mut text = format!("{{\"input\":[{}", element.repeat(100)).into_bytes();
    let mut opening = Opening::new(&["input"], true);
    opening.look(&text);
    // Were it looked at again, this would be found to be wrong.
    text[20] = 0;
    text.extend_from_slice(b"{}]}");
    assert_eq!(opening.finish(text.into()).unwrap().array_mut("input").unwrap().len(), 101);
}

/// Whether serde_json takes it, and strings are text as it wants them.
fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok() && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

#[track_caller]
fn checked_as_serde_checks(text: &[u8]) {
    let said = Value::parse(Bytes::copy_from_slice(text)).is_ok();
    assert_eq!(said, is_json(text), "{}", String::from_utf8_lossy(text));
    let object = [b"{\"input\":", text, b",\"x\":[", text, b"]}"].concat();
    let object = Bytes::from(object);
    assert_eq!(Object::parse(object.clone()).is_ok(), is_json(&object), "{}", String::from_utf8_lossy(&object));
    let syntax = !matches!(open(&object), Err(NotOpened::Syntax(_)));
    assert_eq!(syntax, is_json(&object), "elements that are no objects are another thing");
}

#[test]
fn json_is_what_serde_json_takes_for_it() {
    for text in [
        "1",
        "-0",
        "0",
        "-",
        "01",
        "-01",
        "1.",
        ".1",
        "1.0",
        "1e",
        "1e+",
        "1E-07",
        "1e5.0",
        "+1",
        "1x",
        "0x1",
        "-a",
        "1e999",
        "true",
        "tru",
        "truex",
        "false",
        "nul",
        "null",
        "NaN",
        "Infinity",
        "\"",
        "\"a",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\a\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "[]",
        "[ ]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,2",
        "[1}",
        "{}",
        "{ }",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1]",
        "{,}",
        "{a:1}",
        "{\"a\" : [ { } , 1 ] }",
        "[[[[]]]]",
        "]",
        "}",
        "",
        " ",
        " 1 ",
        "1 2",
        "\u{feff}1",
        "[\u{a0}1]",
        "{\"a\":1 \"b\":2}",
        "{\"a\":{\"b\":[1,{\"c\":null}]}}",
        "{\"a\",1}",
        "[1:2]",
        "{\"a\":1:2}",
        "/**/1",
        "'a'",
    ] {
        checked_as_serde_checks(text.as_bytes());
    }
    checked_as_serde_checks(b"\"\xff\"");
    checked_as_serde_checks(b"\xff");
    checked_as_serde_checks(b"[\"\xed\xa0\x80\"]");
    for depth in [63, 64, 65, 127, 128, 129, 1000] {
        let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        for text in [
            nested("[", "]"),
            nested("{\"a\":", "}"),
            nested("[{\"b\":", "}]"),
            nested("[", "}"),
            nested("[{\"b\":", "]}"),
        ] {
            let said = Value::parse(text.clone().into()).is_ok();
            let expected = !matches!(
                (text.as_bytes()[0], text.as_bytes()[1], text.as_bytes()[text.len() - 1]),
                (b'[', b'[', b'}') | (b'[', b'{', b'}')
            );
            assert_eq!(said, expected, "{text}");
            assert!(Value::parse(text[..text.len() - 1].to_owned().into()).is_err());
        }
    }
}

#[test]
fn the_beginning_of_a_member_tells_its_type() {
    let value = Value::from_text(r#"{ "a" : "x\"}" ,"b":[1],"c":{},"d":-1,"e":nul"#);
    for (name, begins) in [("a", Some(b'"')), ("b", Some(b'[')), ("c", Some(b'{')), ("d", Some(b'-')), ("f", None)] {
        assert_eq!(value.member_begins(name), begins, "{name}");
        let mut open = Value::from_text(r#"{"a":"x","b":[1],"c":{},"d":-1}"#);
        open.as_object_mut().expect("an object");
        assert_eq!(open.member_begins(name), begins, "{name}, opened");
    }
    assert_eq!(value.member_begins("e"), Some(b'n'), "its end is not looked for");
    assert!(value.member("e").is_none(), "and is not there");
    assert_eq!(Value::from_text(r#"[{"a":1}]"#).member_begins("a"), None);
}

#[test]
fn keys_of_ours_are_spelled_as_json() {
    let names = ["a", "a_b9", "", "with space", "ü", "quote\"", &"x".repeat(36), &"x".repeat(37), &"x".repeat(200)];
    let mut object = Object::new();
    for name in names {
        object.set(name, Value::bool(true));
        assert_eq!(object.get(name).and_then(Value::as_bool), Some(true), "{name}");
    }
    let text = object.text();
    let decoded: serde_json::Map<String, serde_json::Value> = decode(&text).expect("JSON");
    assert!(names.iter().all(|name| decoded.contains_key(*name)), "{decoded:?}");
    assert_eq!(decoded.len(), names.len());
    assert_eq!(object.measure().length, text.len());
}

#[test]
fn names_are_found_in_tables_of_every_size() {
    for expected in [0, 13, 300] {
        for many in [1, 12, 13, 14, 40, 63, 64, 65, 300] {
            let mut names = super::names::Names::with_capacity(expected);
            let name = |at: usize| format!("name{at}");
            (0..many).for_each(|at| names.push(super::names::Tag::of(name(at).as_bytes())));
            for at in 0..many {
                let tag = super::names::Tag::of(name(at).as_bytes());
                assert_eq!(names.find(tag, |place| place == at), Some(at));
            }
            assert_eq!(names.may_repeat(), many > 64, "they are not looked for among many");
            let first = super::names::Tag::of(name(0).as_bytes());
            names.push(first);
            assert!(names.may_repeat());
            assert_eq!(names.find(first, |at| at > 0), Some(many), "the other");
            names.retain(|at| at != 0);
            assert_eq!(names.find(first, |_| true), Some(many - 1));
            assert!(names.find(super::names::Tag::of(b"other"), |_| true).is_none());
        }
    }
}

#[test]
fn a_clone_shares_the_text_of_what_was_opened_and_has_what_was_changed() {
    let mut value = Value::from_text(r#"{"a":{"b":[1,2]}}"#);
    let text = value.text();
    value.as_object_mut().and_then(|object| object.object_mut("a")).and_then(|a| a.array_mut("b")).expect("an array");
    assert_eq!(value.clone().text().as_ptr(), text.as_ptr());
    let change = |value: &mut Value, name: &str| value.as_object_mut().expect("an object").set(name, Value::null());
    change(&mut value, "c");
    let mut copy = value.clone();
    change(&mut copy, "d");
    assert_eq!(copy.text(), r#"{"a":{"b":[1,2]},"c":null,"d":null}"#);
    assert_eq!(value.text(), r#"{"a":{"b":[1,2]},"c":null}"#);
}
