#![allow(clippy::disallowed_methods)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn object(text: &str) -> Object {
    Object::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

#[test]
fn text_that_nobody_changes_stays_as_it_came() {
    let text = "\n { \"b\" : 1.50e+01 ,\"a\":\t[ 1 , { \"x\" : null } ] , \"\\u0061b\" : \"\\u00e9\" } ";
    let mut object = object(text);
    object.array_mut("a").unwrap().iter_mut().last().unwrap().as_object_mut().unwrap();
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
    let members: Vec<_> = (0..60_000).map(|number| format!("\"a{number:06}a\":{number}")).collect();
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
        r#"{"input":[ 1 , {"input":[2]} ,"]"] , "b":1}"#,
        r#"{"input":[],"input": [ ] }"#,
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
fn open(text: &[u8]) -> Result<Object, SyntaxError> {
    Opening::new(&["input"]).finish(Bytes::copy_from_slice(text))
}

#[test]
fn an_object_is_opened_wherever_its_text_is_cut() {
    let long = format!(r#"{{"input":["{}",[{{}}]],"x":12}}"#, "é".repeat(9000));
    for text in [
        r#"{"model":"a","input":[ 1 , {"input":[2]} ,"]"] , "b":1.5e3}"#,
        r#"{"input":[],"input": [ 12 ],"é":null } "#,
        "{}",
        r#"{"input":[1,2]}"#,
        r#"{"input":[1,2}"#,
        r#"{"input":[1]"#,
        r#"{"input":[1],}"#,
        r#"{"a":1}x"#,
        "[1]",
        "",
        &long,
    ] {
        let whole = open(text.as_bytes()).map(|object| object.text());
        assert_eq!(whole.is_ok(), is_json(text.as_bytes()) && text.starts_with('{'), "{text}");
        for step in [1, 7, 8191, 9000] {
            let mut opening = Opening::new(&["input"]);
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
    let element = format!("\"{}\",", "x".repeat(1000));
    let mut text = format!("{{\"input\":[{}", element.repeat(100)).into_bytes();
    let mut opening = Opening::new(&["input"]);
    opening.look(&text);
    // Were it looked at again, this would be found to be wrong.
    text[20] = 0;
    text.extend_from_slice(b"1]}");
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
    assert_eq!(open(&object).is_ok(), is_json(&object));
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

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|v| json!(v)),
        any::<i64>().prop_map(|v| json!(v)),
        // serde_json itself reads some floats one bit off, which is why we never write them anew.
        any::<i32>().prop_map(|v| json!(f64::from(v) / 8.0)),
        any::<String>().prop_map(|v| json!(v)),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(|v| json!(v)),
            prop::collection::btree_map(any::<String>(), inner, 0..8).prop_map(|v| json!(v)),
        ]
    })
}

fn any_object() -> impl Strategy<Value = serde_json::Value> {
    prop::collection::btree_map(any::<String>(), any_json(), 0..8).prop_map(|v| json!(v))
}

fn parse(text: &[u8]) -> serde_json::Value {
    serde_json::from_slice(text).unwrap()
}

proptest! {
    #[test]
    fn reading_agrees_with_serde(value in any_object(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let object = object(&text);
        prop_assert_eq!(object.text(), &text);
        prop_assert_eq!(object.len(), value.as_object().unwrap().len());
        let whole = Value::from_text(text.clone());
        for (key, member) in value.as_object().unwrap() {
            prop_assert_eq!(&parse(&object.get(key).unwrap().text()), member);
            prop_assert_eq!(&parse(&whole.member(key).unwrap().text()), member);
            let string = object.get_str(key);
            prop_assert_eq!(string.as_deref(), member.as_str());
        }
    }

    #[test]
    fn writing_agrees_with_serde(
        value in any_object(), key in any::<String>(), new in any_json(), removed in any::<prop::sample::Index>(), pretty in any::<bool>(),
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut object = object(&text);
        let mut expected = value.as_object().unwrap().clone();
        if !expected.is_empty() {
            let key = removed.get(&expected.keys().cloned().collect::<Vec<_>>()).clone();
            expected.remove(&key);
            object.remove(&key);
        }
        expected.insert(key.clone(), new.clone());
        object.set(&key, new);
        prop_assert_eq!(parse(&object.text()), serde_json::Value::Object(expected));
        prop_assert_eq!(object.measure().length, object.text().len());
        let written = object.text();
        prop_assert_eq!(object.frames(object.measure()).into_iter().collect::<Vec<_>>().concat(), written.to_vec());
    }

    #[test]
    fn arrays_agree_with_serde(values in prop::collection::vec(any_json(), 0..12), choice in prop::collection::vec(0..6u8, 12)) {
        let text = serde_json::to_string(&values).unwrap();
        let mut value = Value::from_text(text);
        let mut expected = Vec::new();
        let mut at = 0;
        value.as_array_mut().unwrap().map(|item| {
            let original = values[at].clone();
            assert_eq!(parse(&item.text()), original);
            at += 1;
            match choice[at - 1] {
                0 => Edit::remove(),
                1 => { expected.extend([json!(1), json!("x")]); Edit::Replace(vec![Value::from(json!(1)), "x".into()]) }
                2 => { expected.push(json!(2)); Edit::with(Value::from(json!(2))) }
                3 => { expected.push(json!(3)); Edit::Replace(vec![Value::from(json!(3))]) }
                _ => { expected.push(original); Edit::Keep }
            }
        });
        prop_assert_eq!(parse(&value.text()), json!(expected));
    }

    #[test]
    fn one_byte_more_or_less_is_seen_as_serde_sees_it(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..3u8, pretty in any::<bool>()) {
        let mut text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        checked_as_serde_checks(&text);
        let at = at.index(text.len());
        match how {
            0 => drop(text.remove(at)),
            1 => text[at] = byte,
            _ => text.insert(at, byte),
        }
        checked_as_serde_checks(&text);
    }

    #[test]
    fn structure_is_checked_as_serde_checks_it(text in "[\\[\\]{}\",:\\\\0-2.eEu\t-]{0,24}") {
        checked_as_serde_checks(text.as_bytes());
    }

    /// Text that is not JSON must not panic, and passes where it can.
    #[test]
    fn the_scanner_survives_anything(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = Bytes::from(text);
        if let Some(object) = Object::split(text.clone()) {
            prop_assert_eq!(object.text(), &text);
        }
        let value = Value::from_text(text);
        let _ = (value.member("type"), value.member_str("a"), value.elements(), value.as_str());
    }

    #[test]
    fn the_scanner_survives_what_looks_like_json(text in "[\\[\\]{}\",:\\\\a1 ]{0,60}") {
        let value = Value::from_text(text.clone());
        let _ = (value.member("a"), value.elements());
        if let Some(object) = Object::split(text.clone().into()) {
            prop_assert_eq!(object.text(), text);
        }
    }

    /// To open a member with the object is to open it afterwards.
    #[test]
    fn one_pass_opens_what_two_would(text in "\\{ ?\"[ab]\" ?: ?(\\{(\"c\":[\\[\\]{}\",1 ]{1,6})?\\}|1|\"x\\}\") ?,?(\"\\\\u0061\" ?:(\\{\\}|2))? ?\\}") {
        let text = Bytes::from(text);
        let (Some(mut two), Some(mut one)) = (Object::split(text.clone()), Object::split_with(text.clone(), "a")) else {
            // What is not JSON may be refused by the one that looks closer.
            prop_assert!(Value::parse(text.clone()).is_err());
            return Ok(());
        };
        prop_assert_eq!(one.text(), &text);
        if Value::parse(text.clone()).is_err() {
            // Where the parts of such text end is anybody's guess: that it leaves as it came is all.
            prop_assert_eq!(two.text(), &text);
            return Ok(());
        }
        for name in ["a", "b"] {
            prop_assert_eq!(one.get(name), two.get(name));
            prop_assert_eq!(one.has(name), two.has(name));
        }
        for object in [&mut one, &mut two] {
            if let Some(inner) = object.object_mut("a") {
                inner.set("d", 1.to_string().as_str());
            }
        }
        prop_assert_eq!(one.text(), two.text());
    }

    #[test]
    fn what_is_opened_while_it_is_checked_is_what_is_opened_later(
        items in prop::collection::vec(any_json(), 0..20), other in any_json(), pretty in any::<bool>(),
        wrong in any::<Option<(prop::sample::Index, u8)>>(),
    ) {
        let value = json!({"a": other, "output": items, "z": 1});
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut text = text.into_bytes();
        if let Some((at, byte)) = wrong {
            *at.get_mut(&mut text) = byte;
        }
        let text = Bytes::from(text);
        let (plain, opened) = (Object::parse(text.clone()), Object::parse_with(text.clone(), "output"));
        let (Ok(mut plain), Ok(mut opened)) = (plain.clone(), opened.clone()) else {
            prop_assert_eq!(plain.is_ok(), opened.is_ok());
            return Ok(());
        };
        prop_assert_eq!(opened.text(), text);
        prop_assert!(!opened.is_changed());
        prop_assert_eq!(plain.spelled().collect::<Vec<_>>(), opened.spelled().collect::<Vec<_>>());
        for object in [&mut plain, &mut opened] {
            let items = object.array_mut("output").into_iter().flat_map(|output| output.iter_mut());
            for item in items.filter_map(Value::as_object_mut).skip(1) {
                item.set("new", 1.to_string().as_str());
            }
        }
        prop_assert_eq!(plain.text(), opened.text());
    }
}

/// An object with names that are asked for, some of them longer than a tag, and some twice.
fn any_item() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("type"),
        Just("call_id"),
        Just("namespace"),
        Just("arguments"),
        Just("arg_ments"),
        Just("output"),
        Just("t\\u0079pe")
    ];
    let value = prop_oneof![any_json().prop_map(|value| value.to_string()), Just(r#"[{"type":"a"},1]"#.to_owned())];
    let space = prop_oneof![Just(""), Just(" "), Just("\n\t ")];
    prop::collection::vec((space, name, value), 0..6).prop_map(|members| {
        let members: Vec<_> = members
            .iter()
            .map(|(space, name, value)| format!("{space}\"{name}\"{space}:{space}{value}{space}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    /// What is known of an object from checking it is what looking at its text would tell.
    #[test]
    fn members_are_where_they_were_seen(item in any_item(), new in any_json()) {
        let mut body = open(format!("{{\"input\":[1,{item}]}}").as_bytes()).expect("JSON");
        let seen = body.array_mut("input").and_then(|input| input.iter_mut().nth(1)).expect("the item");
        let plain = Value::from_text(item.clone());
        let names = ["type", "call_id", "namespace", "arguments", "output", "absent"];
        for name in names {
            prop_assert_eq!(seen.member(name), plain.member(name));
            prop_assert_eq!(seen.member_begins(name), plain.member_begins(name));
            prop_assert_eq!(seen.member_str(name), plain.member_str(name));
            prop_assert_eq!(seen.member_bytes(name), plain.member_bytes(name));
            let string = plain.member_str(name).unwrap_or_default();
            prop_assert_eq!(seen.member_is(name, &string), plain.member_is(name, &string));
            let rows = |value: &Value| {
                let rows = value.member_rows(name, ["type"])?;
                Some(rows.into_iter().map(|row| (row.value, row.members)).collect::<Vec<_>>())
            };
            prop_assert_eq!(rows(seen), rows(&plain));
        }
        prop_assert_eq!(seen.members(names), plain.members(names));
        prop_assert_eq!((seen.is_object(), seen.is_changed(), seen.text()), (true, false, plain.text()));
        let new = Value::from(new);
        for changes in [&[("namespace", None), ("type", Some(&new))][..], &[("arguments", Some(&new))], &[("absent", Some(&new))]] {
            let (changed, expected) = (seen.with_members(changes), plain.with_members(changes));
            prop_assert_eq!(changed.map(|value| value.text()), expected.map(|value| value.text()));
        }
        let mut opened = plain.clone();
        for value in [&mut *seen, &mut opened] {
            value.as_object_mut().expect("an object").set("output", 1.to_string().as_str());
        }
        prop_assert_eq!(seen.text(), opened.text());
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
                let found = names.find(tag, |place| place == at).expect("it is there");
                assert_eq!((found.last, found.repeated), (at, false));
                assert_eq!(names.last(tag, |place| place == at), Some(at));
            }
            let first = super::names::Tag::of(name(0).as_bytes());
            names.push(first);
            assert_eq!(names.last(first, |_| true), Some(many), "the last of two");
            assert!(names.find(first, |_| true).is_some_and(|found| found.repeated && found.last == many));
            names.retain(|at| at != 0);
            assert_eq!(names.last(first, |_| true), Some(many - 1));
            assert!(names.find(super::names::Tag::of(b"other"), |_| true).is_none());
        }
    }
}

proptest! {
    #[test]
    fn members_are_changed_as_an_opened_object_changes_them(
        names in prop::collection::vec("[a-e]|\\\\u0061|é", 0..6),
        space in "[ \n]{0,2}",
        changes in prop::collection::vec(prop::option::of("[0-9]|\"x\""), 3),
    ) {
        let members = names.iter().enumerate().map(|(at, name)| format!("{space}\"{name}\"{space}:{space}[{at}, 0]{space}"));
        let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        let value = Value::from_text(text);
        let new: Vec<_> = changes.into_iter().map(|new| new.map(Value::from_text)).collect();
        let changed = value.with_members(&[("a", new[0].as_ref()), ("c", new[1].as_ref()), ("é", new[2].as_ref())]).unwrap();
        let mut opened = value.clone();
        let object = opened.as_object_mut().unwrap();
        for (name, new) in ["a", "c", "é"].into_iter().zip(new) {
            match new {
                Some(new) => object.set(name, new),
                None => drop(object.remove(name)),
            }
        }
        prop_assert_eq!(changed.text(), opened.text());
        prop_assert!(Value::from_text("[1]").with_members(&[("a", None)]).is_none());
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
