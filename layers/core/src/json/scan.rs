//! Finding the parts of JSON text without decoding them.
//!
//! The scanner takes text that is known to be JSON, or that nobody will miss if it is not: on
//! anything else it answers `None` or a wrong range, and it never panics.

use std::ops::Range;

pub(crate) use self::check::is_value;
use self::{
    check::check_value,
    string::{check_string, skip_string},
};

mod check;
pub(crate) mod string;

#[cfg(test)]
mod tests;

/// The ranges of one member: its key with the quotes, its value, and all from the separator
/// before it to the separator after it.
#[derive(Debug, Clone)]
pub(crate) struct MemberRange {
    pub(crate) key: Range<usize>,
    /// Whether there is an escape in the key.
    pub(crate) escaped: bool,
    pub(crate) value: Range<usize>,
    pub(crate) whole: Range<usize>,
}

/// The ranges of one element of an array.
#[derive(Debug, Clone)]
pub(crate) struct ElementRange {
    pub(crate) value: Range<usize>,
    pub(crate) whole: Range<usize>,
}

pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The end of the value that starts at `at`.
pub(crate) fn skip_value(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => skip_string(text, at),
        b'{' | b'[' => skip_compound(text, at),
        _ => {
            let rest = &text[at..];
            let length = rest
                .iter()
                .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))
                .unwrap_or(rest.len());
            (length > 0).then_some(at + length)
        }
    }
}

fn skip_compound(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = skip_string(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// The members of the object that is `text`, in order.
pub(crate) struct Members<'a> {
    text: &'a [u8],
    at: usize,
    state: State,
    /// Whether the text is checked on the way.
    check: bool,
    /// The member that is an array whose elements are wanted as well.
    open: Option<&'static str>,
    opened: Option<Vec<ElementRange>>,
}

#[derive(PartialEq)]
enum State {
    Start,
    Inside,
    Closed,
    Broken,
}

impl<'a> Members<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: skip_space(text, 0), state: State::Start, check: false, open: None, opened: None }
    }

    /// The members of text that may be anything: what is closed in the end is JSON in UTF-8. The
    /// elements of the array called `open` are found in the same pass.
    pub(crate) fn checked(text: &'a [u8], open: Option<&'static str>) -> Self {
        Self { check: true, open, ..Self::new(text) }
    }

    /// About how many there will be: bodies have more than the events and items that were checked
    /// as a part of them.
    pub(crate) fn expected(&self) -> usize {
        if self.check { 40 } else { 8 }
    }

    /// The elements of the array that was wanted, if it was the value of the last member. Their
    /// places count from the beginning of the array.
    pub(crate) fn take_opened(&mut self) -> Option<Vec<ElementRange>> {
        self.opened.take()
    }

    /// The end of a value, and on the way what is in it, if that is wanted.
    fn skip_value(&mut self, key: &[u8], at: usize) -> Option<usize> {
        let wanted = self.open.is_some_and(|open| key_is(key, false, open)) && self.text[at..].starts_with(b"[");
        let end = if self.check { check_value } else { skip_value };
        if !wanted {
            return end(self.text, at);
        }
        let (elements, length) = elements_and_length(&self.text[at..], end)?;
        self.opened = Some(elements);
        Some(at + length)
    }

    /// Whether the object was read to its closing brace, and if it is checked, nothing follows.
    pub(crate) fn closed(&self) -> bool {
        self.state == State::Closed && (!self.check || skip_space(self.text, self.at + 1) == self.text.len())
    }

    fn member(&mut self) -> Option<MemberRange> {
        let text = self.text;
        let start = self.at + 1;
        let key = skip_space(text, start);
        match (text.get(self.at)?, text.get(key)?, &self.state) {
            (b'{', b'}', State::Start) => {
                self.at = key;
                self.state = State::Closed;
                return None;
            }
            (b'{', b'"', State::Start) | (b',', b'"', State::Inside) => {}
            _ => return None,
        }
        let key_end = if self.check { check_string(text, key)? } else { skip_string(text, key)? };
        let colon = skip_space(text, key_end);
        if text.get(colon)? != &b':' {
            return None;
        }
        let value = skip_space(text, colon + 1);
        let value_end = self.skip_value(&text[key..key_end], value)?;
        let end = skip_space(text, value_end);
        self.state = if text.get(end)? == &b'}' { State::Closed } else { State::Inside };
        self.at = end;
        let escaped = text[key..key_end].contains(&b'\\');
        Some(MemberRange { key: key..key_end, escaped, value: value..value_end, whole: start..end })
    }
}

impl Iterator for Members<'_> {
    type Item = MemberRange;

    fn next(&mut self) -> Option<MemberRange> {
        if matches!(self.state, State::Closed | State::Broken) {
            return None;
        }
        let member = self.member();
        if member.is_none() && self.state != State::Closed {
            self.state = State::Broken;
        }
        member
    }
}

/// The elements of the array that is `text`, in order; the flag says whether it was closed.
pub(crate) fn elements(text: &[u8]) -> Option<Vec<ElementRange>> {
    elements_and_length(text, skip_value).map(|(elements, _)| elements)
}

/// `end_of` finds the end of each element.
fn elements_and_length(text: &[u8], end_of: fn(&[u8], usize) -> Option<usize>) -> Option<(Vec<ElementRange>, usize)> {
    let mut at = skip_space(text, 0);
    if text.get(at)? != &b'[' {
        return None;
    }
    let mut elements = Vec::new();
    let first = skip_space(text, at + 1);
    if text.get(first)? == &b']' {
        return Some((elements, first + 1));
    }
    loop {
        let value = skip_space(text, at + 1);
        let value_end = end_of(text, value)?;
        let end = skip_space(text, value_end);
        elements.push(ElementRange { value: value..value_end, whole: at + 1..end });
        match text.get(end)? {
            b',' => at = end,
            b']' => return Some((elements, end + 1)),
            _ => return None,
        }
    }
}

/// Whether the key text (with its quotes) spells `name`.
#[inline(always)]
pub(crate) fn key_is(key: &[u8], escaped: bool, name: &str) -> bool {
    if escaped {
        return escaped_key_is(key, name);
    }
    key.len() == name.len() + 2 && &key[1..=name.len()] == name.as_bytes()
}

#[cold]
fn escaped_key_is(key: &[u8], name: &str) -> bool {
    super::decode::<String>(key).is_ok_and(|key| key == name)
}

/// The text of the first member called `name` of the object that is `text`.
pub(crate) fn find<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let member = Members::new(text).find(|member| key_is(&text[member.key.clone()], member.escaped, name))?;
    Some(&text[member.value])
}

/// Where the first member of each name stands in the object that is `text`.
pub(crate) fn find_all<const N: usize>(text: &[u8], names: [&str; N]) -> [Option<Range<usize>>; N] {
    let mut found = [const { None }; N];
    let mut missing = N;
    for member in Members::new(text) {
        let key = &text[member.key];
        let is = |name: &&str| key_is(key, member.escaped, name);
        if let Some(at) = names.iter().position(is).filter(|at| found[*at].is_none()) {
            found[at] = Some(member.value);
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
    }
    found
}

/// Decodes a JSON string; `None` for any other value.
pub(crate) fn decode_string(text: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        // A lone surrogate is JSON, but no text.
        return super::decode::<String>(text).ok().map(Into::into);
    }
    std::str::from_utf8(inner).ok().map(Into::into)
}
