//! The elements of an array with some of their members, found in one pass.

use bytes::Bytes;

use super::{Value, scan, value::Repr};

/// An element of an array with some of its members; see [`Value::rows`].
#[derive(Debug, Clone)]
pub struct Row<const N: usize> {
    /// The element.
    pub value: Value,
    /// Its members, in the order in which their names were asked for.
    pub members: [Option<Value>; N],
}

impl Value {
    /// The elements, if this is an array, each with the members of these names: what
    /// [`Value::elements`] and [`Value::members`] give, in one pass.
    ///
    /// ```
    /// use tower_responses_core::json::Value;
    ///
    /// let tools = Value::from_text(r#"[{"type":"function","name":"run"},{"type":"web_search"},1]"#);
    /// let rows = tools.rows(["type", "name"]).unwrap();
    /// assert_eq!(rows.len(), 3);
    /// assert_eq!(rows[0].members[1].as_ref().unwrap().text(), r#""run""#);
    /// assert!(rows[1].members[1].is_none() && rows[2].members[0].is_none());
    /// assert_eq!(rows[2].value.text(), "1");
    /// ```
    pub fn rows<const N: usize>(&self, names: [&str; N]) -> Option<Vec<Row<N>>> {
        match &self.0 {
            Repr::Text(text) => rows_at(text, 0, names),
            Repr::Array(array) => {
                Some(array.iter().map(|value| Row { value: value.clone(), members: value.members(names) }).collect())
            }
            Repr::Indexed(_) | Repr::Object(_) => None,
        }
    }

    /// The [rows](Self::rows) of the member called `name`.
    pub fn member_rows<const N: usize>(&self, name: &str, names: [&str; N]) -> Option<Vec<Row<N>>> {
        match &self.0 {
            Repr::Text(text) => rows_at(text, scan::find_start(text, name)?, names),
            Repr::Indexed(object) => rows_at(&object.text().slice_ref(object.find(name)?), 0, names),
            Repr::Object(object) => object.get(name)?.rows(names),
            Repr::Array(_) => None,
        }
    }
}

fn rows_at<const N: usize>(text: &Bytes, at: usize, names: [&str; N]) -> Option<Vec<Row<N>>> {
    let value = |place| Value::from_text(text.slice(place));
    let row = |(place, members): scan::RowRange<N>| Row {
        value: value(place),
        members: members.map(|member| member.map(value)),
    };
    Some(scan::rows(text, at, names)?.into_iter().map(row).collect())
}
