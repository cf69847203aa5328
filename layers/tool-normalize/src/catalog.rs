//! The functions that the upstream gets to see: read from the request in the order in which they
//! stand there, so that what comes later changes nothing of what came before.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tower_responses_core::{
    ApiError, ClientTool, ToolKind,
    json::{Array, Value},
};

use crate::{
    function,
    names::{self, PLAIN_NAMESPACE},
    normalizer::Settings,
    policy::{NamespaceDescriptions, Policy, UndeclaredCalls},
    schema,
};

mod declaration;
mod map;
mod place;
mod read;

pub(crate) use self::{
    declaration::{Declaration, ToolList},
    place::Place,
    read::Callable,
};

#[cfg(test)]
mod tests;

/// How many types of dropped tools are told apart.
const MOST_DROPPED: usize = 16;

/// How many tools a request may bring, wherever they stand in it: what is made of one takes many
/// times its text.
const MOST_TOOLS: usize = 2048;

/// How many of them may be custom tools: the function for one takes more than ten times its text.
const MOST_CUSTOM: usize = 256;

/// How many tools that nobody declared are remembered for their calls.
const MOST_UNDECLARED: usize = 512;

/// How many bytes the descriptions of namespaces may take that stand before those of their members,
/// and how many more for each byte that is declared. Those after them are told by one member each.
const MOST_REPEATED: usize = 128 << 10;
const REPEATED_EACH: usize = 3;

/// All tools of one request. A copy shares what is in it.
#[derive(Clone)]
pub(crate) struct Catalog {
    settings: Arc<Settings>,
    tools: Vec<Arc<Tool>>,
    /// Tools that have other names than their natural ones.
    known: HashMap<ClientTool, usize>,
    /// Which tool the upstream knows by a name.
    names: HashMap<Arc<str>, usize>,
    /// The names of the plain functions in the list that is being read: nothing else gets them.
    plain: HashSet<Box<str>>,
    /// What the upstream sees, in order.
    shown: Vec<Shown>,
    /// What was called before the upstream saw any tool.
    waiting: Vec<usize>,
    /// The descriptions of namespaces, and whether a member has told them already.
    namespaces: HashMap<Arc<str>, Namespace>,
    dropped: Vec<Box<str>>,
    /// How many tools are known by calls alone, and how many are custom tools.
    undeclared: usize,
    custom: usize,
    /// The bytes that were declared, and those of descriptions of namespaces before members.
    declared_bytes: usize,
    repeated_bytes: usize,
    /// Whether deferred tools wait for a search of the client.
    defers: bool,
    /// Whether the client lets the model call tools at all.
    offers: bool,
    /// How many elements the request's `tools` have, and whether those that the upstream sees are
    /// still the same.
    declared: usize,
    intact: bool,
}

#[derive(Clone)]
struct Tool {
    client: ClientTool,
    name: Arc<str>,
    function: Value,
    /// What else is looked at of the declaration.
    details: Option<Box<Details>>,
    is_shown: bool,
    /// Whether it is known by calls alone.
    is_undeclared: bool,
    /// The tool that was meant by these calls, declared later.
    stands_for: Option<usize>,
}

#[derive(Clone)]
struct Details {
    description: Option<Value>,
    /// What a newer declaration has to differ in to replace this one.
    schema: Option<Value>,
}

impl Details {
    fn of(kind: ToolKind, declared: &Declaration) -> Option<Box<Self>> {
        let (description, schema) = (declared.description.clone(), deciding(kind, declared).cloned());
        (description.is_some() || schema.is_some()).then(|| Box::new(Self { description, schema }))
    }
}

#[derive(Clone)]
enum Shown {
    Tool(usize),
    /// Not ours to understand.
    Passed(Box<Value>),
}

#[derive(Clone, Default)]
struct Namespace {
    description: Arc<str>,
    /// The member that has told it first.
    told_by: Option<Arc<str>>,
}

impl Catalog {
    /// An empty catalog. `defers` says whether the client searches for deferred tools itself,
    /// `offers` whether tools that were found or called earlier may be shown.
    pub(crate) fn new(settings: Arc<Settings>, defers: bool, offers: bool) -> Self {
        Self {
            settings,
            tools: Vec::new(),
            known: HashMap::new(),
            names: HashMap::new(),
            plain: HashSet::new(),
            shown: Vec::new(),
            waiting: Vec::new(),
            namespaces: HashMap::new(),
            dropped: Vec::new(),
            undeclared: 0,
            custom: 0,
            declared_bytes: 0,
            repeated_bytes: 0,
            defers,
            offers,
            declared: 0,
            intact: true,
        }
    }

    /// The name that the upstream knows a tool by.
    pub(crate) fn name(&self, tool: usize) -> &str {
        &self.tools[tool].name
    }

    /// The client's own description of a tool, without that of its namespace.
    pub(crate) fn description(&self, tool: usize) -> Cow<'_, str> {
        let tool = &self.tools[tool];
        let own = tool.details.as_ref().and_then(|details| details.description.as_ref()?.as_str()).unwrap_or_default();
        match tool.client.namespace().and_then(|namespace| self.namespaces.get(namespace)) {
            Some(namespace) if own.starts_with(&*namespace.description) => {
                own[namespace.description.len()..].trim_start().to_owned().into()
            }
            _ => own,
        }
    }

    /// Which types of tools were dropped, each once: the first few of them.
    pub(crate) fn dropped(&self) -> &[Box<str>] {
        &self.dropped
    }

    /// How many tools there are, seen or not.
    pub(crate) fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether the upstream sees no tools.
    pub(crate) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// The namespaces in which tools stand.
    pub(crate) fn namespaces(&self) -> HashSet<Box<str>> {
        self.tools.iter().filter_map(|tool| tool.client.namespace()).map(Into::into).collect()
    }

    /// The types of what the upstream sees that is not ours to understand.
    pub(crate) fn passed(&self) -> HashSet<Box<str>> {
        let kind = |shown: &Shown| match shown {
            Shown::Passed(value) => value.member_str("type").map(|kind| kind.as_ref().into()),
            Shown::Tool(_) => None,
        };
        self.shown.iter().filter_map(kind).collect()
    }

    /// The tools for the upstream, if they differ from those of the request.
    pub(crate) fn changed(&self) -> Option<Array> {
        let value = |shown: &Shown| match shown {
            Shown::Tool(tool) => self.tools[*tool].function.clone(),
            Shown::Passed(value) => Value::clone(value),
        };
        let unchanged = self.intact && self.shown.len() == self.declared || self.shown.is_empty() && self.declared == 0;
        (!unchanged).then(|| self.shown.iter().map(value).collect())
    }

    /// Makes the upstream see nothing but the tools that `keep` names, hidden ones too.
    pub(crate) fn show_only(
        &mut self,
        keep: impl Fn(&ClientTool, usize) -> bool,
        keep_passed: impl Fn(&Value) -> bool,
    ) {
        for tool in 0..self.tools.len() {
            if keep(&self.tools[tool].client, tool) {
                self.show(tool);
            }
        }
        let tools = &self.tools;
        self.shown.retain(|shown| match shown {
            Shown::Tool(tool) => keep(&tools[*tool].client, *tool),
            Shown::Passed(value) => keep_passed(value),
        });
    }

    /// Makes the upstream see a tool, after all others, if it does not yet.
    pub(crate) fn show(&mut self, tool: usize) {
        if self.offers && !self.tools[tool].is_shown {
            Arc::make_mut(&mut self.tools[tool]).is_shown = true;
            self.shown.push(Shown::Tool(tool));
            self.intact = false;
            self.show_waiting();
        }
    }

    /// Shows what was called without a declaration, once there are tools at all.
    fn show_waiting(&mut self) {
        if !self.is_empty() {
            std::mem::take(&mut self.waiting).into_iter().for_each(|tool| self.show(tool));
        }
    }

    /// What the upstream calls the tool that a call in the history means, which is declared if it
    /// has to be.
    pub(crate) fn called(&mut self, kind: ToolKind, namespace: Option<&str>, name: &str) -> Cow<'_, str> {
        if let Some(tool) = self.find(kind, namespace, name) {
            // A client may call deferred tools without a search: from then on they are known.
            self.show(tool);
            return Cow::Borrowed(&self.tools[tool].name);
        }
        let client = ClientTool::new(kind, namespace, name);
        let natural = names::natural(namespace, name);
        let is_free = self.by_upstream_name(&natural).is_none();
        let upstream = names::choose(&client, natural, is_free, |name| self.is_taken(name));
        if self.undeclared == MOST_UNDECLARED {
            // Each has the name that it would have, and no declaration.
            return Cow::Owned(upstream);
        }
        self.undeclared += 1;
        let tool = Tool {
            client,
            function: function::undeclared(kind, &upstream),
            name: upstream.into(),
            details: None,
            is_shown: false,
            is_undeclared: true,
            stands_for: None,
        };
        let tool = self.push(tool);
        if self.settings.undeclared_calls == UndeclaredCalls::Declare {
            self.waiting.push(tool);
            self.show_waiting();
        }
        Cow::Borrowed(&self.tools[tool].name)
    }

    /// Whether a tool has this name, or another is to have it.
    fn is_taken(&self, name: &str) -> bool {
        self.names.contains_key(name) || self.plain.contains(name)
    }

    /// The tool that is known by this name upstream.
    pub(crate) fn by_upstream_name(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The tool that a client names so.
    pub(crate) fn find(&self, kind: ToolKind, namespace: Option<&str>, name: &str) -> Option<usize> {
        let natural = self.by_upstream_name(&names::natural(namespace, name));
        let of = |kind, namespace| self.exactly(natural, kind, namespace, name);
        let alias = if namespace.is_none() { Some(PLAIN_NAMESPACE) } else { None };
        let is_plain = namespace.is_none_or(|namespace| namespace == PLAIN_NAMESPACE);
        // Some clients give plain tools the namespace `functions`, or none to its members.
        let near = |kind| of(kind, namespace).or_else(|| if is_plain { of(kind, alias) } else { None });
        let exact = [kind, ToolKind::Function, ToolKind::Custom].into_iter().find_map(near);
        exact.or_else(|| if namespace.is_none() { self.names.get(name).copied() } else { None })
    }

    /// Takes in a declaration: a new tool, or one that is known already.
    fn declare(
        &mut self,
        client: ClientTool,
        declared: &Declaration,
        is_deferred: bool,
        place: &Place<'_>,
    ) -> Result<usize, ApiError> {
        let is_shown = self.offers && !(is_deferred && self.defers);
        let natural = names::natural(client.namespace(), client.name());
        let named_so = self.by_upstream_name(&natural);
        let known = self.exactly(named_so, client.kind(), client.namespace(), client.name());
        if let Some(tool) = known.filter(|tool| !self.tools[*tool].is_undeclared) {
            self.declare_again(tool, client, declared);
            if is_shown {
                self.show(tool);
            }
            return Ok(tool);
        }
        let is_custom = client.kind() == ToolKind::Custom;
        if self.tools.len() - self.undeclared == MOST_TOOLS || is_custom && self.custom == MOST_CUSTOM {
            return Err(too_many(place));
        }
        self.custom += usize::from(is_custom);
        self.declared_bytes += declared.value.text().len();
        let stand_in = known.or_else(|| named_so.filter(|tool| self.was_meant(*tool, &client)));
        let is_free = named_so.is_none() && (is_plain(&client) || !self.plain.contains(&*natural));
        let name = names::choose(&client, natural, is_free, |name| self.is_taken(name));
        let tool = Tool {
            function: self.function(&client, declared, &name),
            details: Details::of(client.kind(), declared),
            name: if name == client.name() { client.shared_name() } else { name.into() },
            client,
            is_shown,
            is_undeclared: false,
            stands_for: None,
        };
        let tool = self.push(tool);
        if let Some(stand_in) = stand_in {
            // What the upstream has seen stays as it is.
            Arc::make_mut(&mut self.tools[stand_in]).stands_for = Some(tool);
        }
        if is_shown {
            self.shown.push(Shown::Tool(tool));
            self.show_waiting();
        }
        Ok(tool)
    }

    fn declare_again(&mut self, tool: usize, client: ClientTool, declared: &Declaration) {
        let schema = deciding(client.kind(), declared);
        let old = &self.tools[tool];
        let old_schema = old.details.as_ref().and_then(|details| details.schema.as_ref());
        let Some(schema) = schema else { return };
        if old_schema.is_some_and(|old| schema::same(schema, old)) {
            return;
        }
        let (name, is_shown) = (old.name.clone(), old.is_shown);
        let function = self.function(&client, declared, &name);
        self.intact = false;
        let details = Details::of(client.kind(), declared);
        let new = Tool { client, name, function, details, is_shown, is_undeclared: false, stands_for: None };
        self.tools[tool] = Arc::new(new);
    }

    /// Whether calls of this tool, which was not declared then, meant the new one, that would have
    /// the same name.
    fn was_meant(&self, tool: usize, client: &ClientTool) -> bool {
        let tool = &self.tools[tool];
        let meant = tool.client.namespace().is_none() || tool.client.namespace() == client.namespace();
        tool.is_undeclared && meant
    }

    fn push(&mut self, tool: Tool) -> usize {
        let index = self.tools.len();
        if !names::is_natural(&tool.client, &tool.name) {
            self.known.insert(tool.client.clone(), index);
        }
        self.names.insert(tool.name.clone(), index);
        self.tools.push(Arc::new(tool));
        index
    }

    /// The tool with this identity. `natural` is the one that has the natural name of it.
    fn exactly(&self, natural: Option<usize>, kind: ToolKind, namespace: Option<&str>, name: &str) -> Option<usize> {
        let is_it = |tool: &usize| {
            let client = &self.tools[*tool].client;
            client.kind() == kind && client.namespace() == namespace && client.name() == name
        };
        let natural = natural.filter(is_it);
        let is_declared = natural.is_some_and(|tool| !self.tools[tool].is_undeclared);
        if is_declared || self.known.is_empty() {
            return natural;
        }
        self.known.get(&ClientTool::new(kind, namespace, name)).copied().or(natural)
    }

    /// What stands for a tool upstream.
    fn function(&mut self, client: &ClientTool, declared: &Declaration, name: &str) -> Value {
        let strict = self.settings.strict;
        let prefix = self.prefix(client);
        let function = declared.function(name, prefix, || match client.kind() {
            ToolKind::Custom => Some(function::custom(declared, name, prefix)),
            ToolKind::ToolSearch => Some(function::tool_search(declared, name)),
            _ => {
                let renamed = client.name() != name;
                function::function(declared, renamed.then_some(name), prefix, strict)
            }
        });
        self.intact &= function.is_none();
        function.unwrap_or_else(|| declared.value.clone())
    }

    /// What is to stand before the description of a member of a namespace.
    fn prefix(&mut self, client: &ClientTool) -> Option<&str> {
        let known = self.namespaces.get_mut(client.namespace()?)?;
        let told_by = known.told_by.get_or_insert_with(|| client.name().into());
        let is_first = **told_by == *client.name();
        let repeated = self.repeated_bytes + known.description.len();
        let tell = match self.settings.namespace_descriptions {
            NamespaceDescriptions::EachMember if !is_first => {
                repeated <= MOST_REPEATED + REPEATED_EACH * self.declared_bytes
            }
            NamespaceDescriptions::EachMember | NamespaceDescriptions::FirstMember => is_first,
            NamespaceDescriptions::Omit => false,
        };
        if !tell || known.description.is_empty() {
            return None;
        }
        self.repeated_bytes = repeated;
        Some(&*known.description)
    }

    /// Takes in a tool that the upstream cannot execute. `found` ones cannot be refused: the
    /// client did not choose them.
    fn hosted(&mut self, value: &Value, place: &Place<'_>) -> Result<(), ApiError> {
        let kind = value.member_str("type").unwrap_or_else(|| "unknown".into());
        match self.settings.tools.of(&kind) {
            Policy::Pass => return self.pass(value, place),
            Policy::Reject if !place.is_found() => {
                let message = format!("tools of type '{kind}' are not supported here");
                return Err(refused(message, place, "unsupported_tool"));
            }
            Policy::Drop | Policy::Reject => {
                let is_new = || self.dropped.iter().all(|dropped| **dropped != *kind);
                if self.dropped.len() < MOST_DROPPED && is_new() {
                    self.dropped.push(kind.into());
                }
            }
        }
        Ok(())
    }

    /// Shows something to the upstream as it is.
    fn pass(&mut self, value: &Value, place: &Place<'_>) -> Result<(), ApiError> {
        if self.shown.len() >= MOST_TOOLS {
            return Err(too_many(place));
        }
        self.shown.push(Shown::Passed(Box::new(value.clone())));
        Ok(())
    }
}

fn refused(message: String, place: &Place<'_>, code: &'static str) -> ApiError {
    ApiError::bad_request(message).param(place.param()).code(code)
}

fn too_many(place: &Place<'_>) -> ApiError {
    let message = format!(
        "Too many tools: at most {MOST_TOOLS} are taken, wherever they stand in the request, {MOST_CUSTOM} of them custom tools."
    );
    refused(message, place, "array_above_max_length")
}

/// Whether a tool is a function by itself, which keeps the name that the client gave it.
fn is_plain(tool: &ClientTool) -> bool {
    tool.kind() == ToolKind::Function && tool.namespace().is_none()
}

/// The part of a declaration that decides how a tool can be called.
fn deciding(kind: ToolKind, declared: &Declaration) -> Option<&Value> {
    let schema = if kind == ToolKind::Custom { &declared.format } else { &declared.parameters };
    schema.as_ref().filter(|schema| !schema.is_null())
}
