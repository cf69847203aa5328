#![allow(clippy::disallowed_methods)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::string::tests::spell;

fn decoded(arguments: &str) -> (String, InputForm) {
    let input = decode_input(arguments);
    (input.text.into_owned(), input.form)
}

/// What the pieces give of the input before the end, with what the whole adds.
fn streamed<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, Option<String>) {
    let mut decoder = InputDecoder::default();
    let mut text = String::new();
    let mut arguments = String::new();
    for piece in pieces {
        decoder.push(piece, &mut text);
        arguments.push_str(piece);
    }
    let input = decode_input(&arguments);
    let rest = input.rest_after(&decoder, text.len()).map(str::to_owned);
    (text, rest)
}

#[test]
fn how_the_arguments_carry_the_input() {
    use InputForm::{BareString, Object, Text};
    for (arguments, text, form) in [
        (r#"{"input":"a"}"#, "a", Object),
        (r#"{"input":""}"#, "", Object),
        (" { \"input\"\t:\r\n\"a\" } ", "a", Object),
        (r#"{"input":"a",}"#, "a", Object),
        (r#"{"x":true,"y":-1.0e+2 ,"input":"a","z":null}"#, "a", Object),
        (r#"{"x":{"a":["}\"]",{}]},"input":"a"}"#, "a", Object),
        (r#"{"x":"\"input\":\"no\"","input":"a"}"#, "a", Object),
        (r#"{"x":"},\"input\":","input":"a"}"#, "a", Object),
        (r#"{"input":1,"input":"a","input":"b"}"#, "a", Object),
        (r#"{"inputs":"no","in":"no","an input of another name":"no","input":"a"}"#, "a", Object),
        (r#""a\n""#, "a\n", BareString),
        (r#"  "a"  "#, "a", BareString),
        (r#""""#, "", BareString),
        (r#""a" b"#, r#""a" b"#, Text),
        (r#""a"#, r#""a"#, Text),
        ("a", "a", Text),
        ("", "", Text),
        (" \n", " \n", Text),
        (" a ", " a ", Text),
        ("null", "null", Text),
        ("[1]", "[1]", Text),
        ("{}", "{}", Text),
        (r#"{"input":null}"#, r#"{"input":null}"#, Text),
        (r#"{"Input":"a"}"#, r#"{"Input":"a"}"#, Text),
        (r#"{"x":{"input":"a"}}"#, r#"{"x":{"input":"a"}}"#, Text),
        // Broken in every place.
        ("{", "{", Text),
        (r#"{"input"#, r#"{"input"#, Text),
        (r#"{"input":"a"#, r#"{"input":"a"#, Text),
        (r#"{"input":"a""#, r#"{"input":"a""#, Text),
        (r#"{"input":"a"}}"#, r#"{"input":"a"}}"#, Text),
        (r#"{"input" "a"}"#, r#"{"input" "a"}"#, Text),
        (r#"{"input":"a" "b"}"#, r#"{"input":"a" "b"}"#, Text),
        (r#"{"input":,"input":"a"}"#, r#"{"input":,"input":"a"}"#, Text),
        (r#"{input:"a"}"#, r#"{input:"a"}"#, Text),
    ] {
        assert_eq!(decoded(arguments), (text.to_owned(), form), "{arguments}");
    }
}

#[test]
fn what_is_there_of_an_input_that_was_cut() {
    for (arguments, text) in [
        (r#"{"input":"a\n"#, Some("a\n")),
        (r#"{"input":"a\u00"#, Some("a")),
        (r#"{"x":1,"input":""#, Some("")),
        (r#"{"input":"a""#, None),
        (r#"{"inp"#, None),
        ("*** Begin", None),
        (r#""*** Begin"#, None),
    ] {
        assert_eq!(decode_cut_input(arguments).as_deref(), text, "{arguments}");
    }
}

#[test]
fn what_streams_before_the_end_is_known() {
    for (pieces, text, rest) in [
        (&[r#"{"input":"a"#, r#"b"}"#][..], "ab", Some("")),
        (&["*** Be", "gin"], "*** Begin", Some("")),
        (&["  ", "\n"], "", Some("  \n")),
        // It may be a string, or text that begins with a quote.
        (&["\"a", "b\""], "", Some("ab")),
        (&["\"a", "b\" c"], "", None),
        (&[r#"{"patch""#, ":1}"], "", Some(r#"{"patch":1}"#)),
        // Broken: what went out is no part of what it is now.
        (&[r#"{"input":"a" b""#, "}"], "a", None),
    ] {
        assert_eq!(streamed(pieces.iter().copied()), (text.to_owned(), rest.map(str::to_owned)), "{pieces:?}");
    }
    let space = " ".repeat(MAX_SPACE + 1);
    assert_eq!(streamed([&*space, "x"]), (format!("{space}x"), Some(String::new())));
    assert_eq!(streamed([&*space]), (space, Some(String::new())));
}

#[test]
fn what_is_held_is_bounded() {
    let mut decoder = InputDecoder::default();
    let mut input = String::new();
    decoder.push("{\"", &mut input);
    for _ in 0..1000 {
        decoder.push("input input ", &mut input);
        assert!(decoder.key.len() <= 2 * INPUT.len());
    }
    decoder.push("input\":\"no\",\"input\":\"yes\"}", &mut input);
    assert_eq!(input, "yes");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_serde_json(
        input in any::<String>(),
        how in prop::collection::vec(any::<u8>(), 0..8),
        before in prop::collection::vec(("[a-z\"\\\\{}]{0,8}", any_value()), 0..3),
        after in prop::collection::vec((any::<String>(), any_value()), 0..3),
        pretty in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let member = |(key, value): &(String, Value)| {
            let value = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
            format!("{} : {}", json!(key), value.unwrap())
        };
        let mut members: Vec<_> = before.iter().map(member).collect();
        members.push(format!("\"input\":\"{}\"", spell(&input, &how)));
        members.extend(after.iter().filter(|(key, _)| key != "input").map(member));
        let arguments = format!("{{{}}}", members.join(if pretty { "\n, " } else { "," }));
        prop_assert_eq!(&serde_json::from_str::<Value>(&arguments).unwrap()["input"], &json!(input));

        prop_assert_eq!(decoded(&arguments), (input.clone(), InputForm::Object));
        let chars = arguments.char_indices().map(|(at, char)| &arguments[at..at + char.len_utf8()]);
        prop_assert_eq!(streamed(chars), (input.clone(), Some(String::new())));
        let cuts = cuts.iter().map(|cut| cut.index(arguments.len()));
        let mut cuts: Vec<_> = cuts.filter(|cut| arguments.is_char_boundary(*cut)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([arguments.len()]) {
            pieces.push(&arguments[start..cut]);
            start = cut;
        }
        prop_assert_eq!(streamed(pieces), (input, Some(String::new())));
    }

    #[test]
    fn whatever_comes_the_beginning_is_what_streams(arguments in r#"[ {}\[\]",:\\a-c]|"input":|\{"input":"|\PC"#, more in any::<String>()) {
        let arguments = arguments + &more;
        let chars = arguments.char_indices().map(|(at, char)| &arguments[at..at + char.len_utf8()]);
        let (text, rest) = streamed(chars);
        if let Some(rest) = rest {
            prop_assert_eq!(text + &rest, decoded(&arguments).0);
        }
    }
}
