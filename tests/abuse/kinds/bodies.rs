//! Whole requests that are hard to read.

use std::{fmt::Write, time::Duration};

use crate::{
    client::ask,
    lists::PLACES,
    rig::{REQUEST_BYTES, Target},
};

/// What an inflated body has more than a request may.
const TOO_MUCH: usize = 128 << 20;

fn compressed(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 1).unwrap()
}

/// A list in the next place, of the next element, as large as a request may be.
pub(crate) async fn list(target: &Target, client: usize, round: usize) {
    let number = client + round * super::Kind::Lists.clients();
    let place = &PLACES[number % PLACES.len()];
    let element = place.elements[number / PLACES.len() % place.elements.len()];
    let body = place.filled(std::iter::repeat(element), REQUEST_BYTES - 32);
    // What has no name for a model gets the default's.
    let body = format!("{{\"store\":{},{}", number.is_multiple_of(4), &body[1..]);
    let _ = ask(target.gateway, &compressed(body.as_bytes()), "content-encoding: zstd\r\n").await;
}

/// `"tools":[0,0,…`, on and on.
pub(crate) async fn bomb(target: &Target) {
    let mut body = br#"{"input":"","tools":[0"#.to_vec();
    body.resize(TOO_MUCH, b' ');
    let list = b",0".repeat(TOO_MUCH / 4);
    body[32..][..list.len()].copy_from_slice(&list);
    let body = tokio::task::spawn_blocking(move || compressed(&body)).await.unwrap();
    for _ in 0..10 {
        let _ = ask(target.gateway, &body, "content-encoding: zstd\r\n").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Calls and outputs in the same order, in the reverse one, and calls that nobody answers.
pub(crate) async fn calls(target: &Target, order: usize) {
    const EACH: usize = 130;
    let count = REQUEST_BYTES / EACH;
    let mut body = r#"{"model":"m","input":["#.to_owned();
    for call in 0..count {
        let _ = write!(body, r#"{{"type":"function_call","call_id":"{call}","name":"f","arguments":""}},"#);
    }
    for output in 0..count {
        let call = if order == 0 { output } else { count - 1 - output };
        let _ = write!(body, r#"{{"type":"function_call_output","call_id":"{call}","output":""}},"#);
    }
    body.push_str(r#"{"role":"user","content":"hi"}]}"#);
    assert!(body.len() <= REQUEST_BYTES);
    let _ = ask(target.gateway, body.as_bytes(), "").await;
}
