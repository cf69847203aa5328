#![allow(clippy::disallowed_methods)]

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn strings_are_compared_as_they_are_decoded(
        one in r#"[ab"\\/\nü]{0,4}"#, other in r#"[ab"\\/\nü]{0,4}"#, escaped in any::<[bool; 4]>(),
    ) {
        let spell = |(at, c): (usize, char)| {
            let quoted = serde_json::to_string(&c).unwrap();
            if escaped[at] { format!("\\u{:04x}", u32::from(c)) } else { quoted[1..quoted.len() - 1].to_owned() }
        };
        let inner: String = one.chars().enumerate().map(spell).collect();
        let text = format!("\"{inner}\"");
        prop_assert_eq!(decode_string(text.as_bytes()).map(|text| text.into_owned()), Some(one.clone()));
        prop_assert!(string_is(text.as_bytes(), &one));
        prop_assert_eq!(string_is(text.as_bytes(), &other), one == other);
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in any::<String>()) {
        let value = crate::json::Value::string(&text);
        prop_assert_eq!(&value.text()[..], serde_json::to_vec(&text).unwrap());
        prop_assert_eq!(skip_string(&value.text(), 0), Some(value.text().len()));
    }
}
