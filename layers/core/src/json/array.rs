use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use super::{
    Edit, Object, Value,
    edit::Kept,
    part::{Index, Part, Spot},
    scan::{self, Follows},
    unique,
    value::{Repr, to_text},
    write::{Measure, Pieces, Sink},
};

/// A JSON array, opened one level deep. Elements that nobody touches are written as they came.
///
/// An element is text in its place until it is changed: that takes 16 bytes, and 16 for each member
/// of one that was indexed as its request was read. So elements are shown one after the other, and
/// no references to them are given out.
#[derive(Debug, Default)]
pub struct Array {
    source: Bytes,
    index: Option<Arc<Index>>,
    elements: Vec<Element>,
    /// Elements that are not, or not only, text in its place.
    ours: Vec<Value>,
    /// What elements are shown in.
    shown: Option<Value>,
    changed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Element {
    /// Text in its place.
    Came(Spot),
    /// Opened, and text in its place unless something has changed.
    Opened { start: u32, end: u32, ours: u32 },
    /// One that did not come with the text.
    New { ours: u32 },
}

/// An object that is opened takes far more memory than its text.
const OPENED: usize = 16;

impl Array {
    /// `[]`.
    pub fn new() -> Self {
        Self { source: Bytes::from_static(b"[]"), ..Self::default() }
    }

    /// Opens text that is known to be JSON; `None` if no array can be made out, or if it is longer
    /// than 4 GiB.
    pub fn split(text: Bytes) -> Option<Self> {
        let mut array = Self { source: text, ..Self::default() };
        let ControlFlow::Continue(mut at) = scan::start(&array.source, b'[', b']')? else { return Some(array) };
        loop {
            let (value, end, follows) = scan::element_after(&array.source, at)?;
            array.elements.push(Element::Came(Spot::new(value)?));
            if follows == Follows::Nothing {
                return Some(array);
            }
            at = end;
        }
    }

    /// The array that is `text`, of whose elements is known where they stand.
    pub(super) fn of(text: Bytes, elements: Vec<Element>, index: Index) -> Self {
        Self { source: text, elements, index: Some(Arc::new(index)), ..Self::default() }
    }

    /// Puts objects in which each name stands once in the place of these, of which each has one twice.
    pub(super) fn make_unique(&mut self, repeats: &[usize]) {
        let mut text = Vec::new();
        let places: Vec<_> = repeats
            .iter()
            .map(|at| {
                let start = text.len();
                if let Some(object) = self.get(*at) {
                    unique::write(&object.text(), &mut text);
                }
                start..text.len()
            })
            .collect();
        let text = Bytes::from(text);
        for (at, place) in repeats.iter().zip(places) {
            self.elements[*at] = self.new_element(Value::from_unique(text.slice(place)));
        }
    }

    /// Checks the array that begins at `at` in the text, and opens the first objects in it. Also says
    /// where it ends.
    pub(super) fn check_at(text: &Bytes, at: usize) -> Option<(Self, usize)> {
        let start = at;
        let mut array = Self::default();
        let first = scan::skip_space(text, start + 1);
        let mut end = first;
        if *text.get(first)? != b']' {
            let mut at = start;
            loop {
                let place = scan::skip_space(text, at + 1);
                let (element, value_end) = if array.elements.len() < OPENED && text.get(place) == Some(&b'{') {
                    let (object, value_end) = Object::split_at::<true>(text, place, 12)?;
                    (array.opened(Spot::new(place - start..value_end - start)?, object.into()), value_end)
                } else {
                    let value_end = scan::check::check_value(text, place)?;
                    (Element::Came(Spot::new(place - start..value_end - start)?), value_end)
                };
                let (separator, follows) = Follows::at(text, value_end, b']')?;
                array.elements.push(element);
                at = separator;
                if follows == Follows::Nothing {
                    break;
                }
            }
            end = at;
        }
        array.source = text.slice(start..end + 1);
        Some((array, end + 1))
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The element at `index`, shared.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.elements.get(index).map(|element| self.value(*element))
    }

    /// The element at `index`, to be opened and changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Value> {
        let ours = match *self.elements.get(index)? {
            Element::Came(spot) => {
                let value = Value::from_text(self.source.slice(spot.range()));
                let opened = self.opened(spot, value);
                self.elements[index] = opened;
                self.ours.len() - 1
            }
            Element::Opened { ours, .. } | Element::New { ours } => ours as usize,
        };
        self.ours.get_mut(ours)
    }

    /// The elements, in order, shared.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator {
        self.elements.iter().map(|element| self.value(*element))
    }

    /// Shows the elements in their order to `each`, up to the first of which it gives something.
    ///
    /// ```
    /// use tower_responses_core::json::{Array, Value};
    ///
    /// let mut input = Array::split(r#"[{"id":"a"},{"id":"b","type":"x"}]"#.into()).unwrap();
    /// let kind = input.find_map(|item| item.member_str("type").map(|kind| kind.into_owned()));
    /// assert_eq!(kind.as_deref(), Some("x"));
    /// ```
    pub fn find_map<T>(&mut self, mut each: impl FnMut(&Value) -> Option<T>) -> Option<T> {
        let mut shown = self.shown.take();
        let found = self.elements.iter().find_map(|element| match *element {
            Element::Came(spot) => each(self.show(&mut shown, spot)),
            Element::Opened { ours, .. } | Element::New { ours } => each(&self.ours[ours as usize]),
        });
        self.shown = shown;
        found
    }

    /// Whether `is` says so of some element.
    pub fn any(&mut self, mut is: impl FnMut(&Value) -> bool) -> bool {
        self.find_map(|value| is(value).then_some(())).is_some()
    }

    /// Shows the elements in their order to `each`.
    pub fn for_each(&mut self, mut each: impl FnMut(&Value)) {
        self.find_map(|value| {
            each(value);
            None::<()>
        });
    }

    /// Shows the elements to `change`, which may open and change them. What is opened stays so, and
    /// takes far more memory than its text: for arrays that are known to be short. For others there
    /// is [`Array::map`].
    pub fn for_each_mut(&mut self, mut change: impl FnMut(usize, &mut Value)) {
        for at in 0..self.elements.len() {
            if let Some(value) = self.get_mut(at) {
                change(at, value);
            }
        }
    }

    /// Puts `value` at the end.
    pub fn push(&mut self, value: impl Into<Value>) {
        let element = self.new_element(value.into());
        self.elements.push(element);
    }

    /// Asks of each element what is to stand in its place. An element that was changed is text again
    /// afterwards.
    pub fn map(&mut self, mut edit: impl FnMut(&mut Value) -> Edit) {
        let mut shown = self.shown.take();
        let mut kept = Kept::default();
        for at in 0..self.elements.len() {
            let element = self.elements[at];
            let edit = match element {
                Element::Came(spot) => {
                    let value = self.show(&mut shown, spot);
                    match edit(value) {
                        Edit::Keep if value.is_part(&self.source, spot) => None,
                        Edit::Keep => shown.take().and_then(|value| self.changed_to(value, spot)),
                        other => Some(other),
                    }
                }
                Element::Opened { ours, .. } | Element::New { ours } => match edit(&mut self.ours[ours as usize]) {
                    Edit::Keep => self.closed(element, ours),
                    other => Some(other),
                },
            };
            match edit {
                None | Some(Edit::Keep) => kept.push(&mut self.elements, at, element),
                Some(Edit::With(value)) => {
                    let element = self.new_element(value);
                    kept.push(&mut self.elements, at, element);
                }
                Some(Edit::Replace(values)) => {
                    self.changed = true;
                    kept.make_room(&self.elements, at, values.len());
                    for value in values {
                        let element = self.new_element(value);
                        kept.push(&mut self.elements, at, element);
                    }
                }
            }
        }
        kept.finish(&mut self.elements);
        self.shown = shown;
    }

    /// What was made of the element there, if that is something else.
    fn changed_to(&self, value: Value, spot: Spot) -> Option<Edit> {
        let text = value.text();
        let is_same = self.source[spot.range()].as_ptr() == text.as_ptr() && spot.range().len() == text.len();
        (!is_same).then_some(Edit::With(value))
    }

    /// What an element of ours has become, if it has changed.
    fn closed(&mut self, element: Element, ours: u32) -> Option<Edit> {
        let value = &mut self.ours[ours as usize];
        match element {
            Element::New { .. } => {
                value.close();
                None
            }
            _ if value.is_changed() => Some(Edit::With(std::mem::replace(value, Value::null()))),
            _ => None,
        }
    }

    /// The element as a value, in the place for it.
    fn show<'v>(&self, shown: &'v mut Option<Value>, spot: Spot) -> &'v mut Value {
        if let Some(Value(Repr::Part(part))) = shown {
            part.show(spot);
        } else {
            let index = self.index.clone().unwrap_or_default();
            *shown = Some(Value(Repr::Part(Box::new(Part::new(self.source.clone(), index, spot)))));
        }
        shown.get_or_insert_with(Value::null)
    }

    fn value(&self, element: Element) -> Value {
        match element {
            Element::Came(spot) if spot.is_known() => Value::from_unique(self.source.slice(spot.range())),
            Element::Came(spot) => Value::from_text(self.source.slice(spot.range())),
            Element::Opened { ours, .. } | Element::New { ours } => self.ours[ours as usize].clone(),
        }
    }

    fn opened(&mut self, spot: Spot, value: Value) -> Element {
        self.ours.push(value);
        Element::Opened { start: spot.start, end: spot.end, ours: self.last_of_ours() }
    }

    fn new_element(&mut self, mut value: Value) -> Element {
        if !self.changed {
            // Where one changes many do, and to grow takes more than what there is in the end.
            self.ours.reserve_exact(self.elements.len() + 1);
            self.changed = true;
        }
        value.close();
        self.ours.push(value);
        Element::New { ours: self.last_of_ours() }
    }

    #[allow(clippy::cast_possible_truncation, reason = "no memory holds 4,294,967,296 values")]
    fn last_of_ours(&self) -> u32 {
        (self.ours.len() - 1) as u32
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
        self.changed || self.ours.iter().any(Value::is_changed)
    }

    pub(super) fn write(&self, sink: &mut impl Sink) {
        if !self.is_changed() {
            return sink.text(&self.source);
        }
        sink.byte(b'[');
        let mut pieces = Pieces::new(&self.source);
        for element in &self.elements {
            let (ours, came) = match *element {
                Element::Came(spot) => (None, Some(spot.range())),
                Element::Opened { start, end, ours } => (Some(ours), Some(start as usize..end as usize)),
                Element::New { ours } => (Some(ours), None),
            };
            let ours = ours.map(|ours| &self.ours[ours as usize]);
            match (came, ours) {
                (Some(came), ours) if !ours.is_some_and(Value::is_changed) => {
                    pieces.kept(scan::with_space(&self.source, came), sink);
                }
                (_, ours) => {
                    pieces.separate(sink);
                    if let Some(value) = ours {
                        value.write(sink);
                    }
                }
            }
        }
        pieces.flush(sink);
        sink.byte(b']');
    }
}

impl Clone for Array {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            index: self.index.clone(),
            elements: self.elements.clone(),
            ours: self.ours.clone(),
            shown: None,
            changed: self.changed,
        }
    }
}

impl FromIterator<Value> for Array {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let mut array = Self::new();
        let values = values.into_iter();
        array.elements.reserve(values.size_hint().0);
        array.ours.reserve(values.size_hint().0);
        values.for_each(|value| array.push(value));
        array
    }
}
