//! Finding the parts of JSON text without decoding them.
//!
//! The scanner takes text that is known to be JSON, or that nobody will miss if it is not: on
//! anything else it answers `None` or a wrong range, and it never panics.

use std::{
    borrow::Cow,
    ops::{ControlFlow, Range},
};

pub(crate) use self::check::is_value;
use self::{
    check::check_value,
    string::{check_string, short_string, skip_string},
};

pub(super) mod check;
pub(crate) mod string;

#[cfg(test)]
mod tests;

/// Where one member of an object stands: its key with the quotes, its value, and all from the
/// separator before it to the separator after it.
#[derive(Debug)]
pub(crate) struct MemberRange {
    pub(crate) key: Key,
    pub(crate) value: Range<usize>,
    pub(crate) whole: Range<usize>,
}

/// Where a key stands, with its quotes.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Range<usize>,
    /// Whether there is an escape in it.
    pub(crate) escaped: bool,
    /// Where the member begins, right behind the separator.
    pub(super) start: usize,
    /// Where the value begins.
    pub(super) value: usize,
}

impl Key {
    /// The key of the member behind the separator at `at`.
    #[inline(always)]
    pub(super) fn after<const CHECK: bool>(text: &[u8], at: usize) -> Option<Self> {
        let start = at + 1;
        let key = skip_space(text, start);
        if text.get(key)? != &b'"' {
            return None;
        }
        let (end, escaped) = key_end::<CHECK>(text, key)?;
        let colon = skip_space(text, end);
        if text.get(colon)? != &b':' {
            return None;
        }
        Some(Self { place: key..end, escaped, start, value: skip_space(text, colon + 1) })
    }

    /// The member whose value ends there, if it is followed by what has to follow it.
    #[inline(always)]
    pub(super) fn member(self, text: &[u8], value_end: usize) -> Option<(MemberRange, Follows)> {
        let (end, follows) = Follows::at(text, value_end, b'}')?;
        Some((MemberRange { value: self.value..value_end, whole: self.start..end, key: self }, follows))
    }

    #[inline(always)]
    pub(crate) fn is(&self, text: &[u8], name: &str) -> bool {
        key_is(&text[self.place.clone()], self.escaped, name)
    }
}

/// What follows a member or an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    Another,
    Nothing,
}

impl Follows {
    /// What comes after a value, and where that is; `close` ends what the value is in.
    #[inline(always)]
    pub(super) fn at(text: &[u8], value_end: usize, close: u8) -> Option<(usize, Self)> {
        let at = skip_space(text, value_end);
        match text.get(at)? {
            b',' => Some((at, Self::Another)),
            byte if *byte == close => Some((at, Self::Nothing)),
            _ => None,
        }
    }
}

#[inline]
pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    let is_space = |at| text.get(at).is_none_or(|byte| *byte <= b' ');
    if !is_space(at) {
        return at;
    }
    // One blank is what most who write any write.
    if !is_space(at + 1) && text[at] == b' ' {
        return at + 1;
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
///
/// Gives the place behind the object if all of it was seen. With `CHECK`, what was seen is JSON in
/// UTF-8.
#[inline(always)]
pub(crate) fn members<const CHECK: bool>(
    text: &[u8],
    mut each: impl FnMut(MemberRange) -> ControlFlow<()>,
) -> Option<usize> {
    let mut at = match start(text, b'{', b'}')? {
        ControlFlow::Break(end) => return Some(end),
        ControlFlow::Continue(at) => at,
    };
    loop {
        let key = Key::after::<CHECK>(text, at)?;
        let value_end = end_of::<CHECK>(text, key.value)?;
        let (member, follows) = key.member(text, value_end)?;
        at = member.whole.end;
        if each(member).is_break() {
            return None;
        }
        if follows == Follows::Nothing {
            return Some(at + 1);
        }
    }
}

/// Where what is between `open` and `close` begins in `text`; breaks with its end if that is
/// nothing.
#[inline(always)]
pub(super) fn start(text: &[u8], open: u8, close: u8) -> Option<ControlFlow<usize, usize>> {
    let at = skip_space(text, 0);
    if *text.get(at)? != open {
        return None;
    }
    let first = skip_space(text, at + 1);
    Some(if *text.get(first)? == close { ControlFlow::Break(first + 1) } else { ControlFlow::Continue(at) })
}

#[inline(always)]
pub(super) fn end_of<const CHECK: bool>(text: &[u8], at: usize) -> Option<usize> {
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

/// The element behind the separator at `at`, and the separator behind the element.
#[inline(always)]
pub(super) fn element_after(text: &[u8], at: usize) -> Option<(Range<usize>, usize, Follows)> {
    let value = skip_space(text, at + 1);
    let value_end = skip_value(text, value)?;
    let (end, follows) = Follows::at(text, value_end, b']')?;
    Some((value..value_end, end, follows))
}

/// An element with the space around it.
pub(super) fn with_space(text: &[u8], element: Range<usize>) -> Range<usize> {
    let before = text[..element.start].iter().rposition(|byte| !byte.is_ascii_whitespace());
    before.map_or(0, |before| before + 1)..skip_space(text, element.end)
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
    let same_words = |one: &[u8; 8], other: &[u8; 8]| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
    match (one.last_chunk(), other.last_chunk()) {
        // The last word may share bytes with the one before.
        (Some(last), Some(other_last)) => {
            let mut words = one.as_chunks().0.iter().zip(other.as_chunks().0);
            same_words(last, other_last) && words.all(|(one, other)| same_words(one, other))
        }
        _ => one.iter().zip(other).all(|(one, other)| one == other),
    }
}

#[cold]
fn escaped_key_is(key: &[u8], name: &str) -> bool {
    super::decode::<String>(key).is_ok_and(|key| key == name)
}

/// What tells the name that the key text (with its quotes) spells from others.
pub(crate) fn key_name(key: &[u8], escaped: bool) -> Cow<'_, [u8]> {
    match escaped.then(|| super::decode::<String>(key)) {
        Some(Ok(name)) => Cow::Owned(name.into_bytes()),
        // One with half a surrogate pair is what is written.
        _ => Cow::Borrowed(&key[1..key.len() - 1]),
    }
}

/// Which of the members that bear the same name is the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// The last.
    Last,
    /// There is but one: what stands behind it need not be looked at.
    Never,
}

/// The text of the member called `name` of the object that is `text`.
#[inline]
pub(crate) fn find<'a>(text: &'a [u8], name: &str, repeats: Repeats) -> Option<&'a [u8]> {
    let value = find_start(text, name, repeats)?;
    let end = skip_value(text, value)?;
    // It may be that the text ends here.
    matches!(text.get(skip_space(text, end)), Some(b',' | b'}')).then(|| &text[value..end])
}

/// Where the value of the member called `name` begins in the object that is `text`: what stands
/// there tells its type, and to find its end may take long.
pub(crate) fn find_start(text: &[u8], name: &str, repeats: Repeats) -> Option<usize> {
    let mut at = skip_space(text, 0);
    if text.get(at)? != &b'{' {
        return None;
    }
    let mut found = None;
    loop {
        // What comes after something broken is not looked at.
        let Some(key) = Key::after::<false>(text, at) else { return found };
        if key.is(text, name) {
            found = Some(key.value);
            if repeats == Repeats::Never {
                return found;
            }
        }
        let Some(end) = skip_value(text, key.value) else { return found };
        at = skip_space(text, end);
        if text.get(at) != Some(&b',') {
            return found;
        }
    }
}

/// The text of the member called `name`, if it is a string, of the object that is `text`.
pub(crate) fn find_string<'a>(text: &'a [u8], name: &str, repeats: Repeats) -> Option<&'a [u8]> {
    let value = find_start(text, name, repeats)?;
    (*text.get(value)? == b'"').then_some(())?;
    Some(&text[value..skip_string(text, value)?])
}

/// Where the members of these names stand in the object that is `text`.
pub(crate) fn find_all<const N: usize>(text: &[u8], names: [&str; N], repeats: Repeats) -> [Option<Range<usize>>; N] {
    let mut found = [const { None }; N];
    let mut missing = N;
    members::<false>(text, |member| {
        if let Some(at) = names.iter().position(|name| member.key.is(text, name)) {
            missing -= usize::from(found[at].is_none());
            found[at] = Some(member.value);
        }
        if missing == 0 && repeats == Repeats::Never { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found
}

/// An element of an array: where it is, and where its members of some names are in it.
pub(crate) type RowRange<const N: usize> = (Range<usize>, [Option<Range<usize>>; N]);

/// The element behind the separator at `at`, with its members of these names: none if it is no
/// object.
pub(super) fn row_after<const N: usize>(
    text: &[u8],
    at: usize,
    names: [&str; N],
) -> Option<(RowRange<N>, usize, Follows)> {
    let value = skip_space(text, at + 1);
    let (value_end, members) = row(text, value, names)?;
    let (end, follows) = Follows::at(text, value_end, b']')?;
    Some(((value..value_end, members), end, follows))
}

/// The end of the value at `at`, and its members of these names.
fn row<const N: usize>(text: &[u8], at: usize, names: [&str; N]) -> Option<(usize, [Option<Range<usize>>; N])> {
    let mut found = [const { None }; N];
    if text.get(at)? != &b'{' {
        return Some((skip_value(text, at)?, found));
    }
    let end = members::<false>(&text[at..], |member| {
        let is = |name: &&str| key_is(&text[at..][member.key.place.clone()], member.key.escaped, name);
        if let Some(place) = names.iter().position(is) {
            found[place] = Some(at + member.value.start..at + member.value.end);
        }
        ControlFlow::Continue(())
    })?;
    Some((at + end, found))
}

/// Whether `text` is a string that is decoded to this one.
pub(crate) fn string_is(text: &[u8], string: &str) -> bool {
    let Some(spelled) = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) else { return false };
    let string = string.as_bytes();
    // Up to the first escape both are the same.
    let differs = spelled.iter().zip(string).position(|(spelled, byte)| spelled != byte || *byte == b'\\');
    let differs = differs.unwrap_or(spelled.len().min(string.len()));
    match spelled.get(differs) {
        None => spelled.len() == string.len(),
        Some(b'\\') => decode_string(text).is_some_and(|decoded| decoded.as_bytes() == string),
        Some(_) => false,
    }
}

/// Decodes a JSON string; `None` for any other value.
pub(crate) fn decode_string(text: &[u8]) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        // A lone surrogate is JSON, but no text.
        return super::decode::<String>(text).ok().map(Into::into);
    }
    std::str::from_utf8(inner).ok().map(Into::into)
}
