//! Finding the parts of JSON text without decoding them.
//!
//! The scanner takes text that is known to be JSON, or that nobody will miss if it is not: on
//! anything else it answers `None` or a wrong range, and it never panics.

use std::ops::{ControlFlow, Range};

pub(crate) use self::check::is_value;
use self::{
    check::check_value,
    string::{check_string, short_string, skip_string},
};

mod check;
pub(crate) mod string;

#[cfg(test)]
mod tests;

/// Where one member of an object stands: its key with the quotes, its value, and all from the
/// separator before it to the separator after it.
pub(crate) struct MemberRange {
    pub(crate) key: Range<usize>,
    /// Whether there is an escape in the key.
    pub(crate) escaped: bool,
    pub(crate) value: Range<usize>,
    pub(crate) whole: Range<usize>,
    /// The elements of the value, if they were wanted. Their places count from its beginning.
    pub(crate) elements: Option<Vec<ElementRange>>,
}

/// The ranges of one element of an array.
#[derive(Debug, Clone)]
pub(crate) struct ElementRange {
    pub(crate) value: Range<usize>,
    pub(crate) whole: Range<usize>,
}

#[inline]
pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    if text.get(at).is_some_and(|byte| *byte > b' ') {
        return at;
    }
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

/// Shows the members of the object that is `text` in their order to `each`, which may break off.
/// The elements of the array called `open` are found on the way.
///
/// Gives the place behind the object if all of it was seen. With `CHECK`, what was seen is JSON in
/// UTF-8.
#[inline(always)]
pub(crate) fn members<const CHECK: bool>(
    text: &[u8],
    open: Option<&'static str>,
    mut each: impl FnMut(MemberRange) -> ControlFlow<()>,
) -> Option<usize> {
    let mut at = skip_space(text, 0);
    if text.get(at)? != &b'{' {
        return None;
    }
    let first = skip_space(text, at + 1);
    if text.get(first)? == &b'}' {
        return Some(first + 1);
    }
    loop {
        let start = at + 1;
        let key = skip_space(text, start);
        if text.get(key)? != &b'"' {
            return None;
        }
        let (key_end, escaped) = key_end::<CHECK>(text, key)?;
        let colon = skip_space(text, key_end);
        if text.get(colon)? != &b':' {
            return None;
        }
        let value = skip_space(text, colon + 1);
        let opened =
            open.is_some_and(|open| text.get(value) == Some(&b'[') && key_is(&text[key..key_end], false, open));
        let (value_end, elements) = if opened {
            let (elements, length) = elements_and_length(&text[value..], end_of::<CHECK>)?;
            (value + length, Some(elements))
        } else {
            (end_of::<CHECK>(text, value)?, None)
        };
        let end = skip_space(text, value_end);
        let last = match text.get(end)? {
            b'}' => true,
            b',' => false,
            _ => return None,
        };
        let member = MemberRange { key: key..key_end, escaped, value: value..value_end, whole: start..end, elements };
        if each(member).is_break() {
            return None;
        }
        if last {
            return Some(end + 1);
        }
        at = end;
    }
}

fn end_of<const CHECK: bool>(text: &[u8], at: usize) -> Option<usize> {
    if CHECK { check_value(text, at) } else { skip_value(text, at) }
}

/// The end of a key, and whether there is an escape in it.
#[inline(always)]
fn key_end<const CHECK: bool>(text: &[u8], at: usize) -> Option<(usize, bool)> {
    if let Ok(end) = short_string(text, at) {
        return Some((end, false));
    }
    let end = if CHECK { check_string(text, at)? } else { skip_string(text, at)? };
    Some((end, text[at..end].contains(&b'\\')))
}

/// The elements of the array that is `text`, in order.
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
    key.len() == name.len() + 2 && same(&key[1..=name.len()], name.as_bytes())
}

/// Whether two names of one length are the same: to call what compares long texts costs more.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    words.iter().zip(other_words).all(|(one, other)| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other))
        && rest.iter().zip(other_rest).all(|(one, other)| one == other)
}

#[cold]
fn escaped_key_is(key: &[u8], name: &str) -> bool {
    super::decode::<String>(key).is_ok_and(|key| key == name)
}

/// The text of the first member called `name` of the object that is `text`.
pub(crate) fn find<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = find_start(text, name)?;
    let end = skip_value(text, value)?;
    // It may be that the text ends here.
    matches!(text.get(skip_space(text, end)), Some(b',' | b'}')).then(|| &text[value..end])
}

/// Where the value of the first member called `name` begins in the object that is `text`: what
/// stands there tells its type, and to find its end may take long.
pub(crate) fn find_start(text: &[u8], name: &str) -> Option<usize> {
    let mut at = skip_space(text, 0);
    if text.get(at)? != &b'{' {
        return None;
    }
    loop {
        let key = skip_space(text, at + 1);
        if text.get(key)? != &b'"' {
            return None;
        }
        let (key_end, escaped) = key_end::<false>(text, key)?;
        let colon = skip_space(text, key_end);
        if text.get(colon)? != &b':' {
            return None;
        }
        let value = skip_space(text, colon + 1);
        if key_is(&text[key..key_end], escaped, name) {
            return Some(value);
        }
        at = skip_space(text, skip_value(text, value)?);
        if text.get(at)? != &b',' {
            return None;
        }
    }
}

/// Where the first member of each name stands in the object that is `text`.
pub(crate) fn find_all<const N: usize>(text: &[u8], names: [&str; N]) -> [Option<Range<usize>>; N] {
    let mut found = [const { None }; N];
    let mut missing = N;
    members::<false>(text, None, |member| {
        let key = &text[member.key];
        let is = |name: &&str| key_is(key, member.escaped, name);
        if let Some(at) = names.iter().position(is).filter(|at| found[*at].is_none()) {
            found[at] = Some(member.value);
            missing -= 1;
        }
        if missing == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
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
