//! The input of a custom call: the same however its arguments are cut, and what serde_json reads
//! where that can read it.
#![no_main]

use libfuzzer_sys::fuzz_target;
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
    if let Ok(object) = Object::parse(arguments.to_owned().into()) {
        let inputs: Vec<_> = object.iter().filter(|(name, _)| name == "input").map(|(_, value)| value.clone()).collect();
        match &inputs[..] {
            [input] if input.is_string() => {
                assert_eq!(whole.form, InputForm::Object);
                if let Ok(text) = serde_json::from_slice::<String>(&input.text()) {
                    assert_eq!(whole.text, text);
                }
            }
            [] => assert_eq!((&*whole.text, whole.form), (arguments, InputForm::Text)),
            _ => {}
        }
    }
});
