//! The elements of an array, one after the other.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::{
    Value,
    scan::{self, Follows, Repeats},
    value::Repr,
};

/// The elements of an array that nobody opens; see [`Value::elements`].
#[derive(Debug, Clone)]
pub struct Elements(Walk);

/// The elements of an array, each with some of its members; see [`Value::rows`].
#[derive(Debug, Clone)]
pub struct Rows<'n, const N: usize> {
    walk: Walk,
    names: [&'n str; N],
}

/// An element of an array with some of its members.
#[derive(Debug, Clone)]
pub struct Row<const N: usize> {
    /// The element.
    pub value: Value,
    /// Its members, in the order in which their names were asked for.
    pub members: [Option<Value>; N],
}

/// The members of an object that nobody opens; see [`Value::entries`].
#[derive(Debug, Clone)]
pub struct Entries(Walk);

/// On the way through the text of an array or an object.
#[derive(Debug, Clone)]
struct Walk {
    text: Bytes,
    /// The separator before the next element or member, unless there is none.
    at: Option<usize>,
}

impl Walk {
    /// `None` if no array begins there in the text.
    fn at(text: Bytes, at: usize) -> Option<Self> {
        let start = scan::start(text.get(at..)?, b'[', b']')?;
        let at = if let ControlFlow::Continue(first) = start { Some(at + first) } else { None };
        Some(Self { text, at })
    }

    fn go_on(&mut self, separator: usize, follows: Follows) {
        self.at = (follows == Follows::Another).then_some(separator);
    }
}

impl Iterator for Elements {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let (value, separator, follows) = scan::element_after(&self.0.text, self.0.at.take()?)?;
        self.0.go_on(separator, follows);
        Some(Value::from_text(self.0.text.slice(value)))
    }
}

impl Entries {
    pub(super) fn of(text: Bytes) -> Option<Self> {
        let at = match scan::start(&text, b'{', b'}')? {
            ControlFlow::Continue(first) => Some(first),
            ControlFlow::Break(_) => None,
        };
        Some(Self(Walk { text, at }))
    }
}

impl Iterator for Entries {
    /// A name, which is a string, and what bears it.
    type Item = (Value, Value);

    fn next(&mut self) -> Option<(Value, Value)> {
        let text = &self.0.text;
        let key = scan::Key::after::<false>(text, self.0.at.take()?)?;
        let end = scan::skip_value(text, key.value)?;
        let (member, follows) = key.member(text, end)?;
        let shared = |place| Value::from_text(text.slice(place));
        let entry = (shared(member.key.place), shared(member.value));
        self.0.go_on(member.whole.end, follows);
        Some(entry)
    }
}

impl<const N: usize> Iterator for Rows<'_, N> {
    type Item = Row<N>;

    fn next(&mut self) -> Option<Row<N>> {
        let text = &self.walk.text;
        let ((value, members), separator, follows) = scan::row_after(text, self.walk.at.take()?, self.names)?;
        let shared = |place| Value::from_text(text.slice(place));
        let row = Row { value: shared(value), members: members.map(|member| member.map(shared)) };
        self.walk.go_on(separator, follows);
        Some(row)
    }
}

impl Value {
    /// The elements, if this is an array: walked through without opening it, and shared. An array that
    /// is open knows them already: see [`Value::as_array`] and [`Array::iter`](super::Array::iter).
    ///
    /// ```
    /// use tower_responses_core::json::Value;
    ///
    /// let parts = Value::from_text(r#"[{"type":"input_text"}, 1]"#);
    /// let kinds: Vec<_> = parts.elements().unwrap().map(|part| part.member_is("type", "input_text")).collect();
    /// assert_eq!(kinds, [true, false]);
    /// assert!(Value::from_text("{}").elements().is_none());
    /// ```
    pub fn elements(&self) -> Option<Elements> {
        if self.is_array() { Walk::at(self.text(), 0).map(Elements) } else { None }
    }

    /// The elements, if this is an array, each with the members of these names: what
    /// [`Value::elements`] and [`Value::members`] give, in one pass.
    ///
    /// ```
    /// use tower_responses_core::json::Value;
    ///
    /// let tools = Value::from_text(r#"[{"type":"function","name":"run"},{"type":"web_search"},1]"#);
    /// let rows: Vec<_> = tools.rows(["type", "name"]).unwrap().collect();
    /// assert_eq!(rows.len(), 3);
    /// assert_eq!(rows[0].members[1].as_ref().unwrap().text(), r#""run""#);
    /// assert!(rows[1].members[1].is_none() && rows[2].members[0].is_none());
    /// assert_eq!(rows[2].value.text(), "1");
    /// ```
    pub fn rows<'n, const N: usize>(&self, names: [&'n str; N]) -> Option<Rows<'n, N>> {
        if !self.is_array() {
            return None;
        }
        Some(Rows { walk: Walk::at(self.text(), 0)?, names })
    }

    /// The [rows](Self::rows) of the member called `name`.
    pub fn member_rows<'n, const N: usize>(&self, name: &str, names: [&'n str; N]) -> Option<Rows<'n, N>> {
        let walk = match &self.0 {
            Repr::Text(text) => Walk::at(text.clone(), scan::find_start(text, name, Repeats::Last)?)?,
            Repr::Unique(text) => Walk::at(text.clone(), scan::find_start(text, name, Repeats::Never)?)?,
            _ => return self.member(name)?.rows(names),
        };
        Some(Rows { walk, names })
    }
}
