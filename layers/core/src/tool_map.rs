use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, OnceLock},
};

use crate::json::Value;

/// What the upstream calls the client's tools: the one fact that the normalization of a request
/// hands to the restoration of its response, in the request's extensions.
///
/// It is there for every request that was normalized, also for one without tools: so restoration
/// can tell plain traffic from a lost extension.
///
/// ```
/// use tower_responses_core::{ClientTool, ToolKind, ToolMap};
///
/// let mut builder = ToolMap::builder();
/// builder.tool("mcp__fs__read", ClientTool::new(ToolKind::Function, Some("mcp__fs"), "read"));
/// builder.alternate("mcp__fs.read", "mcp__fs__read");
/// let map = builder.build();
///
/// let tool = map.get("mcp__fs.read").unwrap();
/// assert_eq!((tool.namespace(), tool.name()), (Some("mcp__fs"), "read"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ToolMap(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tools: HashMap<Arc<str>, ClientTool>,
    alternates: Alternates,
    spelling: Option<Spelling>,
    spelled: OnceLock<Spelled>,
    declared_tools: Option<Value>,
    declared_tool_choice: Option<Value>,
    echo: bool,
}

/// Names that stand for others; for none where they could stand for two.
#[derive(Debug, Default)]
struct Alternates(HashMap<Box<str>, Option<Box<str>>>);

impl Alternates {
    fn add(&mut self, name: &str, upstream_name: &str) {
        match self.0.entry(name.into()) {
            Entry::Vacant(entry) => {
                entry.insert(Some(upstream_name.into()));
            }
            Entry::Occupied(mut entry) if entry.get().as_deref() != Some(upstream_name) => {
                entry.insert(None);
            }
            Entry::Occupied(_) => {}
        }
    }
}

/// All ways in which a model may spell the names of the tools, of which there are far more than
/// tools: a number of each, with the place of the one tool that it may mean.
#[derive(Debug, Default)]
struct Spelled {
    names: Vec<Arc<str>>,
    state: RandomState,
    meant: HashMap<u64, Option<u32>>,
}

impl Spelled {
    fn of(tools: &HashMap<Arc<str>, ClientTool>, alternates: Spell) -> Self {
        let mut spelled = Self::default();
        for (place, (name, tool)) in (0u32..).zip(tools) {
            spelled.names.push(name.clone());
            alternates(name, tool, &mut |alternate| {
                let meant = spelled.meant.entry(spelled.state.hash_one(alternate)).or_insert(Some(place));
                *meant = meant.filter(|meant| *meant == place);
            });
        }
        spelled
    }

    fn meant(&self, name: &str) -> Option<&str> {
        let place = (*self.meant.get(&self.state.hash_one(name))?)?;
        self.names.get(place as usize).map(|name| &**name)
    }
}

/// Says which alternates a tool has, given its upstream name.
type Spell = fn(&str, &ClientTool, &mut dyn FnMut(&str));

struct Spelling(Spell);

impl fmt::Debug for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spelling")
    }
}

/// A tool as the client declared it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientTool {
    kind: ToolKind,
    namespace: Option<Arc<str>>,
    name: Arc<str>,
}

/// What a client expects a call of the tool to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolKind {
    /// `function_call` with `arguments`.
    Function,
    /// `custom_tool_call` with free text as its `input`.
    Custom,
    /// `tool_search_call` with `arguments` as an object.
    ToolSearch,
}

impl ClientTool {
    /// A tool of this kind, within a namespace or by itself.
    pub fn new(kind: ToolKind, namespace: Option<&str>, name: &str) -> Self {
        Self { kind, namespace: namespace.map(Into::into), name: name.into() }
    }

    /// What a call of it looks like.
    pub fn kind(&self) -> ToolKind {
        self.kind
    }

    /// The namespace that it was declared in.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The name within the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }
}

impl ToolMap {
    /// Begins a map.
    pub fn builder() -> ToolMapBuilder {
        ToolMapBuilder::default()
    }

    /// The tool that the upstream calls so, or nearly so.
    pub fn get(&self, upstream_name: &str) -> Option<&ClientTool> {
        self.resolve(upstream_name).map(|(_, tool)| tool)
    }

    /// The tool that the upstream calls so or nearly so, with the name it was given there.
    pub fn resolve(&self, upstream_name: &str) -> Option<(&str, &ClientTool)> {
        let inner = &*self.0;
        if let Some((name, tool)) = inner.tools.get_key_value(upstream_name) {
            return Some((name, tool));
        }
        let name = match inner.alternates.0.get(upstream_name) {
            Some(name) => name.as_deref()?,
            None => inner.spelled(upstream_name)?,
        };
        inner.tools.get_key_value(name).map(|(name, tool)| (&**name, tool))
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.0.tools.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.tools.is_empty()
    }

    /// Whether `tools` and `tool_choice` were changed on the way to the upstream, so that its
    /// echo of them has to be put right.
    pub fn changes_echo(&self) -> bool {
        self.0.echo
    }

    /// The client's own `tools`, if it sent any.
    pub fn declared_tools(&self) -> Option<&Value> {
        self.0.declared_tools.as_ref()
    }

    /// The client's own `tool_choice`, if it sent one.
    pub fn declared_tool_choice(&self) -> Option<&Value> {
        self.0.declared_tool_choice.as_ref()
    }
}

impl Inner {
    /// The name of the tool that is meant by a name that is spelled differently.
    fn spelled(&self, name: &str) -> Option<&str> {
        let alternates = self.spelling.as_ref()?.0;
        let upstream = self.spelled.get_or_init(|| Spelled::of(&self.tools, alternates)).meant(name)?;
        // Two spellings may have one number.
        let mut is_it = false;
        alternates(upstream, self.tools.get(upstream)?, &mut |alternate| is_it |= alternate == name);
        is_it.then_some(upstream)
    }
}

/// Collects the tools of one request.
#[derive(Debug, Default)]
pub struct ToolMapBuilder {
    inner: Inner,
}

impl ToolMapBuilder {
    /// So many tools are to come.
    pub fn reserve(&mut self, tools: usize) -> &mut Self {
        self.inner.tools.reserve(tools);
        self
    }

    /// The upstream knows `tool` as `upstream_name`. A name that is taken keeps its first tool.
    pub fn tool(&mut self, upstream_name: impl Into<Arc<str>>, tool: ClientTool) -> &mut Self {
        self.inner.tools.entry(upstream_name.into()).or_insert(tool);
        self
    }

    /// A model may also say `name` when it means the tool `upstream_name`. A name that could mean
    /// two tools means neither.
    pub fn alternate(&mut self, name: &str, upstream_name: &str) -> &mut Self {
        self.inner.alternates.add(name, upstream_name);
        self
    }

    /// Says which alternates each tool has, given its upstream name. It is asked when a model first
    /// uses a name that is not in the map: mostly never. It counts after [`Self::alternate`].
    ///
    /// ```
    /// use tower_responses_core::{ClientTool, ToolKind, ToolMap};
    ///
    /// let mut builder = ToolMap::builder();
    /// builder.tool("a__x", ClientTool::new(ToolKind::Function, Some("a"), "x"));
    /// builder.tool("b__x", ClientTool::new(ToolKind::Function, Some("b"), "x"));
    /// builder.alternates_by(|_, tool, also| {
    ///     also(tool.name());
    ///     also(&format!("{}.{}", tool.namespace().unwrap_or_default(), tool.name()));
    /// });
    /// let map = builder.build();
    /// assert_eq!(map.resolve("b.x").unwrap().0, "b__x");
    /// assert!(map.get("x").is_none(), "it could be either");
    /// ```
    pub fn alternates_by(&mut self, spelling: Spell) -> &mut Self {
        self.inner.spelling = Some(Spelling(spelling));
        self
    }

    /// What the client declared, which the response echoes in place of what the upstream saw.
    pub fn declared(&mut self, tools: Option<Value>, tool_choice: Option<Value>) -> &mut Self {
        self.inner.echo = true;
        self.inner.declared_tools = tools;
        self.inner.declared_tool_choice = tool_choice;
        self
    }

    /// The map.
    pub fn build(self) -> ToolMap {
        ToolMap(Arc::new(self.inner))
    }
}
