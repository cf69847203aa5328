//! Reading declarations.

use std::{borrow::Cow, sync::OnceLock};

use tower_responses_core::{
    ApiError, ClientTool, ToolKind,
    json::{Row, Value},
};

use super::{Catalog, Shown};
use crate::schema;

/// Where a list of tools stands in the request.
#[derive(Clone, Copy)]
pub(crate) enum Place<'p> {
    /// The member `tools`.
    Tools,
    /// The item of `input` at this index, of type `additional_tools`.
    Item(usize),
    /// What a search has found.
    Found,
    /// The element at this index of a list.
    At(&'p Place<'p>, usize),
}

impl Place<'_> {
    pub(super) fn is_found(&self) -> bool {
        match self {
            Self::Found => true,
            Self::At(list, _) => list.is_found(),
            Self::Tools | Self::Item(_) => false,
        }
    }

    /// The path of what stands there.
    pub(super) fn param(&self) -> String {
        match self {
            Self::Tools => "tools".to_owned(),
            Self::Item(item) => format!("input[{item}].tools"),
            Self::Found => "input".to_owned(),
            Self::At(Place::At(_, _), index) => format!("{}.tools[{index}]", self.list().param()),
            Self::At(list, index) => format!("{}[{index}]", list.param()),
        }
    }

    fn list(&self) -> &Place<'_> {
        match self {
            Self::At(list, _) => list,
            other => other,
        }
    }
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
    /// Those of a namespace.
    members: Vec<Self>,
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

impl Declaration {
    /// What is declared in this list; nothing if it is none.
    pub(crate) fn list(tools: &Value) -> Vec<Self> {
        Self::of_rows(tools.rows(MEMBERS), schema::may_be_private(tools))
    }

    /// The same of a list that will be read again: what is made of it is remembered.
    pub(crate) fn list_to_keep(tools: &Value) -> Vec<Self> {
        let mut list = Self::list(tools);
        for declaration in &mut list {
            declaration.keep();
            declaration.members.iter_mut().for_each(Self::keep);
        }
        list
    }

    /// What is declared in the member `tools` of this object.
    pub(crate) fn list_in(object: &Value) -> Vec<Self> {
        Self::of_rows(object.member_rows("tools", MEMBERS), schema::may_be_private(object))
    }

    /// Of a long list of tools one look tells that there is nothing private in any.
    fn of_rows(rows: Option<Vec<Row<9>>>, may_be_private: bool) -> Vec<Self> {
        let declarations = rows.unwrap_or_default().into_iter().map(|row| {
            let (mut declaration, tools) = Self::of(row, may_be_private);
            // Namespaces within namespaces are nobody's: no list of lists is followed down.
            let members = tools.filter(|_| declaration.is_namespace()).and_then(|tools| tools.rows(MEMBERS));
            let members = members.unwrap_or_default().into_iter();
            declaration.members = members.map(|row| Self::of(row, may_be_private).0).collect();
            declaration
        });
        declarations.collect()
    }

    /// A declaration without members, and where these are.
    fn of(Row { value, members }: Row<9>, may_be_private: bool) -> (Self, Option<Value>) {
        let [kind, name, description, parameters, format, strict, tools, execution, defer_loading] = members;
        let declaration = Self {
            value,
            description,
            parameters,
            format,
            strict,
            kind,
            name,
            members: Vec::new(),
            execution,
            defer_loading,
            may_be_private,
            made: None,
        };
        (declaration, tools)
    }

    /// How many declarations these are, with those of a namespace.
    pub(crate) fn len(&self) -> usize {
        1 + self.members.len()
    }

    fn is_namespace(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| *kind == *"namespace")
    }

    fn keep(&mut self) {
        self.made = Some(OnceLock::new());
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

    /// The name of a function by itself.
    fn plain_name(&self) -> Option<Cow<'_, str>> {
        let kind = self.kind.as_ref().filter(|kind| **kind == *"function");
        kind.and(self.name.as_ref()).and_then(Value::as_str)
    }

    fn is_deferred(&self) -> bool {
        self.defer_loading.as_ref().and_then(Value::as_bool) == Some(true)
    }

    /// Whether it is a search that the client makes itself. Without `execution` it is one of the
    /// server's, unless the client says what it takes.
    fn is_client_search(&self) -> bool {
        let is = |value: &Option<Value>, text: &str| value.as_ref().and_then(Value::as_str).as_deref() == Some(text);
        let has_parameters = self.parameters.as_ref().is_some_and(Value::is_object);
        is(&self.kind, "tool_search") && (is(&self.execution, "client") || self.execution.is_none() && has_parameters)
    }
}

/// Whether a list of tools holds a search that the client makes itself.
pub(crate) fn declares_client_search(tools: &[Declaration]) -> bool {
    tools.iter().any(Declaration::is_client_search)
}

impl Catalog {
    /// Reads a list of tools, and gives those that can be called.
    pub(crate) fn read(&mut self, tools: &[Declaration], place: Place<'_>) -> Result<Vec<usize>, ApiError> {
        let mut callable = Vec::new();
        if let Place::Item(_) = place {
            self.offers = true;
        }
        self.names.reserve(tools.len());
        if tools.iter().any(|tool| tool.plain_name().is_none()) {
            self.plain = tools.iter().filter_map(Declaration::plain_name).map(|name| name.as_ref().into()).collect();
        }
        let before = self.shown.len();
        for (index, tool) in tools.iter().enumerate() {
            self.read_tool(tool, &Place::At(&place, index), &mut callable)?;
        }
        self.plain.clear();
        match place {
            Place::Tools => self.declared = tools.len(),
            _ => self.intact &= self.shown.len() == before,
        }
        Ok(callable)
    }

    fn read_tool(&mut self, tool: &Declaration, place: &Place<'_>, callable: &mut Vec<usize>) -> Result<(), ApiError> {
        let hidden = tool.is_deferred() && !place.is_found();
        match tool.kind.as_ref().and_then(Value::as_str).as_deref() {
            Some("namespace") => return self.read_namespace(tool, place, callable),
            Some("function") => callable.extend(self.read_client_tool(ToolKind::Function, None, tool, hidden)),
            Some("custom") => callable.extend(self.read_client_tool(ToolKind::Custom, None, tool, hidden)),
            Some("tool_search") if tool.is_client_search() => {
                let client = ClientTool::new(ToolKind::ToolSearch, None, "tool_search");
                callable.push(self.declare(client, tool, false));
            }
            _ => return self.hosted(&tool.value, place),
        }
        Ok(())
    }

    fn read_namespace(
        &mut self,
        namespace: &Declaration,
        place: &Place<'_>,
        callable: &mut Vec<usize>,
    ) -> Result<(), ApiError> {
        self.intact &= place.is_found();
        let name = namespace.name.as_ref().and_then(Value::as_str).unwrap_or_default();
        let description = namespace.description.as_ref().and_then(Value::as_str).unwrap_or_default();
        if self.namespaces.get(&*name).is_none_or(|known| known.description.is_empty()) {
            let known = self.namespaces.entry(name.as_ref().into()).or_default();
            known.description = description.trim().into();
        }
        let name = Some(&*name).filter(|name| !name.is_empty());
        self.names.reserve(namespace.members.len());
        for (index, member) in namespace.members.iter().enumerate() {
            let kind = match member.kind.as_ref().and_then(Value::as_str).as_deref() {
                Some("function") => ToolKind::Function,
                Some("custom") => ToolKind::Custom,
                _ => {
                    self.hosted(&member.value, &Place::At(place, index))?;
                    continue;
                }
            };
            let hidden = (namespace.is_deferred() || member.is_deferred()) && !place.is_found();
            callable.extend(self.read_client_tool(kind, name, member, hidden));
        }
        Ok(())
    }

    fn read_client_tool(
        &mut self,
        kind: ToolKind,
        namespace: Option<&str>,
        tool: &Declaration,
        is_deferred: bool,
    ) -> Option<usize> {
        let Some(name) = tool.name.as_ref().and_then(Value::as_str) else {
            // Whatever it is, it is the upstream's to refuse.
            self.shown.push(Shown::Passed(tool.value.clone()));
            return None;
        };
        Some(self.declare(ClientTool::new(kind, namespace, &name), tool, is_deferred))
    }
}
