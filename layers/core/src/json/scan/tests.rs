#![allow(clippy::disallowed_methods)]

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in any::<String>()) {
        let value = crate::json::Value::string(&text);
        prop_assert_eq!(&value.text()[..], serde_json::to_vec(&text).unwrap());
        prop_assert_eq!(skip_string(&value.text(), 0), Some(value.text().len()));
    }
}
