//! The ids of responses: minted here, whatever the upstream calls them.

use std::{
    fmt,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use rand::Rng;
use tower_responses_core::json::Value;

/// The id of a response, `resp_` and 48 hexadecimal digits.
///
/// The first 16 digits are the [`Conversation`], which a response shares with all that it
/// continues and all that continue it, so that a store can keep a conversation in one place. The
/// other 32 are 128 random bits, new for each response: no id can be guessed from another.
///
/// ```
/// use tower_responses_response_store::ResponseId;
///
/// let first = ResponseId::root();
/// let second = ResponseId::continuing(&first);
/// assert_eq!(first.conversation(), second.conversation());
/// assert_ne!(first, second);
/// assert_eq!(first.to_string().parse(), Ok(first));
/// assert!("resp_1".parse::<ResponseId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResponseId {
    conversation: Conversation,
    own: [u8; 16],
}

/// What all responses of one conversation have in common: 24 bits of the time at which it began,
/// in 1/256 of a second, so that what is new lies together in the indexes of a store, and 40
/// random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conversation([u8; 8]);

/// Text that is no id of a response of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId;

const PREFIX: &str = "resp_";

impl ResponseId {
    /// A new id, in a conversation of its own.
    ///
    /// # Panics
    /// If the operating system has no random bytes to give.
    pub fn root() -> Self {
        let mut bytes = [0; 24];
        fill(&mut bytes);
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ticks = (began.as_secs() << 8) | (u64::from(began.subsec_nanos()) * 256 / 1_000_000_000);
        bytes[..3].copy_from_slice(&ticks.to_be_bytes()[5..]);
        Self::from_bytes(bytes)
    }

    /// A new id, in the conversation of `previous`.
    ///
    /// # Panics
    /// If the operating system has no random bytes to give.
    pub fn continuing(previous: &Self) -> Self {
        let mut own = [0; 16];
        fill(&mut own);
        Self { conversation: previous.conversation, own }
    }

    /// The id as a JSON string.
    pub(crate) fn to_json(self) -> Value {
        let mut text = Vec::with_capacity(PREFIX.len() + 50);
        text.push(b'"');
        text.extend_from_slice(PREFIX.as_bytes());
        text.extend_from_slice(&hex::<24, 48>(self.to_bytes()));
        text.push(b'"');
        Value::from_text(text)
    }

    /// The conversation that the response belongs to.
    pub fn conversation(&self) -> Conversation {
        self.conversation
    }

    /// The random bits of this response, without those of its conversation.
    pub fn own(&self) -> [u8; 16] {
        self.own
    }

    /// The id with these parts.
    pub fn from_parts(conversation: Conversation, own: [u8; 16]) -> Self {
        Self { conversation, own }
    }

    /// The conversation and the own bits, one after the other.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.conversation.0);
        bytes[8..].copy_from_slice(&self.own);
        bytes
    }

    /// The id of which [`to_bytes`](Self::to_bytes) gave these bytes.
    pub fn from_bytes(bytes: [u8; 24]) -> Self {
        let mut conversation = [0; 8];
        let mut own = [0; 16];
        conversation.copy_from_slice(&bytes[..8]);
        own.copy_from_slice(&bytes[8..]);
        Self { conversation: Conversation(conversation), own }
    }
}

impl Conversation {
    /// The bits as a number.
    pub fn to_i64(self) -> i64 {
        i64::from_be_bytes(self.0)
    }

    /// The conversation of which [`to_i64`](Self::to_i64) gave this number.
    pub fn from_i64(number: i64) -> Self {
        Self(number.to_be_bytes())
    }
}

/// Of a generator that the operating system seeds, each thread its own: no system call for an id.
fn fill(bytes: &mut [u8]) {
    rand::rng().fill_bytes(bytes);
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&hex::<8, 16>(self.0)).unwrap_or_default())
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        f.write_str(std::str::from_utf8(&hex::<24, 48>(self.to_bytes())).unwrap_or_default())
    }
}

impl fmt::Debug for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hex<const BYTES: usize, const DIGITS: usize>(bytes: [u8; BYTES]) -> [u8; DIGITS] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; DIGITS];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text
}

impl FromStr for ResponseId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidId)?.as_bytes();
        if digits.len() != 48 {
            return Err(InvalidId);
        }
        let mut bytes = [0; 24];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self::from_bytes(bytes))
    }
}

/// One spelling per id: upper case is none.
fn digit(text: u8) -> Result<u8, InvalidId> {
    match text {
        b'0'..=b'9' => Ok(text - b'0'),
        b'a'..=b'f' => Ok(text - b'a' + 10),
        _ => Err(InvalidId),
    }
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the id of a response of this service")
    }
}

impl std::error::Error for InvalidId {}

#[cfg(test)]
mod tests {
    use std::{thread::sleep, time::Duration};

    use super::*;

    #[test]
    fn conversations_that_begin_later_come_later() {
        let tick = |id: ResponseId| u32::from_be_bytes([0, id.to_bytes()[0], id.to_bytes()[1], id.to_bytes()[2]]);
        let first = tick(ResponseId::root());
        sleep(Duration::from_millis(20));
        let later = tick(ResponseId::root()).wrapping_sub(first) & 0x00ff_ffff;
        assert!((5..=2_560).contains(&later), "{later} ticks of 1/256 s in 20 ms, or a little more");
    }

    #[test]
    fn ids_are_spelled_in_one_way() {
        let bytes = std::array::from_fn(|at| u8::try_from(at * 11 % 256).unwrap_or_default());
        let id = ResponseId::from_bytes(bytes);
        assert_eq!(id.to_string(), "resp_000b16212c37424d58636e79848f9aa5b0bbc6d1dce7f2fd");
        assert_eq!(id.to_json().as_str().as_deref(), Some(&*id.to_string()));
        assert_eq!(id.conversation().to_string(), "000b16212c37424d");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<ResponseId>().is_err());
    }
}
