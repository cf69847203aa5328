//! What stands in the place of an element.

use super::{Value, array::Element};

/// Elements that are moved only as far as their number has changed.
#[derive(Default)]
pub(super) struct Kept {
    /// How many stand at their places.
    count: usize,
    /// All of them, once they have become too many for the places before the next.
    grown: Option<Vec<Element>>,
}

impl Kept {
    /// There are `more` to come in place of the one at `at`.
    pub(super) fn make_room(&mut self, elements: &[Element], at: usize, more: usize) {
        if self.grown.is_none() && self.count + more > at + 1 {
            self.grown = Some(elements[..self.count].to_vec());
        }
    }

    pub(super) fn push(&mut self, elements: &mut [Element], at: usize, element: Element) {
        match &mut self.grown {
            Some(grown) => grown.push(element),
            None => {
                debug_assert!(self.count <= at, "there is room");
                elements[self.count] = element;
                self.count += 1;
            }
        }
    }

    pub(super) fn finish(self, elements: &mut Vec<Element>) {
        match self.grown {
            Some(grown) => *elements = grown,
            None => elements.truncate(self.count),
        }
    }
}

/// What [`Array::map`](super::Array::map) does with an element.
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
