#![allow(clippy::disallowed_methods)]

use proptest::prelude::*;

use super::*;

#[test]
fn a_string_ends_at_its_first_bare_quote() {
    for before in 0..80 {
        for (inside, rest) in
            [("", ""), ("\\\"", ""), ("\\\\", ", \"x\""), ("\\u0022", "]"), ("\u{80}\u{ff}", "0123456789")]
        {
            let string = format!("\"{}{inside}{}\"", "a".repeat(before), "b".repeat(before % 11));
            let text = format!("{string}{rest}");
            assert_eq!(skip_string(text.as_bytes(), 0), Some(string.len()), "{text}");
        }
    }
    for broken in ["\"", "\"abc", "\"\\\"", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\\"", "\"\\"] {
        assert_eq!(skip_string(broken.as_bytes(), 0), None, "{broken}");
    }
}

proptest! {
    #[test]
    fn words_are_searched_as_bytes_are(word in any::<[u8; 8]>(), at in 0usize..8, special in prop::bool::ANY) {
        let mut word = word;
        word[at] = if special { b'"' } else { word[at] ^ 0x80 };
        let expected = word.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        prop_assert_eq!(first_special(u64::from_le_bytes(word)), expected);
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in any::<String>()) {
        let value = crate::json::Value::string(&text);
        prop_assert_eq!(&value.text()[..], serde_json::to_vec(&text).unwrap());
        prop_assert_eq!(skip_string(&value.text(), 0), Some(value.text().len()));
    }
}
