use memchr::memchr2;

#[cfg(test)]
pub(crate) mod tests;

/// Decodes the inside of a JSON string that comes in pieces, which may end anywhere: in an
/// escape, or between the two halves of a surrogate pair.
///
/// It takes what models write, not only what JSON allows: raw control characters stay, an escape
/// that JSON does not know stays as it is spelled, and a surrogate without its other half becomes
/// U+FFFD. Nothing after it is lost.
///
/// ```
/// use tower_responses_call_restore::StringDecoder;
///
/// let mut decoder = StringDecoder::default();
/// let mut text = String::new();
/// assert_eq!(decoder.push(r"a\n\ud83", &mut text), None);
/// assert_eq!(decoder.push(r"d\", &mut text), None);
/// assert_eq!(text, "a\n");
/// assert_eq!(decoder.push(r#"ude00" rest"#, &mut text), Some(6));
/// assert_eq!(text, "a\n😀");
/// ```
#[derive(Debug, Clone, Default)]
pub struct StringDecoder {
    escape: Escape,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

#[derive(Debug, Clone, Default)]
enum Escape {
    #[default]
    None,
    Backslash,
    Unicode {
        digits: [u8; 4],
        len: usize,
    },
}

impl StringDecoder {
    /// Decodes `piece` and appends to `text` what has become known. Where the piece holds the
    /// closing quote, gives the number of bytes up to and with it; the decoder is then as new.
    pub fn push(&mut self, piece: &str, text: &mut String) -> Option<usize> {
        let bytes = piece.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.escape {
                Escape::None => {
                    let end = special(&bytes[at..]).map_or(bytes.len(), |offset| at + offset);
                    if end > at {
                        self.flush(text);
                        text.push_str(&piece[at..end]);
                    }
                    at = end + 1;
                    match bytes.get(end) {
                        Some(b'\\') => self.escape = Escape::Backslash,
                        Some(_) => {
                            self.flush(text);
                            return Some(at);
                        }
                        None => {}
                    }
                }
                Escape::Backslash => at += self.escaped(&piece[at..], text),
                Escape::Unicode { digits, len } => {
                    if !bytes[at].is_ascii_hexdigit() {
                        // What follows is looked at anew.
                        let (digits, len) = (*digits, *len);
                        self.spell("\\u", text);
                        text.extend(digits[..len].iter().map(|digit| char::from(*digit)));
                        continue;
                    }
                    digits[*len] = bytes[at];
                    *len += 1;
                    at += 1;
                    if *len == 4 {
                        let unit = digits.iter().fold(0, |unit, digit| unit << 4 | hex(*digit));
                        self.escape = Escape::None;
                        self.unit(unit, text);
                    }
                }
            }
        }
        None
    }

    /// What follows a backslash. Gives its length.
    fn escaped(&mut self, rest: &str, text: &mut String) -> usize {
        let Some(escaped) = rest.chars().next() else { return 0 };
        let decoded = match escaped {
            'u' => {
                self.escape = Escape::Unicode { digits: [0; 4], len: 0 };
                return 1;
            }
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '"' | '\\' | '/' => escaped,
            _ => {
                self.spell("\\", text);
                escaped
            }
        };
        self.flush(text);
        self.escape = Escape::None;
        text.push(decoded);
        escaped.len_utf8()
    }

    /// Ends an escape that is none.
    fn spell(&mut self, start: &str, text: &mut String) {
        self.flush(text);
        self.escape = Escape::None;
        text.push_str(start);
    }

    /// One UTF-16 unit of a `\u` escape.
    fn unit(&mut self, unit: u16, text: &mut String) {
        if let (Some(high), 0xDC00..=0xDFFF) = (self.high, unit) {
            self.high = None;
            let scalar = 0x1_0000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(unit) - 0xDC00);
            text.push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
            return;
        }
        self.flush(text);
        match unit {
            0xD800..=0xDBFF => self.high = Some(unit),
            _ => text.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    /// Something else than the second half of a pair follows.
    fn flush(&mut self, text: &mut String) {
        if self.high.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Where the first quote or backslash stands. It is mostly near, and a search takes long to set up.
fn special(bytes: &[u8]) -> Option<usize> {
    let (near, far) = bytes.split_at(bytes.len().min(16));
    let found = near.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    found.or_else(|| memchr2(b'"', b'\\', far).map(|offset| near.len() + offset))
}

fn hex(digit: u8) -> u16 {
    char::from(digit).to_digit(16).and_then(|digit| u16::try_from(digit).ok()).unwrap_or_default()
}
