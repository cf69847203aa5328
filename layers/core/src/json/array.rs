use std::ops::Range;

use bytes::Bytes;

use super::{
    Object, Value,
    scan::{self, Follows},
    value::to_text,
    write::{Measure, Pieces, Sink},
};

/// A JSON array, opened one level deep. Elements that nobody touches are written as they came.
#[derive(Debug, Clone, Default)]
pub struct Array {
    source: Bytes,
    elements: Vec<Element>,
    changed: bool,
}

#[derive(Debug, Clone)]
struct Element {
    value: Value,
    place: Option<Range<usize>>,
}

/// An object that is opened takes far more memory than its text.
const OPENED: usize = 16;

impl Element {
    fn new(value: Value) -> Self {
        Self { value, place: None }
    }
}

impl Array {
    /// `[]`.
    pub fn new() -> Self {
        Self { source: Bytes::from_static(b"[]"), ..Self::default() }
    }

    /// Opens text that is known to be JSON; `None` if no array can be made out.
    pub fn split(text: Bytes) -> Option<Self> {
        let elements = scan::elements(&text)?;
        let element = |range: scan::ElementRange| (Value::from_text(text.slice(range.value)), range.whole);
        Some(Self::of(text.clone(), elements.into_iter().map(element)))
    }

    /// The array that is `text`, with its elements and where each stands, from separator to separator.
    pub(super) fn of(text: Bytes, elements: impl Iterator<Item = (Value, Range<usize>)>) -> Self {
        let elements = elements.map(|(value, place)| Element { value, place: Some(place) }).collect();
        Self { source: text, elements, changed: false }
    }

    /// Checks the array that begins at `at` in the text, and opens the first objects in it. Also says
    /// where it ends.
    pub(super) fn check_at(text: &Bytes, at: usize) -> Option<(Self, usize)> {
        let start = at;
        let array = |end: usize, elements| Self { source: text.slice(start..end), elements, changed: false };
        let first = scan::skip_space(text, start + 1);
        if *text.get(first)? == b']' {
            return Some((array(first + 1, Vec::new()), first + 1));
        }
        let (mut at, mut elements) = (start, Vec::new());
        loop {
            let place = scan::skip_space(text, at + 1);
            let (value, end) = if elements.len() < OPENED && text.get(place) == Some(&b'{') {
                let (object, end) = Object::split_at::<true>(text, place, 12)?;
                (object.into(), end)
            } else {
                Value::at::<true>(text, place)?
            };
            let (end, follows) = Follows::at(text, end, b']')?;
            elements.push(Element { value, place: Some(at + 1 - start..end - start) });
            at = end;
            if follows == Follows::Nothing {
                return Some((array(end + 1, elements), end + 1));
            }
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<&Value> {
        self.elements.get(index).map(|element| &element.value)
    }

    /// The elements, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.elements.iter().map(|element| &element.value)
    }

    /// The elements, to be opened and changed. Replace one with [`Array::map`].
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Value> + ExactSizeIterator {
        self.elements.iter_mut().map(|element| &mut element.value)
    }

    /// Puts `value` at the end.
    pub fn push(&mut self, value: impl Into<Value>) {
        self.changed = true;
        self.elements.push(Element::new(value.into()));
    }

    /// Asks of each element what is to stand in its place.
    pub fn map(&mut self, mut edit: impl FnMut(&mut Value) -> Edit) {
        // Elements are moved only if their number changes.
        let mut others: Vec<(usize, Vec<Value>)> = Vec::new();
        for (at, element) in self.elements.iter_mut().enumerate() {
            match edit(&mut element.value) {
                Edit::Keep => continue,
                Edit::With(value) => *element = Element::new(value),
                Edit::Replace(values) => others.push((at, values)),
            }
            self.changed = true;
        }
        if others.is_empty() {
            return;
        }
        let mut others = others.into_iter().peekable();
        for (at, element) in std::mem::take(&mut self.elements).into_iter().enumerate() {
            match others.next_if(|(other, _)| *other == at) {
                Some((_, values)) => self.elements.extend(values.into_iter().map(Element::new)),
                None => self.elements.push(element),
            }
        }
    }

    /// The text of the array: what it was opened from, unless something has changed.
    pub fn text(&self) -> Bytes {
        if !self.is_changed() {
            return self.source.clone();
        }
        let mut measure = Measure::default();
        self.write(&mut measure);
        to_text(measure.length, |text| self.write(text))
    }

    pub(super) fn is_changed(&self) -> bool {
        self.changed || self.elements.iter().any(|element| element.value.is_changed())
    }

    pub(super) fn write(&self, sink: &mut impl Sink) {
        if !self.is_changed() {
            return sink.text(&self.source);
        }
        sink.byte(b'[');
        let mut pieces = Pieces::new(&self.source);
        for element in &self.elements {
            match &element.place {
                Some(place) if !element.value.is_changed() => pieces.kept(place.clone(), sink),
                _ => {
                    pieces.separate(sink);
                    element.value.write(sink);
                }
            }
        }
        pieces.flush(sink);
        sink.byte(b']');
    }
}

/// What [`Array::map`] does with an element.
#[derive(Debug)]
pub enum Edit {
    /// It stays, with what was changed inside it.
    Keep,
    /// This one stands in its place.
    With(Value),
    /// These stand in its place: none removes it.
    Replace(Vec<Value>),
}

impl Edit {
    /// One value stands in the element's place.
    pub fn with(value: impl Into<Value>) -> Self {
        Self::With(value.into())
    }

    /// Nothing stands in the element's place.
    pub const fn remove() -> Self {
        Self::Replace(Vec::new())
    }
}

impl FromIterator<Value> for Array {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let elements: Vec<_> = values.into_iter().map(Element::new).collect();
        Self { source: Bytes::from_static(b"[]"), changed: !elements.is_empty(), elements }
    }
}
