//! Objects are what serde_json takes for objects; untouched they keep their bytes, and changed
//! they are what serde_json makes of the same change.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;
use tower_responses_core::json::{Edit, Object, Value};

fn parse(text: &[u8]) -> Option<Json> {
    serde_json::from_slice(text).ok()
}

fuzz_target!(|data: &[u8]| {
    let text = Bytes::copy_from_slice(data);
    let expected = parse(data).filter(Json::is_object);

    // Text that nobody has checked may be opened: no panic, and what is opened keeps its bytes.
    if let Some(mut object) = Object::split(text.clone()) {
        let names: Vec<_> = object.iter().map(|(name, _)| name.into_owned()).collect();
        for name in &names {
            let _ = object.get_str(name).is_some();
            let _ = object.array_mut(name).is_some() || object.object_mut(name).is_some();
        }
        assert_eq!(object.text(), text);
    }

    // Our own check takes what serde_json takes, and nothing else.
    let is_json = std::str::from_utf8(data).is_ok() && serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok();
    assert_eq!(Value::parse(text.clone()).is_ok(), is_json);
    let is_object = data.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    assert_eq!(Object::parse(text.clone()).is_ok(), is_json && is_object);

    let Ok(object) = Object::parse(text.clone()) else {
        // A lone surrogate is JSON, but no text that serde_json gives; the other way does not happen.
        assert!(expected.is_none());
        return;
    };
    assert_eq!(object.text(), text);
    let Some(Json::Object(expected)) = expected else { return };
    let Some(name) = object.iter().next().map(|(name, _)| name.into_owned()) else { return };
    assert_eq!(object.get(&name).map(|value| parse(&value.text())), Some(expected.get(&name).cloned()));

    let mut changed = object.clone();
    changed.set(&name, "new");
    changed.set("another", Value::null());
    let mut model = expected.clone();
    model.insert(name.clone(), "new".into());
    model.insert("another".into(), Json::Null);
    assert_eq!(parse(&changed.text()), Some(Json::Object(model)));

    let mut removed = object.clone();
    removed.remove(&name);
    let mut model = expected.clone();
    model.remove(&name);
    assert_eq!(parse(&removed.text()), Some(Json::Object(model)));

    let mut edited = object;
    let Some(array) = edited.array_mut(&name) else { return };
    let mut keep = false;
    array.map(|_| {
        keep = !keep;
        if keep { Edit::Keep } else { Edit::with("new") }
    });
    let mut model = expected;
    let elements = model.get_mut(&name).and_then(Json::as_array_mut).expect("an array");
    elements.iter_mut().skip(1).step_by(2).for_each(|element| *element = "new".into());
    assert_eq!(parse(&edited.text()), Some(Json::Object(model)));
});
