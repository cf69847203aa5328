//! Reading declarations.

use tower_responses_core::{ApiError, ClientTool, ToolKind, json::Value};

use super::{Catalog, Declared, Shown};

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

/// Whether `tool` is a search that the client makes itself. Without `execution` it is one of the
/// server's, unless the client says what it takes.
fn is_client_search(tool: &Value) -> bool {
    match tool.member_str("execution") {
        Some(execution) => execution == "client",
        None => tool.member("parameters").is_some_and(|parameters| parameters.is_object()),
    }
}

/// Whether a list of tools holds a search that the client makes itself.
pub(crate) fn declares_client_search(tools: &Value) -> bool {
    let is_search = |tool: &Value| tool.member_str("type").as_deref() == Some("tool_search") && is_client_search(tool);
    tools.elements().is_some_and(|tools| tools.iter().any(is_search))
}

fn is_deferred(tool: &Value) -> bool {
    tool.member("defer_loading").is_some_and(|deferred| deferred.as_bool() == Some(true))
}

impl Catalog<'_> {
    /// Reads a list of tools, and gives those that can be called.
    pub(crate) fn read(&mut self, tools: &Value, place: Place<'_>) -> Result<Vec<usize>, ApiError> {
        let mut callable = Vec::new();
        if let Place::Item(_) = place {
            self.offers = true;
        }
        let tools = tools.elements().unwrap_or_default();
        let before = self.shown.len();
        for (index, tool) in tools.iter().enumerate() {
            self.read_tool(tool, &Place::At(&place, index), &mut callable)?;
        }
        match place {
            Place::Tools => self.declared = tools.len(),
            _ => self.intact &= self.shown.len() == before,
        }
        Ok(callable)
    }

    fn read_tool(&mut self, tool: &Value, place: &Place<'_>, callable: &mut Vec<usize>) -> Result<(), ApiError> {
        let hidden = is_deferred(tool) && !place.is_found();
        match tool.member_str("type").as_deref() {
            Some("namespace") => return self.read_namespace(tool, place, callable),
            Some("function") => callable.extend(self.read_client_tool(ToolKind::Function, None, tool, hidden)),
            Some("custom") => callable.extend(self.read_client_tool(ToolKind::Custom, None, tool, hidden)),
            Some("tool_search") if is_client_search(tool) => {
                callable.push(self.declare(Declared {
                    client: ClientTool::new(ToolKind::ToolSearch, None, "tool_search"),
                    value: tool,
                    is_deferred: false,
                }));
            }
            _ => return self.hosted(tool, place),
        }
        Ok(())
    }

    fn read_namespace(
        &mut self,
        namespace: &Value,
        place: &Place<'_>,
        callable: &mut Vec<usize>,
    ) -> Result<(), ApiError> {
        self.intact &= place.is_found();
        let name = namespace.member_str("name").unwrap_or_default();
        let description = namespace.member_str("description").unwrap_or_default();
        let known = self.namespaces.entry(name.as_ref().into()).or_default();
        if known.description.is_empty() {
            known.description = description.trim().to_owned();
        }
        let all_hidden = is_deferred(namespace);
        let members = namespace.member("tools").and_then(|tools| tools.elements()).unwrap_or_default();
        for (index, member) in members.iter().enumerate() {
            let place = Place::At(place, index);
            let kind = match member.member_str("type").as_deref() {
                Some("function") => ToolKind::Function,
                Some("custom") => ToolKind::Custom,
                _ => {
                    self.hosted(member, &place)?;
                    continue;
                }
            };
            let namespace = Some(&*name).filter(|name| !name.is_empty());
            let hidden = (all_hidden || is_deferred(member)) && !place.is_found();
            callable.extend(self.read_client_tool(kind, namespace, member, hidden));
        }
        Ok(())
    }

    fn read_client_tool(
        &mut self,
        kind: ToolKind,
        namespace: Option<&str>,
        tool: &Value,
        is_deferred: bool,
    ) -> Option<usize> {
        let Some(name) = tool.member_str("name") else {
            // Whatever it is, it is the upstream's to refuse.
            self.shown.push(Shown::Passed(tool.clone()));
            return None;
        };
        let client = ClientTool::new(kind, namespace, &name);
        Some(self.declare(Declared { client, value: tool, is_deferred }))
    }
}
