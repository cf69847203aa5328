//! The input of a custom call: the same however its arguments are cut, and what serde_json reads
//! where that can read it.
#![no_main]

use std::fmt;

use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use tower_responses_call_restore::{InputDecoder, InputForm, decode_cut_input, decode_input};
use tower_responses_core::json::Object;

fuzz_target!(|data: &[u8]| {
    let Some((cut, arguments)) = data.split_first() else { return };
    let Ok(arguments) = std::str::from_utf8(arguments) else { return };
    let whole = decode_input(arguments);

    // In pieces of as many characters.
    let pieces = usize::from(*cut % 8) + 1;
    let (mut decoder, mut streamed) = (InputDecoder::default(), String::new());
    let (mut start, mut count) = (0, 0);
    for (at, char) in arguments.char_indices() {
        count += 1;
        if count % pieces == 0 {
            let end = at + char.len_utf8();
            decoder.push(&arguments[start..end], &mut streamed);
            start = end;
        }
    }
    decoder.push(&arguments[start..], &mut streamed);
    if let Some(rest) = whole.rest_after(&decoder, streamed.len()) {
        assert_eq!(format!("{streamed}{rest}"), whole.text);
    }
    if let Some(cut) = decode_cut_input(arguments) {
        assert_eq!(cut, streamed);
    }

    if let Ok(text) = serde_json::from_str::<String>(arguments) {
        assert_eq!((&*whole.text, whole.form), (&*text, InputForm::BareString));
    }
    // What of several inputs counts is not held to anything: the first has been streamed by the time
    // that another comes.
    let Ok(Inputs(0 | 1)) = serde_json::from_str(arguments) else { return };
    if let Ok(object) = Object::parse(arguments.to_owned().into()) {
        match object.get("input") {
            Some(input) if input.is_string() => {
                assert_eq!(whole.form, InputForm::Object);
                if let Ok(text) = serde_json::from_slice::<String>(&input.text()) {
                    assert_eq!(whole.text, text);
                }
            }
            None => assert_eq!((&*whole.text, whole.form), (arguments, InputForm::Text)),
            Some(_) => {}
        }
    }
});

/// How many members of an object are called `input`.
struct Inputs(usize);

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(0))
    }
}

impl<'de> Visitor<'de> for Inputs {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
            self.0 += usize::from(name == "input");
        }
        Ok(self)
    }
}
