//! What holds for any JSON: serde_json, or the plain way, is what ours is held to.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

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
            if let Some(output) = object.array_mut("output") {
                output.for_each_mut(|at, item| {
                    if let Some(item) = item.as_object_mut().filter(|_| at > 0) {
                        item.set("new", 1.to_string().as_str());
                    }
                });
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

/// What is known of an object is what looking at its text would tell.
fn seen_as(seen: &mut Value, plain: &Value, new: &Value) -> Result<(), TestCaseError> {
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
            Some(rows.map(|row| (row.value, row.members)).collect::<Vec<_>>())
        };
        prop_assert_eq!(rows(seen), rows(plain));
    }
    prop_assert_eq!(seen.members(names), plain.members(names));
    prop_assert_eq!((seen.is_object(), seen.is_changed()), (true, false));
    for changes in
        [&[("namespace", None), ("type", Some(new))][..], &[("arguments", Some(new))], &[("absent", Some(new))]]
    {
        let [changed, expected] = [&*seen, plain].map(|value| value.with_members(changes).expect("an object"));
        prop_assert_eq!(parse(&changed.text()), parse(&expected.text()));
    }
    let mut opened = plain.clone();
    for value in [seen, &mut opened] {
        value.as_object_mut().expect("an object").set("output", 1.to_string().as_str());
    }
    Ok(())
}

proptest! {
    #[test]
    fn members_are_where_they_were_seen(item in any_item(), new in any_json()) {
        let mut body = open(format!("{{\"input\":[{{}},{item}]}}").as_bytes()).expect("JSON");
        let (mut at, mut result) = (0, Ok(()));
        body.array_mut("input").expect("an array").map(|seen| {
            at += 1;
            if at == 2 {
                result = seen_as(seen, &Value::from_text(item.clone()), &new.clone().into());
            }
            Edit::Keep
        });
        result?;
        let mut opened = Value::from_text(item);
        opened.as_object_mut().expect("an object").set("output", 1.to_string().as_str());
        let expected = format!("{{\"input\":[{{}},{}]}}", String::from_utf8_lossy(&opened.text()));
        prop_assert_eq!(parse(&body.text()), parse(expected.as_bytes()));
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
        if names.iter().collect::<HashSet<_>>().len() == names.len() && !names.iter().any(|name| name.len() > 2) {
            prop_assert_eq!(changed.text(), opened.text());
        } else {
            prop_assert_eq!(parse(&changed.text()), parse(&opened.text()));
        }
        prop_assert!(Value::from_text("[1]").with_members(&[("a", None)]).is_none());
    }
}
