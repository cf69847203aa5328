//! Opening an object while its text arrives.

use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Array, Object, SyntaxError, Value,
    indexed::{Index, Indexed},
    scan::{self, Follows, Key, MemberRange, check::check_value},
};

/// Checks the text of an object and finds its members while it arrives; of arrays of some
/// names the elements as well, and the members of these.
///
/// What has been checked is not looked at again, but for the member or element that was cut off.
#[derive(Debug)]
pub(crate) struct Opening {
    arrays: &'static [&'static str],
    members: Vec<(MemberRange, Option<Vec<Element>>)>,
    index: Index,
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
    End,
}

#[derive(Debug)]
struct OpenArray {
    key: Key,
    elements: Vec<Element>,
}

#[derive(Debug)]
struct Element {
    value: Range<usize>,
    whole: Range<usize>,
    /// Where in the index its members are.
    members: Range<u32>,
}

/// With less new text than this it is not worth while to look at it.
const LEAST: usize = 8 << 10;

impl Opening {
    /// Opens the arrays of these names too.
    pub(crate) fn new(arrays: &'static [&'static str]) -> Self {
        Self { arrays, members: Vec::new(), index: Index::default(), stage: Stage::Start, at: 0, wanted: LEAST }
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
    /// Where the text is not UTF-8, not JSON, or no object.
    pub(crate) fn finish(mut self, text: Bytes) -> Result<Object, SyntaxError> {
        self.go_on(&text);
        if !matches!(self.stage, Stage::End) || scan::skip_space(&text, self.at) != text.len() {
            return Err(SyntaxError::of(&text));
        }
        let mut object = Object::with_room(&text, self.members.len().max(16));
        let index = Arc::new(self.index);
        for (member, elements) in self.members {
            let value = text.slice(member.value.clone());
            let value = match elements {
                Some(elements) => {
                    let start = member.value.start;
                    let element = |Element { value, whole, members }| {
                        (Indexed::value(text.slice(value), &index, members), whole.start - start..whole.end - start)
                    };
                    Array::of(value, elements.into_iter().map(element)).into()
                }
                None => Value::from_text(value),
            };
            object.push_came(member, value);
        }
        Ok(object)
    }

    /// Goes on to the end of the object. `None` if it stops before, at something that is cut off or
    /// wrong: which of them shows when all has come.
    fn go_on(&mut self, text: &[u8]) -> Option<()> {
        loop {
            match &mut self.stage {
                Stage::End => return Some(()),
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
                        self.stage = Stage::Element(OpenArray { key, elements: Vec::new() });
                    } else {
                        let end = check_value(text, key.value)?;
                        self.push(key.member(text, end)?, None);
                    }
                }
                Stage::Element(array) => {
                    let value = scan::skip_space(text, self.at + 1);
                    let (value_end, members) = self.index.check(text, value)?;
                    let (end, follows) = Follows::at(text, value_end, b']')?;
                    array.elements.push(Element { value: value..value_end, whole: self.at + 1..end, members });
                    self.at = end;
                    if follows == Follows::Nothing {
                        self.at += 1;
                        self.stage = Stage::Close(array.take());
                    }
                }
                Stage::Close(array) => {
                    let member = array.key.clone().member(text, self.at)?;
                    let elements = array.take().elements;
                    self.push(member, Some(elements));
                }
            }
        }
    }

    fn push(&mut self, (member, follows): (MemberRange, Follows), elements: Option<Vec<Element>>) {
        (self.stage, self.at) = match follows {
            Follows::Another => (Stage::Member, member.whole.end),
            Follows::Nothing => (Stage::End, member.whole.end + 1),
        };
        self.members.push((member, elements));
    }
}

impl OpenArray {
    fn take(&mut self) -> Self {
        Self { key: self.key.clone(), elements: std::mem::take(&mut self.elements) }
    }
}

/// Whether this is the key of an array of such a name in which there is something.
fn opens_array(text: &[u8], key: &Key, names: &[&str]) -> Option<bool> {
    if *text.get(key.value)? != b'[' || !names.iter().any(|name| key.is(text, name)) {
        return Some(false);
    }
    Some(*text.get(scan::skip_space(text, key.value + 1))? != b']')
}
