//! The ends of strings.
//!
//! Most strings are shorter than what it takes to set up a search, so the first bytes are looked
//! at word by word, and only then block by block.

use memchr::memchr2;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// How many words of a string are looked at before it is taken for a long one.
const WORDS: usize = 4;

/// How many bytes of a long string are looked at together.
const BLOCK: usize = 32;

/// The end of the string whose opening quote is at `at`, if it is short, without escapes, and
/// ASCII: what nearly all keys are. Else a place up to which it is that.
#[inline(always)]
pub(super) fn short_string(text: &[u8], at: usize) -> Result<usize, usize> {
    let mut at = at + 1;
    for _ in 0..WORDS {
        let Some(word) = word_at(text, at) else { break };
        if let Some(offset) = first(quotes(word) | controls(word) | (word & HIGHS)) {
            let end = at + offset;
            return if text[end] == b'"' { Ok(end + 1) } else { Err(end) };
        }
        at += 8;
    }
    Err(at)
}

/// The end of the string whose opening quote is at `at`.
#[inline(always)]
pub(crate) fn skip_string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = quote_or_escape(text, at)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The place of the first quote or backslash from `at` on.
#[inline(always)]
fn quote_or_escape(text: &[u8], mut at: usize) -> Option<usize> {
    // What is not found in these is looked for on vectors, which takes a moment to begin.
    for _ in 0..2 {
        let Some(word) = word_at(text, at) else { break };
        if let Some(offset) = first(quotes(word)) {
            return Some(at + offset);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', text.get(at..)?).map(|offset| at + offset)
}

/// The end of the string whose opening quote is at `at`, if it is JSON in UTF-8.
#[inline]
pub(super) fn check_string(text: &[u8], at: usize) -> Option<usize> {
    match short_string(text, at) {
        Ok(end) => Some(end),
        Err(plain) => check_rest(text, plain),
    }
}

/// The same, of a string whose text is ASCII without escapes up to `start`.
fn check_rest(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut ascii = true;
    loop {
        let plain = plain(text, at);
        ascii &= plain.ascii;
        at = plain.end;
        match text.get(at)? {
            b'"' => break,
            b'\\' => at = check_escape(text, at + 1)?,
            _ => return None,
        }
    }
    (ascii || std::str::from_utf8(&text[start..at]).is_ok()).then_some(at + 1)
}

/// The end of the escape whose letter is at `at`. Halves of surrogate pairs are JSON even alone.
fn check_escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => text.get(at + 1..at + 5)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 5),
        _ => None,
    }
}

/// A stretch of a string without quote, backslash or control character.
pub(super) struct Plain {
    pub(super) end: usize,
    /// `false` if there may be other bytes in it than ASCII.
    pub(super) ascii: bool,
}

/// The stretch that begins at `at`; its end may be the end of the text.
pub(super) fn plain(text: &[u8], mut at: usize) -> Plain {
    let mut highs = 0;
    let mut words = 0;
    while let Some(word) = word_at(text, at) {
        highs |= word & HIGHS;
        if let Some(offset) = first(quotes(word) | controls(word)) {
            return Plain { end: at + offset, ascii: highs == 0 };
        }
        (at, words) = (at + 8, words + 1);
        if words == WORDS {
            // What stops a block is found in its words.
            let (blocks, _) = text.get(at..).unwrap_or_default().as_chunks::<BLOCK>();
            for block in blocks.iter().take_while(|block| !holds(block, is_special)) {
                highs |= block.as_chunks().0.iter().fold(0, |all, word| all | u64::from_ne_bytes(*word)) & HIGHS;
                at += BLOCK;
            }
        }
    }
    let tail = text.get(at..).unwrap_or_default();
    let length = tail.iter().position(|byte| is_special(*byte)).unwrap_or(tail.len());
    let ascii = highs == 0 && tail[..length].is_ascii();
    Plain { end: at + length, ascii }
}

/// Whether a byte of the block is what is looked for. Without a branch inside, so that it becomes
/// a few instructions on vectors.
#[inline(always)]
fn holds(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> bool {
    let marks = block.map(|byte| if is(byte) { u8::MAX } else { 0 });
    marks.as_chunks().0.iter().fold(0, |all, word| all | u64::from_ne_bytes(*word)) != 0
}

/// The JSON string that spells `text`.
pub(crate) fn quote(text: &str) -> Vec<u8> {
    let mut json = Vec::with_capacity(text.len() + text.len() / 16 + 2);
    json.push(b'"');
    escape(text.as_bytes(), &mut json);
    json.push(b'"');
    json
}

/// Appends `text`, which should be UTF-8, to `json` as it stands in a JSON string, without the
/// quotes around it.
pub fn escape(text: &[u8], json: &mut Vec<u8>) {
    let mut at = 0;
    loop {
        let end = plain(text, at).end;
        json.extend_from_slice(&text[at..end]);
        let Some(byte) = text.get(end) else { break };
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', *byte]),
            b'\n' => json.extend_from_slice(b"\\n"),
            b'\t' => json.extend_from_slice(b"\\t"),
            b'\r' => json.extend_from_slice(b"\\r"),
            0x08 => json.extend_from_slice(b"\\b"),
            0x0c => json.extend_from_slice(b"\\f"),
            _ => json.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), HEX[usize::from(byte & 15)]]),
        }
        at = end + 1;
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn is_quote(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\')
}

fn is_special(byte: u8) -> bool {
    is_quote(byte) | (byte < 0x20)
}

fn word_at(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

/// The high bit of each byte that is zero, and perhaps of some after the first of these.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Likewise of each that is a quote or a backslash.
fn quotes(word: u64) -> u64 {
    zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64))
}

/// Likewise of each that is a control character.
fn controls(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGHS
}

/// The place of the first byte whose high bit is set.
fn first(highs: u64) -> Option<usize> {
    (highs != 0).then(|| highs.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_string_ends_at_its_first_bare_quote() {
        for before in 0..80 {
            for (inside, rest) in
                [("", ""), ("\\\"", ""), ("\\\\", ", \"x\""), ("\\u0022", "]"), ("\u{80}\u{ff}", "0123456789")]
            {
                let string = format!("\"{}{inside}{}\"", "a".repeat(before), "b".repeat(before % 11));
                let text = format!("{string}{rest}");
                assert_eq!(skip_string(text.as_bytes(), 0), Some(string.len()), "{text}");
                assert_eq!(check_string(text.as_bytes(), 0), Some(string.len()), "{text}");
            }
        }
        for broken in ["\"", "\"abc", "\"\\\"", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\\"", "\"\\"] {
            assert_eq!(skip_string(broken.as_bytes(), 0), None, "{broken}");
            assert_eq!(check_string(broken.as_bytes(), 0), None, "{broken}");
        }
    }

    #[test]
    fn what_is_no_text_is_found_wherever_it_stands() {
        for before in 0..120 {
            for wrong in [&b"\x1f"[..], b"\n", b"\0", b"\\x", b"\\u12g4", b"\xff", b"\xc3", b"\xed\xa0\x80"] {
                for after in [0, 7, 40] {
                    let text = [b"\"", &vec![b'a'; before][..], wrong, &vec![b'a'; after], b"\""].concat();
                    assert_eq!(check_string(&text, 0), None, "{}", String::from_utf8_lossy(&text));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn words_are_searched_as_bytes_are(word in any::<[u8; 8]>(), at in 0usize..8, special in prop::bool::ANY) {
            let mut word = word;
            word[at] = if special { b'"' } else { word[at] ^ 0x80 };
            let number = u64::from_le_bytes(word);
            let expected = word.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(first(quotes(number)), expected);
            let expected = word.iter().position(|byte| is_special(*byte));
            prop_assert_eq!(first(quotes(number) | controls(number)), expected);
        }
    }
}
