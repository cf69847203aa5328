use std::borrow::Cow;

use crate::StringDecoder;

#[cfg(test)]
mod tests;

/// The member that carries the free text of a custom call through a function's arguments.
const INPUT: &str = "input";

/// What JSON takes for space.
const SPACE: [char; 4] = [' ', '\n', '\r', '\t'];

/// More space than this before the first character is taken for text.
const MAX_SPACE: usize = 4096;

/// Reads the free text of a custom call out of the function arguments that carry it,
/// `{"input":"…"}`, piece by piece.
///
/// Members before and after `input`, their order and the space between them make no difference.
/// The first `input` that is a string counts. Text that does not begin like JSON is the input
/// itself. Where it cannot be known before the end, nothing is given: [`decode_input`] then says
/// what the whole is. What this gives is always the beginning of that, unless the arguments turn
/// out to be broken.
///
/// ```
/// use tower_responses_call_restore::InputDecoder;
///
/// let mut decoder = InputDecoder::default();
/// let mut input = String::new();
/// for piece in ["{\"inp", "ut\": \"*** Beg", "in\\", "nPatch", "\"}"] {
///     decoder.push(piece, &mut input);
/// }
/// assert_eq!(input, "*** Begin\nPatch");
/// ```
#[derive(Debug, Clone, Default)]
pub struct InputDecoder {
    state: State,
    /// What may turn out to be the beginning of free text.
    space: String,
    string: StringDecoder,
    key: String,
    found: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// Not JSON: the text itself.
    Text,
    /// A JSON string, perhaps.
    Bare,
    KeyOrEnd,
    Key,
    Colon,
    Value,
    Input,
    OtherString,
    Nested {
        depth: usize,
        quoted: Quoted,
    },
    Scalar,
    CommaOrEnd,
    Closed,
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    No,
    Yes,
    Escape,
}

impl InputDecoder {
    /// Takes the next piece of the arguments, and appends to `input` what has become known of it.
    pub fn push(&mut self, arguments: &str, input: &mut String) {
        let mut rest = arguments;
        while !rest.is_empty() {
            let taken = self.step(rest, input);
            rest = &rest[taken..];
        }
    }

    /// Takes some of `rest`, and gives the number of bytes that were taken.
    fn step(&mut self, rest: &str, input: &mut String) -> usize {
        match self.state {
            State::Start => self.start(rest, input),
            State::Text => {
                input.push_str(rest);
                rest.len()
            }
            State::Bare | State::Broken => rest.len(),
            State::Input => self.string.push(rest, input).map_or(rest.len(), |taken| {
                self.found = true;
                self.state = State::CommaOrEnd;
                taken
            }),
            State::Key => self.key(rest),
            State::OtherString => self.string.push(rest, &mut String::new()).map_or(rest.len(), |taken| {
                self.state = State::CommaOrEnd;
                taken
            }),
            State::Nested { depth, quoted } => self.nested(rest, depth, quoted),
            State::Scalar => {
                let end = rest.find([',', '}', ' ', '\n', '\r', '\t']);
                if end.is_some() {
                    self.state = State::CommaOrEnd;
                }
                end.unwrap_or(rest.len())
            }
            State::KeyOrEnd | State::Colon | State::Value | State::CommaOrEnd | State::Closed => self.structure(rest),
        }
    }

    fn start(&mut self, rest: &str, input: &mut String) -> usize {
        let space = space(rest);
        self.space.push_str(&rest[..space]);
        self.state = match rest.as_bytes().get(space) {
            None if self.space.len() <= MAX_SPACE => return space,
            Some(b'{') => State::KeyOrEnd,
            Some(b'"') => State::Bare,
            _ => {
                input.push_str(&std::mem::take(&mut self.space));
                self.state = State::Text;
                return space;
            }
        };
        space + 1
    }

    fn structure(&mut self, rest: &str) -> usize {
        let space = space(rest);
        let Some(byte) = rest.as_bytes().get(space) else { return space };
        self.state = match (self.state, byte) {
            (State::KeyOrEnd, b'"') => {
                self.key.clear();
                State::Key
            }
            (State::KeyOrEnd | State::CommaOrEnd, b'}') => State::Closed,
            (State::Colon, b':') => State::Value,
            (State::CommaOrEnd, b',') => State::KeyOrEnd,
            (State::Value, b'"') if self.key == INPUT && !self.found => State::Input,
            (State::Value, b'"') => State::OtherString,
            (State::Value, b'{' | b'[') => State::Nested { depth: 1, quoted: Quoted::No },
            (State::Value, b',' | b'}') => State::Broken,
            (State::Value, _) => {
                self.state = State::Scalar;
                return space;
            }
            _ => {
                self.state = State::Broken;
                return rest.len();
            }
        };
        space + 1
    }

    fn key(&mut self, rest: &str) -> usize {
        let end = self.string.push(rest, &mut self.key);
        if self.key.len() > INPUT.len() {
            // Some other key: only that it is another is kept of it.
            self.key.clear();
            self.key.push('-');
        }
        if end.is_some() {
            self.state = State::Colon;
        }
        end.unwrap_or(rest.len())
    }

    fn nested(&mut self, rest: &str, mut depth: usize, mut quoted: Quoted) -> usize {
        for (at, byte) in rest.bytes().enumerate() {
            match (quoted, byte) {
                (Quoted::Yes, b'\\') => quoted = Quoted::Escape,
                (Quoted::Escape, _) => quoted = Quoted::Yes,
                (Quoted::Yes, b'"') => quoted = Quoted::No,
                (Quoted::No, b'"') => quoted = Quoted::Yes,
                (Quoted::No, b'{' | b'[') => depth += 1,
                (Quoted::No, b'}' | b']') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.state = State::CommaOrEnd;
                return at + 1;
            }
        }
        self.state = State::Nested { depth, quoted };
        rest.len()
    }
}

fn space(text: &str) -> usize {
    text.len() - text.trim_start_matches(SPACE).len()
}

/// The input of a custom call, and how its arguments carried it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input<'a> {
    /// The free text.
    pub text: Cow<'a, str>,
    /// Where it was found.
    pub form: InputForm,
}

/// How the arguments of a function carried the input of a custom call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputForm {
    /// As they were asked to: `{"input":"…"}`.
    Object,
    /// As a JSON string.
    BareString,
    /// As the text itself; also where the arguments are broken JSON, so that no part of them is
    /// taken for the whole.
    Text,
}

impl Input<'_> {
    /// What `decoder`, which was given the same arguments and has given `sent` bytes of the input,
    /// has not given of it. `None` if the arguments are broken: what was given is then no part of
    /// the input.
    pub fn rest_after(&self, decoder: &InputDecoder, sent: usize) -> Option<&str> {
        match (self.form, decoder.state) {
            (InputForm::Text, State::Text | State::Start | State::Closed) => self.text.get(sent..),
            (InputForm::Text, _) => None,
            _ => self.text.get(sent..),
        }
    }
}

impl InputForm {
    /// The value of a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::BareString => "bare_string",
            Self::Text => "text",
        }
    }
}

/// The input of a custom call, from its whole arguments.
///
/// ```
/// use tower_responses_call_restore::{InputForm, decode_input};
///
/// assert_eq!(decode_input(r#"{ "why": [1], "input": "a\u00e9" }"#).text, "aé");
/// assert_eq!(decode_input(r#""ls -l""#).text, "ls -l");
/// assert_eq!(decode_input("*** Begin Patch").text, "*** Begin Patch");
/// // Half of a command is not a command.
/// let input = decode_input(r#"{"input":"rm -rf "/tmp/x""}"#);
/// assert_eq!((&*input.text, input.form), (r#"{"input":"rm -rf "/tmp/x""}"#, InputForm::Text));
/// ```
pub fn decode_input(arguments: &str) -> Input<'_> {
    let mut decoder = InputDecoder::default();
    let mut text = String::new();
    decoder.push(arguments, &mut text);
    let decoded = match decoder.state {
        State::Closed if decoder.found => Some((text, InputForm::Object)),
        State::Bare => unquote(arguments).map(|text| (text, InputForm::BareString)),
        _ => None,
    };
    match decoded {
        Some((text, form)) => Input { text: text.into(), form },
        None => Input { text: arguments.into(), form: InputForm::Text },
    }
}

/// What there is of the input of a custom call whose arguments were cut; `None` if they were not
/// cut within it. Not to be run.
pub fn decode_cut_input(arguments: &str) -> Option<String> {
    let mut decoder = InputDecoder::default();
    let mut text = String::new();
    decoder.push(arguments, &mut text);
    (decoder.state == State::Input).then_some(text)
}

/// What the JSON string that is all of `text` says.
pub(crate) fn unquote(text: &str) -> Option<String> {
    let inside = text.trim_matches(SPACE).strip_prefix('"')?;
    let mut decoded = String::with_capacity(inside.len());
    let end = StringDecoder::default().push(inside, &mut decoded)?;
    (end == inside.len()).then_some(decoded)
}
