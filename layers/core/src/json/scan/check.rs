//! Checking that text is JSON, byte by byte of structure and block by block of string.
//!
//! The grammar is RFC 8259. Nothing here recurses: depth costs one bit for each level.

use super::{skip_space, string::check_string};

/// The end of the value that starts at `at`, if it is JSON in UTF-8.
pub(crate) fn check_value(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'{' | b'[' => check_compound(text, at),
        _ => check_scalar(text, at),
    }
}

/// Whether `text` is one JSON value, with nothing but space around it.
pub(crate) fn is_value(text: &[u8]) -> bool {
    check_value(text, skip_space(text, 0)).is_some_and(|end| skip_space(text, end) == text.len())
}

fn check_compound(text: &[u8], mut at: usize) -> Option<usize> {
    let mut open = Nesting::default();
    loop {
        // Here begins a value.
        let object = match text.get(at)? {
            b'{' => Some(true),
            b'[' => Some(false),
            _ => None,
        };
        at = match object {
            None => check_scalar(text, at)?,
            Some(object) => {
                at = skip_space(text, at + 1);
                if text.get(at)? != closing(object) {
                    open.push(object);
                    at = if object { check_key(text, at)? } else { at };
                    continue;
                }
                at + 1
            }
        };
        // Here one has ended.
        loop {
            let Some(object) = open.innermost() else { return Some(at) };
            at = skip_space(text, at);
            match text.get(at)? {
                b',' => {
                    at = skip_space(text, at + 1);
                    at = if object { check_key(text, at)? } else { at };
                    break;
                }
                byte if byte == closing(object) => open.pop(),
                _ => return None,
            }
            at += 1;
        }
    }
}

fn closing(object: bool) -> &'static u8 {
    if object { &b'}' } else { &b']' }
}

/// The place of the value whose key is at `at`.
fn check_key(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at)? != &b'"' {
        return None;
    }
    let colon = skip_space(text, check_string(text, at)?);
    (text.get(colon)? == &b':').then(|| skip_space(text, colon + 1))
}

fn check_scalar(text: &[u8], at: usize) -> Option<usize> {
    let literal = |word: &[u8]| text[at..].starts_with(word).then_some(at + word.len());
    match text.get(at)? {
        b'"' => check_string(text, at),
        b't' => literal(b"true"),
        b'f' => literal(b"false"),
        b'n' => literal(b"null"),
        _ => check_number(text, at),
    }
}

fn check_number(text: &[u8], at: usize) -> Option<usize> {
    let at = at + usize::from(text.get(at) == Some(&b'-'));
    let mut at = match text.get(at)? {
        b'0' => at + 1,
        _ => check_digits(text, at)?,
    };
    if text.get(at) == Some(&b'.') {
        at = check_digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = check_digits(text, at + 1 + usize::from(sign))?;
    }
    Some(at)
}

/// The end of the digits at `at`, of which there has to be one.
fn check_digits(text: &[u8], at: usize) -> Option<usize> {
    let digits = text.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some(at + digits)
}

/// Which of the brackets around a value are braces: one bit each, the innermost lowest.
#[derive(Default)]
struct Nesting {
    depth: usize,
    inner: u64,
    outer: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, object: bool) {
        if self.at_edge() {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.inner = if self.at_edge() { self.outer.pop().unwrap_or_default() } else { self.inner >> 1 };
    }

    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.inner & 1 == 1)
    }

    /// Whether `inner` is full, or was until now.
    fn at_edge(&self) -> bool {
        self.depth > 0 && self.depth.is_multiple_of(64)
    }
}
