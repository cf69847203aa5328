//! Opening an object while its text arrives.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::{
    Array, Object, SyntaxError, Value,
    array::Element,
    part::{Index, Oddity},
    scan::{self, Follows, Key, MemberRange, check::check_value},
};

/// Checks the text of an object and finds its members while it arrives; of arrays of some
/// names the elements as well, and the members of these.
///
/// What has been checked is not looked at again, but for the member or element that was cut off.
#[derive(Debug)]
pub(crate) struct Opening {
    arrays: &'static [&'static str],
    /// Whether these have to hold objects.
    of_objects: bool,
    members: Vec<MemberRange>,
    /// The arrays, and which of the members each is.
    opened: Vec<(usize, OpenArray)>,
    stage: Stage,
    /// The separator behind which to go on, or the end of what has ended.
    at: usize,
    /// Of less text than this nothing new can be expected.
    wanted: usize,
}

#[derive(Debug)]
enum Stage {
    Start,
    Member,
    Element(OpenArray),
    /// All elements were found; what follows the array was not.
    Close(OpenArray),
    /// There are more members than are opened.
    Dense,
    End,
}

#[derive(Debug)]
struct OpenArray {
    key: Key,
    index: Index,
    elements: Vec<Element>,
    /// Which elements have a name twice.
    repeats: Vec<usize>,
    /// The first element that is not taken. Those after it are checked, and not kept.
    refused: Option<Refused>,
}

/// An element that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Where it stands in the array.
    pub(crate) index: usize,
    pub(crate) why: Refusal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no object, and begins with this byte.
    NoObject(u8),
    /// It has far more members than anybody writes.
    Dense,
    /// There are far more elements before it than anybody sends.
    TooMany,
}

/// Why an object is not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotOpened {
    Syntax(SyntaxError),
    /// It has far more members than anybody writes.
    Dense,
    /// An array of this name holds something else than objects.
    Element(&'static str, Refused),
}

/// How many elements are opened, whatever their size, and of how many bytes each more one has to be:
/// what is kept of one takes more than its text.
const MANY: usize = 512;
const BYTES_EACH: usize = 24;

/// With less new text than this it is not worth while to look at it.
const LEAST: usize = 8 << 10;

impl Opening {
    /// Opens the arrays of these names too, where they hold nothing but objects; `of_objects` refuses
    /// any others.
    pub(crate) fn new(arrays: &'static [&'static str], of_objects: bool) -> Self {
        Self { arrays, of_objects, members: Vec::new(), opened: Vec::new(), stage: Stage::Start, at: 0, wanted: LEAST }
    }

    /// Looks at what has come of the text so far.
    pub(crate) fn look(&mut self, text: &[u8]) {
        if text.len() >= self.wanted {
            self.look_at(text);
        }
    }

    pub(super) fn look_at(&mut self, text: &[u8]) {
        self.go_on(text);
        // What is cut off again and again is not looked at again and again.
        self.wanted = text.len() + (text.len() - self.at).max(LEAST);
    }

    /// The object that is `text`, all of which has come.
    ///
    /// # Errors
    /// Where the text is not UTF-8, not JSON, or no object, and where it holds what is not taken.
    pub(crate) fn finish(mut self, text: Bytes) -> Result<Object, NotOpened> {
        self.go_on(&text);
        match self.stage {
            Stage::End if scan::skip_space(&text, self.at) == text.len() => {}
            Stage::Dense if scan::is_value(&text) => return Err(NotOpened::Dense),
            _ => return Err(NotOpened::Syntax(SyntaxError::of(&text))),
        }
        if self.of_objects
            && let Some((name, refused)) = self.refused(&text)
        {
            return Err(NotOpened::Element(name, refused));
        }
        let mut object = Object::with_room(&text, self.members.len().max(16));
        let mut opened = self.opened.into_iter().peekable();
        for (at, member) in self.members.into_iter().enumerate() {
            let value = text.slice(member.value.clone());
            let value = match opened.next_if(|(member, _)| *member == at) {
                Some((_, array)) if array.refused.is_none() => array.close(value).into(),
                _ => Value::from_text(value),
            };
            object.push_came(member, value);
        }
        object.keep_last();
        Ok(object)
    }

    /// The first element that is not taken, in an array that counts.
    fn refused(&self, text: &[u8]) -> Option<(&'static str, Refused)> {
        self.opened.iter().find_map(|(at, array)| {
            let refused = array.refused?;
            let name = self.arrays.iter().find(|name| array.key.is(text, name))?;
            let is_last = !self.members[at + 1..].iter().any(|later| later.key.is(text, name));
            is_last.then_some((*name, refused))
        })
    }

    /// Goes on to the end of the object. `None` if it stops before, at something that is cut off or
    /// wrong: which of them shows when all has come.
    fn go_on(&mut self, text: &[u8]) -> Option<()> {
        loop {
            match &mut self.stage {
                Stage::End | Stage::Dense => return Some(()),
                Stage::Start => {
                    (self.stage, self.at) = match scan::start(text, b'{', b'}')? {
                        ControlFlow::Break(end) => (Stage::End, end),
                        ControlFlow::Continue(at) => (Stage::Member, at),
                    }
                }
                Stage::Member => {
                    let key = Key::after::<true>(text, self.at)?;
                    if opens_array(text, &key, self.arrays)? {
                        self.at = key.value;
                        self.stage = Stage::Element(OpenArray::new(key));
                    } else {
                        let end = check_value(text, key.value)?;
                        self.push(key.member(text, end)?);
                    }
                }
                Stage::Element(array) => {
                    let (end, follows) = array.element(text, self.at)?;
                    self.at = end;
                    if follows == Follows::Nothing {
                        self.at += 1;
                        if let Stage::Element(array) = std::mem::replace(&mut self.stage, Stage::Start) {
                            self.stage = Stage::Close(array);
                        }
                    }
                }
                Stage::Close(array) => {
                    let member = array.key.clone().member(text, self.at)?;
                    if let Stage::Close(array) = std::mem::replace(&mut self.stage, Stage::Start) {
                        self.opened.push((self.members.len(), array));
                    }
                    self.push(member);
                }
            }
        }
    }

    fn push(&mut self, (member, follows): (MemberRange, Follows)) {
        let end = member.whole.end;
        (self.stage, self.at) = match follows {
            Follows::Another if Object::is_dense(self.members.len(), end) => (Stage::Dense, end),
            Follows::Another => (Stage::Member, end),
            Follows::Nothing => (Stage::End, end + 1),
        };
        self.members.push(member);
    }
}

impl OpenArray {
    fn new(key: Key) -> Self {
        Self { key, index: Index::default(), elements: Vec::new(), repeats: Vec::new(), refused: None }
    }

    /// Takes the element behind the separator at `at`, and gives the separator behind it.
    fn element(&mut self, text: &[u8], at: usize) -> Option<(usize, Follows)> {
        let value = scan::skip_space(text, at + 1);
        if self.refused.is_some() {
            return Follows::at(text, check_value(text, value)?, b']');
        }
        let checked = self.index.check(text, self.key.value, value)?;
        let follows = Follows::at(text, self.key.value + checked.spot.end as usize, b']')?;
        let end = checked.spot.end as usize;
        let refused = match checked.oddity {
            _ if self.elements.len() >= MANY + end / BYTES_EACH => Some(Refusal::TooMany),
            None => None,
            Some(Oddity::Repeats) => {
                self.repeats.push(self.elements.len());
                None
            }
            Some(Oddity::NoObject(first)) => Some(Refusal::NoObject(first)),
            Some(Oddity::Dense) => Some(Refusal::Dense),
        };
        if let Some(why) = refused {
            self.refused = Some(Refused { index: self.elements.len(), why });
            (self.elements, self.index, self.repeats) = Default::default();
        } else {
            self.elements.push(Element::Came(checked.spot));
        }
        Some(follows)
    }

    /// The array that is `text`.
    fn close(self, text: Bytes) -> Array {
        let mut array = Array::of(text, self.elements, self.index);
        if !self.repeats.is_empty() {
            array.make_unique(&self.repeats);
        }
        array
    }
}

/// Whether this is the key of an array of such a name in which there is something.
fn opens_array(text: &[u8], key: &Key, names: &[&str]) -> Option<bool> {
    if *text.get(key.value)? != b'[' || !names.iter().any(|name| key.is(text, name)) {
        return Some(false);
    }
    Some(*text.get(scan::skip_space(text, key.value + 1))? != b']')
}
