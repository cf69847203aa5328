//! Lists of declarations, which are walked through: what is declared may take far more memory than
//! its text.

use std::{borrow::Cow, collections::HashSet, sync::OnceLock};

use tower_responses_core::{
    ApiError,
    json::{Row, Value},
};

use crate::schema;

/// A list of tools.
pub(crate) enum ToolList<'l> {
    /// The JSON of it, which may be anything.
    Text(Value),
    /// One that is kept to be read again and again.
    Kept(&'l [Declaration]),
}

/// A declaration, with the members that are looked at.
pub(crate) struct Declaration {
    pub(crate) value: Value,
    pub(crate) description: Option<Value>,
    /// What decides how a tool can be called.
    pub(crate) parameters: Option<Value>,
    pub(crate) format: Option<Value>,
    pub(crate) strict: Option<Value>,
    pub(super) kind: Option<Value>,
    pub(super) name: Option<Value>,
    tools: Option<Value>,
    /// Those of a namespace, if they are kept.
    members: Option<Vec<Self>>,
    execution: Option<Value>,
    pub(crate) defer_loading: Option<Value>,
    /// Whether there may be keywords in it that have to leave.
    pub(crate) may_be_private: bool,
    /// What was made of it, if it is read again.
    made: Option<OnceLock<Made>>,
}

/// A function that was made under this name and with this before its description; `None` where the
/// declaration is one.
struct Made {
    name: Box<str>,
    prefix: Option<Box<str>>,
    function: Option<Value>,
}

/// What [`Declaration`] looks at.
const MEMBERS: [&str; 9] =
    ["type", "name", "description", "parameters", "format", "strict", "tools", "execution", "defer_loading"];

/// A list is kept if it has no more declarations than these, and one for so many bytes more.
const KEPT: usize = 16;
const KEPT_BYTES_EACH: usize = 128;

impl ToolList<'_> {
    /// Shows the declarations in their order to `each`, and nothing where an element is no object.
    pub(super) fn each(
        &self,
        mut each: impl FnMut(usize, Option<&Declaration>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        match self {
            Self::Kept(list) => list.iter().enumerate().try_for_each(|(at, declaration)| each(at, Some(declaration))),
            Self::Text(list) => walk(list, schema::may_be_private(list), each),
        }
    }

    /// Whether the list holds a search that the client makes itself.
    pub(crate) fn declares_client_search(&self) -> bool {
        match self {
            Self::Kept(list) => list.iter().any(Declaration::is_client_search),
            Self::Text(list) => list.rows(["type", "execution", "parameters"]).is_some_and(|mut rows| {
                rows.any(|Row { members: [kind, execution, parameters], .. }| {
                    is_client_search(kind.as_ref(), execution.as_ref(), parameters.as_ref())
                })
            }),
        }
    }

    /// The names of the functions that stand by themselves in the list, if there is anything else in
    /// it; up to so many.
    pub(super) fn plain_names(&self, most: usize) -> HashSet<Box<str>> {
        let mut names = HashSet::new();
        let mut others = false;
        let mut take = |kind: Option<&Value>, name: Option<&Value>| {
            let name = kind.filter(|kind| **kind == *"function").and(name).and_then(Value::as_str);
            others |= name.is_none();
            names.extend(name.map(|name| name.as_ref().into()));
            names.len() < most
        };
        match self {
            Self::Kept(list) => drop(list.iter().all(|tool| take(tool.kind.as_ref(), tool.name.as_ref()))),
            Self::Text(list) => {
                let rows = list.rows(["type", "name"]).into_iter().flatten();
                let mut rows = rows.filter(|row| row.value.is_object());
                rows.all(|row| take(row.members[0].as_ref(), row.members[1].as_ref()));
            }
        }
        if others { names } else { HashSet::new() }
    }
}

/// Of a long list of tools one look tells that there is nothing private in any.
fn walk(
    list: &Value,
    may_be_private: bool,
    mut each: impl FnMut(usize, Option<&Declaration>) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    for (at, row) in list.rows(MEMBERS).into_iter().flatten().enumerate() {
        if row.value.is_object() {
            each(at, Some(&Declaration::of(row, may_be_private)))?;
        } else {
            each(at, None)?;
        }
    }
    Ok(())
}

impl Declaration {
    /// What is declared in this list, to be read again: what is made of it is remembered. `None` if
    /// that would take far more memory than the list.
    pub(crate) fn list_to_keep(tools: &Value) -> Option<Vec<Self>> {
        let may_be_private = schema::may_be_private(tools);
        let mut room = KEPT + tools.text().len() / KEPT_BYTES_EACH;
        let mut list = Self::kept(tools, may_be_private, &mut room)?;
        for declaration in &mut list {
            // Namespaces within namespaces are nobody's: no list of lists is followed down.
            if let Some(tools) = declaration.tools.take().filter(|_| declaration.is_namespace()) {
                declaration.members = Some(Self::kept(&tools, may_be_private, &mut room)?);
            }
        }
        Some(list)
    }

    fn kept(tools: &Value, may_be_private: bool, room: &mut usize) -> Option<Vec<Self>> {
        let elements = tools.elements().into_iter().flatten();
        let count = elements.filter(Value::is_object).take(*room + 1).count();
        *room = room.checked_sub(count)?;
        let mut list = Vec::with_capacity(count);
        let rows = tools.rows(MEMBERS).into_iter().flatten().filter(|row| row.value.is_object());
        list.extend(rows.map(|row| Self { made: Some(OnceLock::new()), ..Self::of(row, may_be_private) }));
        Some(list)
    }

    fn of(Row { value, members }: Row<9>, may_be_private: bool) -> Self {
        let [kind, name, description, parameters, format, strict, tools, execution, defer_loading] = members;
        Self {
            value,
            description,
            parameters,
            format,
            strict,
            kind,
            name,
            tools,
            members: None,
            execution,
            defer_loading,
            may_be_private,
            made: None,
        }
    }

    /// How many declarations these are, with those of a namespace.
    pub(crate) fn len(&self) -> usize {
        1 + self.members.as_ref().map_or(0, Vec::len)
    }

    fn is_namespace(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| *kind == *"namespace")
    }

    /// The members of a namespace.
    pub(super) fn each_member(
        &self,
        each: impl FnMut(usize, Option<&Self>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        match (&self.members, &self.tools) {
            (Some(members), _) => ToolList::Kept(members).each(each),
            (None, Some(tools)) => walk(tools, self.may_be_private, each),
            (None, None) => Ok(()),
        }
    }

    /// The function for it, made by `make` unless it was made under the same name before.
    pub(super) fn function(
        &self,
        name: &str,
        prefix: Option<&str>,
        make: impl FnOnce() -> Option<Value>,
    ) -> Option<Value> {
        let Some(kept) = &self.made else { return make() };
        if let Some(made) = kept.get() {
            return if *made.name == *name && made.prefix.as_deref() == prefix {
                made.function.clone()
            } else {
                make()
            };
        }
        let function = make();
        // Another may have been faster.
        let _ = kept.set(Made { name: name.into(), prefix: prefix.map(Into::into), function: function.clone() });
        function
    }

    /// The type.
    pub(super) fn kind(&self) -> Option<Cow<'_, str>> {
        self.kind.as_ref().and_then(Value::as_str)
    }

    pub(super) fn is_deferred(&self) -> bool {
        self.defer_loading.as_ref().and_then(Value::as_bool) == Some(true)
    }

    pub(super) fn is_client_search(&self) -> bool {
        is_client_search(self.kind.as_ref(), self.execution.as_ref(), self.parameters.as_ref())
    }
}

/// Whether this is a search that the client makes itself. Without `execution` it is one of the
/// server's, unless the client says what it takes.
fn is_client_search(kind: Option<&Value>, execution: Option<&Value>, parameters: Option<&Value>) -> bool {
    let has_parameters = parameters.is_some_and(Value::is_object);
    let is = |value: Option<&Value>, text: &str| value.is_some_and(|value| *value == *text);
    is(kind, "tool_search") && (is(execution, "client") || execution.is_none() && has_parameters)
}
