use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

use super::Event;

/// Cuts a byte stream into server-sent events, each with the blank line that ends it.
///
/// Sans-IO: chunks go in, events come out. Lines may end with LF, CRLF or CR; the same bytes give
/// the same events however they are cut into chunks. An event that lies within one chunk is a
/// slice of it; only one that spans chunks is copied. A byte order mark before the first is left
/// out: it belongs to no event, and others may be put before that one.
///
/// ```
/// use tower_responses_core::sse::Splitter;
///
/// let mut splitter = Splitter::new(1024);
/// splitter.push("data: 1\n\ndata: ".into());
/// assert_eq!(splitter.next().unwrap().unwrap(), "data: 1\n\n");
/// assert!(splitter.next().is_none());
/// splitter.push("2\r\n\r\n\n".into());
/// assert_eq!(splitter.next().unwrap().unwrap(), "data: 2\r\n\r\n");
/// assert_eq!(splitter.next().unwrap().unwrap(), "\n");
/// ```
#[derive(Debug)]
pub struct Splitter {
    chunk: Bytes,
    /// The start of an event whose end is in none of the chunks so far.
    partial: BytesMut,
    lines: Lines,
    /// Whether an event has been cut off.
    begun: bool,
    /// How many lines the last event has before its last and the blank one; too many with a CR.
    before_last: usize,
    max_event: usize,
}

/// More bytes without the end of an event than the splitter was told to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTooLarge;

impl std::fmt::Display for EventTooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event of the stream is larger than the limit")
    }
}

impl std::error::Error for EventTooLarge {}

/// Where the scanner stands between two bytes.
#[derive(Debug)]
struct Lines {
    at_line_start: bool,
    /// How many lines have ended so far, but for the last of an event that ends as nearly all do;
    /// with a CR in it, many.
    ended: usize,
    /// The last byte was a CR, which an LF may still belong to; `Some(true)` if it ended a blank line.
    after_cr: Option<bool>,
    /// A line of the event ended with a CR and no LF: so does the blank one, which is not waited for.
    bare_cr: bool,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const MANY: usize = usize::MAX / 2;

impl Lines {
    const START: Self = Self { at_line_start: true, ended: 0, after_cr: None, bare_cr: false };

    /// The number of bytes up to the end of the event, if it is in `text`.
    fn find_end(&mut self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < text.len() {
            if let Some(blank) = self.after_cr.take() {
                if text[at] == b'\n' {
                    at += 1;
                } else {
                    self.bare_cr = true;
                }
                if blank {
                    return Some(at);
                }
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', &text[at..]).map(|offset| at + offset) else {
                self.at_line_start = false;
                return None;
            };
            if text[end..].starts_with(b"\n\n") {
                // How nearly all events end.
                let blank = self.at_line_start && end == at;
                return Some(if blank { end + 1 } else { end + 2 });
            }
            let blank = self.at_line_start && end == at;
            self.at_line_start = true;
            at = end + 1;
            self.ended += 1;
            if text[end] == b'\r' && !(blank && self.bare_cr) {
                self.ended = MANY;
                self.after_cr = Some(blank);
            } else if blank {
                return Some(at);
            }
        }
        None
    }
}

impl Splitter {
    /// A splitter that holds at most `max_event` bytes of an unfinished event.
    pub fn new(max_event: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            partial: BytesMut::new(),
            lines: Lines::START,
            begun: false,
            before_last: 0,
            max_event,
        }
    }

    /// Takes the next chunk. Events of earlier chunks have to be taken out first; what is left of
    /// them is kept all the same, at the price of a copy.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.chunk = [&self.chunk[..], &chunk].concat().into();
        }
    }

    /// The next whole event.
    ///
    /// # Errors
    /// [`EventTooLarge`] once the unfinished event is over the limit; the stream cannot go on.
    #[allow(clippy::should_implement_trait, reason = "None here means: push more")]
    pub fn next(&mut self) -> Option<Result<Bytes, EventTooLarge>> {
        if self.chunk.is_empty() {
            return None;
        }
        let Some(end) = self.lines.find_end(&self.chunk) else {
            let rest = std::mem::take(&mut self.chunk);
            if self.partial.len() + rest.len() > self.max_event {
                return Some(Err(EventTooLarge));
            }
            self.partial.extend_from_slice(&rest);
            return None;
        };
        self.before_last = self.lines.ended;
        self.lines = Lines::START;
        let event = self.chunk.split_to(end);
        if self.partial.is_empty() {
            return Some(Ok(self.begin(event)));
        }
        if self.partial.len() + event.len() > self.max_event {
            return Some(Err(EventTooLarge));
        }
        self.partial.extend_from_slice(&event);
        let event = std::mem::take(&mut self.partial).freeze();
        Some(Ok(self.begin(event)))
    }

    /// Takes the byte order mark from the first event.
    fn begin(&mut self, mut event: Bytes) -> Bytes {
        if !std::mem::replace(&mut self.begun, true) && event.starts_with(BYTE_ORDER_MARK) {
            event.advance(BYTE_ORDER_MARK.len());
        }
        event
    }

    /// As [`next`](Self::next), the event made of its text.
    pub(super) fn next_event(&mut self) -> Option<Result<Event, EventTooLarge>> {
        let text = self.next()?;
        Some(text.map(|text| Event::from_lines(text, self.before_last)))
    }

    /// What is left once the stream has ended: an event without the blank line after it.
    pub fn finish(&mut self) -> Option<Bytes> {
        self.lines = Lines::START;
        self.partial.extend_from_slice(&std::mem::take(&mut self.chunk));
        let rest = std::mem::take(&mut self.partial).freeze();
        Some(self.begin(rest)).filter(|rest| !rest.is_empty())
    }
}
