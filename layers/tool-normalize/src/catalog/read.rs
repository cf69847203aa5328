//! Reading declarations.

use tower_responses_core::{ApiError, ClientTool, ToolKind, json::Value};

use super::{Catalog, Declaration, MOST_TOOLS, Namespace, Place, ToolList, refused};

/// The tools that can be called of those that were read, each once.
#[derive(Default)]
pub(crate) struct Callable {
    tools: Vec<usize>,
    known: Vec<bool>,
}

impl Callable {
    fn push(&mut self, tool: usize) {
        if self.known.len() <= tool {
            self.known.resize(tool + 1, false);
        }
        if !std::mem::replace(&mut self.known[tool], true) {
            self.tools.push(tool);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.tools.iter().copied()
    }
}

impl Catalog {
    /// Reads a list of tools, and gives those that can be called.
    pub(crate) fn read(&mut self, tools: &ToolList<'_>, place: Place<'_>) -> Result<Callable, ApiError> {
        let mut callable = Callable::default();
        if let Place::Item(_) = place {
            self.offers = true;
        }
        self.plain = tools.plain_names(MOST_TOOLS);
        let before = self.shown.len();
        let mut count = 0;
        tools.each(|index, tool| {
            count += 1;
            self.read_tool(tool, &Place::At(&place, index), &mut callable)
        })?;
        self.plain.clear();
        match place {
            Place::Tools => self.declared = count,
            _ => self.intact &= self.shown.len() == before,
        }
        Ok(callable)
    }

    fn read_tool(
        &mut self,
        tool: Option<&Declaration>,
        place: &Place<'_>,
        callable: &mut Callable,
    ) -> Result<(), ApiError> {
        let Some(tool) = tool else { return no_tool(place) };
        let hidden = tool.is_deferred() && !place.is_found();
        match tool.kind().as_deref() {
            Some("namespace") => self.read_namespace(tool, place, callable),
            Some("function") => self.read_client_tool(ToolKind::Function, None, tool, hidden, place, callable),
            Some("custom") => self.read_client_tool(ToolKind::Custom, None, tool, hidden, place, callable),
            Some("tool_search") if tool.is_client_search() => {
                let client = ClientTool::new(ToolKind::ToolSearch, None, "tool_search");
                callable.push(self.declare(client, tool, false, place)?);
                Ok(())
            }
            _ => self.hosted(&tool.value, place),
        }
    }

    fn read_namespace(
        &mut self,
        namespace: &Declaration,
        place: &Place<'_>,
        callable: &mut Callable,
    ) -> Result<(), ApiError> {
        self.intact &= place.is_found();
        let name = namespace.name.as_ref().and_then(Value::as_str).unwrap_or_default();
        self.describe(&name, namespace);
        namespace.each_member(|index, member| {
            let place = Place::At(place, index);
            let Some(member) = member else { return no_tool(&place) };
            let kind = match member.kind().as_deref() {
                Some("function") => ToolKind::Function,
                Some("custom") => ToolKind::Custom,
                _ => return self.hosted(&member.value, &place),
            };
            let hidden = (namespace.is_deferred() || member.is_deferred()) && !place.is_found();
            let name = Some(&*name).filter(|name| !name.is_empty());
            self.read_client_tool(kind, name, member, hidden, &place, callable)
        })
    }

    /// Notes what a namespace says of itself, unless it has said something before.
    fn describe(&mut self, name: &str, namespace: &Declaration) {
        let description = namespace.description.as_ref().and_then(Value::as_str).unwrap_or_default();
        let description = description.trim();
        if !description.is_empty() && !self.namespaces.contains_key(name) {
            let namespace = Namespace { description: description.into(), told_by: None };
            self.namespaces.insert(name.into(), namespace);
        }
    }

    fn read_client_tool(
        &mut self,
        kind: ToolKind,
        namespace: Option<&str>,
        tool: &Declaration,
        is_deferred: bool,
        place: &Place<'_>,
        callable: &mut Callable,
    ) -> Result<(), ApiError> {
        let Some(name) = tool.name.as_ref().and_then(Value::as_str) else {
            // Whatever it is, it is the upstream's to refuse.
            return self.pass(&tool.value, place);
        };
        callable.push(self.declare(ClientTool::new(kind, namespace, &name), tool, is_deferred, place)?);
        Ok(())
    }
}

/// What is no object is refused where the client has put it, and nothing where it was found.
fn no_tool(place: &Place<'_>) -> Result<(), ApiError> {
    if place.is_found() {
        return Ok(());
    }
    let message = format!("Invalid type for '{}': expected an object.", place.param());
    Err(refused(message, place, "invalid_type"))
}
