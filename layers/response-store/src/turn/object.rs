//! The response object: taken apart so that what repeats is kept once, and put together again.

use bytes::{BufMut, Bytes, BytesMut};
use tower_responses_core::json::{Array, Object, Value};

use super::{Role, Turn};
use crate::{StoreError, Stored};

/// Of this member the shape is in the frame and the numbers are kept beside it: model servers
/// say much about few tokens.
const COUNTED: &str = "usage";

pub(super) struct Parts {
    pub(super) frame: Bytes,
    pub(super) own: Bytes,
    pub(super) numbers: Option<Bytes>,
    pub(super) tools: Option<Bytes>,
    pub(super) instructions: Option<Bytes>,
    pub(super) failed: bool,
}

pub(super) fn take_apart(response: &Object) -> Parts {
    let mut parts =
        Parts { frame: Bytes::new(), own: Bytes::new(), numbers: None, tools: None, instructions: None, failed: false };
    let (mut frame, mut own) = (Members::with_capacity(1024), Members::with_capacity(128));
    for (name, value) in response.spelled() {
        // In the frame `null` keeps the place of what is kept elsewhere.
        match name {
            _ if value.is_null() => frame.null(name),
            b"\"id\"" | b"\"output\"" | b"\"previous_response_id\"" => frame.null(name),
            b"\"tools\"" => {
                frame.null(name);
                parts.tools = Some(value.text());
            }
            b"\"instructions\"" => {
                frame.null(name);
                parts.instructions = Some(value.text());
            }
            // What differs between the responses of a conversation.
            b"\"created_at\""
            | b"\"completed_at\""
            | b"\"max_output_tokens\""
            | b"\"metadata\""
            | b"\"user\""
            | b"\"safety_identifier\""
            | b"\"prompt_cache_key\"" => {
                frame.null(name);
                own.push(name, value);
            }
            b"\"usage\"" => match split_numbers(&value.text()) {
                Some((shape, numbers)) => {
                    frame.push(name, &Value::from_text(shape));
                    parts.numbers = Some(numbers);
                }
                None => frame.push(name, value),
            },
            b"\"status\"" => {
                parts.failed |= *value == *"failed";
                frame.push(name, value);
            }
            _ => frame.push(name, value),
        }
    }
    (parts.frame, parts.own) = (frame.finish(), own.finish());
    parts
}

/// Writes an object.
struct Members(Vec<u8>);

impl Members {
    fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Adds a member whose name is spelled so.
    fn push(&mut self, name: &[u8], value: &Value) {
        self.name(name);
        value.append_to(&mut self.0);
    }

    fn null(&mut self, name: &[u8]) {
        self.name(name);
        self.0.extend_from_slice(b"null");
    }

    fn name(&mut self, name: &[u8]) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0.extend_from_slice(name);
        self.0.push(b':');
    }

    fn finish(mut self) -> Bytes {
        if self.0.is_empty() {
            return Bytes::from_static(b"{}");
        }
        self.0.push(b'}');
        self.0.into()
    }
}

/// The text with `0` in the place of each run of digits, and the runs. `None` where there is
/// more to it than counts: a list may have another length each time, and so another shape.
fn split_numbers(text: &[u8]) -> Option<(Bytes, Bytes)> {
    let (mut shape, mut numbers) = (Vec::with_capacity(text.len()), Vec::with_capacity(64));
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = digit_or_list(text, at) {
        if text[found] == b'[' {
            if text.get(found + 1).is_some_and(|byte| *byte != b']') {
                return None;
            }
            at = found + 1;
            continue;
        }
        let digits = text[found..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        shape.extend_from_slice(&text[kept..found]);
        shape.push(b'0');
        at = found + digits;
        numbers.extend_from_slice(&text[found..at]);
        numbers.push(b' ');
        kept = at;
    }
    shape.extend_from_slice(&text[kept..]);
    Some((shape.into(), numbers.into()))
}

/// The first digit or opening bracket from `at` on.
fn digit_or_list(text: &[u8], at: usize) -> Option<usize> {
    let is_one = |byte: &u8| byte.is_ascii_digit() | (*byte == b'[');
    let (blocks, tail) = text.get(at..)?.as_chunks::<16>();
    // Without a branch inside: a few instructions on a vector.
    let block = blocks.iter().position(|block| block.iter().fold(false, |any, byte| any | is_one(byte)));
    let start = at + block.unwrap_or(blocks.len()) * 16;
    let rest = if block.is_some() { &text[start..start + 16] } else { tail };
    Some(start + rest.iter().position(is_one)?)
}

/// The text that [`split_numbers`] has split; `None` if the two do not belong together.
fn join_numbers(shape: &[u8], numbers: &[u8]) -> Option<Bytes> {
    let mut runs = numbers.strip_suffix(b" ").unwrap_or(numbers).split(|byte| *byte == b' ');
    let mut text = BytesMut::with_capacity(shape.len() + numbers.len());
    for byte in shape {
        match byte {
            b'0' => text.put_slice(runs.next()?),
            _ => text.put_u8(*byte),
        }
    }
    runs.next().unwrap_or_default().is_empty().then(|| text.freeze())
}

/// The response object of a turn.
pub(crate) fn rebuild(stored: &Stored, turn: &Turn) -> Result<Object, StoreError> {
    let frame = turn.part(&stored.shared, Role::Frame).ok_or_else(|| StoreError::corrupt("a response has no frame"))?;
    let unreadable = || StoreError::corrupt("a part of a response is no JSON object");
    let mut response = Object::split(frame.clone()).ok_or_else(unreadable)?;
    let own = Object::split(turn.own.clone()).ok_or_else(unreadable)?;
    response.set("id", &*stored.id.to_string());
    for (name, value) in own.iter() {
        response.set(&name, value.clone());
    }
    if let Some(numbers) = &turn.numbers {
        let shape = response.get(COUNTED).map(Value::text).unwrap_or_default();
        let text = join_numbers(&shape, numbers).ok_or_else(unreadable)?;
        response.set(COUNTED, Value::from_text(text));
    }
    if let Some(previous) = stored.previous {
        response.set("previous_response_id", &*previous.to_string());
    }
    let tools = turn.part(&stored.shared, Role::EchoedTools).or_else(|| turn.part(&stored.shared, Role::Tools));
    if let Some(tools) = tools.filter(|_| response.get("tools").is_some()) {
        response.set("tools", Value::from_text(tools.clone()));
    }
    if let Some(instructions) = turn.part(&stored.shared, Role::Instructions) {
        response.set("instructions", Value::from_text(instructions.clone()));
    }
    let output = turn.output().iter().map(|item| Value::from_text(item.text.clone()));
    response.set("output", output.collect::<Array>());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::{join_numbers, split_numbers};

    #[test]
    fn numbers_are_split_from_their_shape_and_joined_again() {
        for text in [
            r#"{"input_tokens":13,"details":{"cached":0,"per_turn":[]},"total_tokens":1029}"#,
            r#"{"a1":2.50e-3,"b":"x 7 y","c":"00"}"#,
            r#"{"a":[],"at sixteen":1,"b":[],"c":2}"#,
            "[",
            "12",
            "{}",
            "null",
            "",
        ] {
            let (shape, numbers) = split_numbers(text.as_bytes()).unwrap();
            assert_eq!(join_numbers(&shape, &numbers).unwrap(), text);
        }
        for before in 0..40 {
            let text = format!("{}7{}", "a".repeat(before), "b".repeat(before));
            let (shape, numbers) = split_numbers(text.as_bytes()).unwrap();
            assert_eq!((&shape[..], &numbers[..]), (text.replace('7', "0").as_bytes(), &b"7 "[..]));
            assert_eq!(split_numbers(text.replace('7', "[").as_bytes()).is_none(), before > 0);
        }
        assert!(split_numbers(b"{\"per_turn\":[1]}").is_none());
        assert!(join_numbers(b"{\"a\":0}", b"1 2 ").is_none());
        assert!(join_numbers(b"{\"a\":0,\"b\":0}", b"1 ").is_none());
    }
}
