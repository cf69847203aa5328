#![allow(clippy::disallowed_methods)]

use proptest::prelude::*;

use super::*;

/// Decodes what stands between the quotes of a JSON string, in these pieces.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
    let mut decoder = StringDecoder::default();
    let mut text = String::new();
    for piece in pieces {
        assert_eq!(decoder.push(piece, &mut text), None);
    }
    assert_eq!(decoder.push("\"", &mut text), Some(1));
    text
}

/// Cuts `text` at each of its characters.
fn chars(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map(|(at, char)| &text[at..at + char.len_utf8()])
}

#[test]
fn every_escape_cut_anywhere() {
    for (spelled, text) in [
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0041\u00e9\u20AC\uD83D\uDE00\u0000", "Aé€😀\0"),
        ("plain é😀 text", "plain é😀 text"),
        // Halves of pairs: each loses itself and nothing else.
        (r"a\ud83d", "a\u{FFFD}"),
        (r"\ud83db", "\u{FFFD}b"),
        (r"\ude00b", "\u{FFFD}b"),
        (r"\ud83d\n", "\u{FFFD}\n"),
        (r"\ud83d\u0041", "\u{FFFD}A"),
        (r"\ud83d\ud83d\ude00", "\u{FFFD}😀"),
        (r"\ude00\ud83d", "\u{FFFD}\u{FFFD}"),
        (r"\ud83d\x", "\u{FFFD}\\x"),
        (r"\ud83d\u00zz", "\u{FFFD}\\u00zz"),
        // What is no JSON.
        ("raw\nline\ttab", "raw\nline\ttab"),
        (r"\d\é\u12G4\u\n", "\\d\\é\\u12G4\\u\n"),
    ] {
        assert_eq!(decode([spelled]), text, "{spelled}");
        assert_eq!(decode(chars(spelled)), text, "{spelled} in pieces");
    }
}

#[test]
fn the_closing_quote_ends_the_string_and_renews_the_decoder() {
    let mut decoder = StringDecoder::default();
    let mut text = String::new();
    assert_eq!(decoder.push(r#"a\ud83d","b"#, &mut text), Some(8));
    assert_eq!(text, "a\u{FFFD}");
    assert_eq!(decoder.push(r#"\ude00""#, &mut text), Some(7));
    assert_eq!(text, "a\u{FFFD}\u{FFFD}");
}

/// Spells `text` with escapes where `how` says so.
pub(crate) fn spell(text: &str, how: &[u8]) -> String {
    let mut spelled = String::new();
    for (at, char) in text.chars().enumerate() {
        let plain = serde_json::to_string(&char).unwrap();
        let how = if how.is_empty() { 0 } else { how[at % how.len()] % 3 };
        if how == 0 {
            spelled.push_str(&plain[1..plain.len() - 1]);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let unit = if how == 1 { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
                spelled.push_str(&unit);
            }
        }
    }
    spelled
}

proptest! {
    #[test]
    fn agrees_with_serde_json(text in any::<String>(), how in prop::collection::vec(any::<u8>(), 0..8)) {
        let spelled = spell(&text, &how);
        prop_assert_eq!(&serde_json::from_str::<String>(&format!("\"{spelled}\"")).unwrap(), &text);
        prop_assert_eq!(&decode([&*spelled]), &text);
        prop_assert_eq!(&decode(chars(&spelled)), &text);
        for (cut, _) in spelled.char_indices() {
            prop_assert_eq!(&decode([&spelled[..cut], &spelled[cut..]]), &text);
        }
    }

    #[test]
    fn cuts_make_no_difference_to_what_is_no_json(
        spelled in r"([a-zé😀\n]|\\[nux]|\\u[0-9a-f]{0,4}|\\ud83d|\\ude00){0,12}", cut in 0..40usize,
    ) {
        let whole = decode([&*spelled]);
        prop_assert_eq!(&decode(chars(&spelled)), &whole);
        if spelled.is_char_boundary(cut) {
            prop_assert_eq!(&decode([&spelled[..cut], &spelled[cut..]]), &whole);
        }
    }
}
