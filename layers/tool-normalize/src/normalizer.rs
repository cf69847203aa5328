use tower_responses_core::{
    ApiError, ToolMap,
    json::{Object, Value},
};

use crate::{
    catalog::{Catalog, Declaration, Place, declares_client_search},
    choice, history, include,
    policy::{EncryptedReasoning, HostedItems, NamespaceDescriptions, Policy, Strict, ToolPolicies, UndeclaredCalls},
};

#[cfg(test)]
mod tests;

/// Rewrites requests for a function-only upstream, without any IO.
///
/// ```
/// use tower_responses_core::json::Object;
/// use tower_responses_tool_normalize::Normalizer;
///
/// let request = r#"{"input":"hi","tools":[{"type":"custom","name":"run"},{"type":"web_search"}]}"#;
/// let mut request = Object::parse(request.into()).unwrap();
/// let normalized = Normalizer::new().normalize(&mut request).unwrap();
///
/// assert_eq!(normalized.map.get("run").unwrap().name(), "run");
/// assert_eq!(&*normalized.dropped[0], "web_search");
/// let upstream = request.get("tools").unwrap().elements().unwrap();
/// assert_eq!(upstream[0].member_str("type").unwrap(), "function");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Normalizer {
    settings: Settings,
}

/// What an operator has decided.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) tools: ToolPolicies,
    pub(crate) strict: Strict,
    pub(crate) namespace_descriptions: NamespaceDescriptions,
    pub(crate) undeclared_calls: UndeclaredCalls,
    pub(crate) hosted_items: HostedItems,
    pub(crate) unknown_items: Policy,
    pub(crate) encrypted_reasoning: EncryptedReasoning,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tools: ToolPolicies::new(),
            strict: Strict::default(),
            namespace_descriptions: NamespaceDescriptions::default(),
            undeclared_calls: UndeclaredCalls::default(),
            hosted_items: HostedItems::default(),
            unknown_items: Policy::Pass,
            encrypted_reasoning: EncryptedReasoning::default(),
        }
    }
}

/// What was found out about a request that was rewritten.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Normalized {
    /// The names under which the upstream knows the client's tools.
    pub map: ToolMap,
    /// The types of the tools that were left out, each once: the first 16 of them.
    pub dropped: Vec<Box<str>>,
}

impl Normalizer {
    /// With the defaults: whatever the upstream does not understand is translated, or else
    /// dropped; unknown input items pass.
    pub fn new() -> Self {
        Self::default()
    }

    /// What becomes of tools that no upstream executes. By default they are dropped.
    #[must_use]
    pub fn tools(mut self, policies: ToolPolicies) -> Self {
        self.settings.tools = policies;
        self
    }

    /// What becomes of `strict`. By default it stays as the client declared it.
    #[must_use]
    pub fn strict(mut self, strict: Strict) -> Self {
        self.settings.strict = strict;
        self
    }

    /// Where the descriptions of namespaces go. By default to each member.
    #[must_use]
    pub fn namespace_descriptions(mut self, descriptions: NamespaceDescriptions) -> Self {
        self.settings.namespace_descriptions = descriptions;
        self
    }

    /// What becomes of calls of tools that are not declared. By default their names are declared.
    #[must_use]
    pub fn undeclared_calls(mut self, calls: UndeclaredCalls) -> Self {
        self.settings.undeclared_calls = calls;
        self
    }

    /// What becomes of input items of hosted tools. By default they are told as notes.
    #[must_use]
    pub fn hosted_items(mut self, items: HostedItems) -> Self {
        self.settings.hosted_items = items;
        self
    }

    /// What becomes of input items of unknown types. By default they pass.
    #[must_use]
    pub fn unknown_items(mut self, policy: Policy) -> Self {
        self.settings.unknown_items = policy;
        self
    }

    /// What becomes of encrypted reasoning. By default it is removed.
    #[must_use]
    pub fn encrypted_reasoning(mut self, reasoning: EncryptedReasoning) -> Self {
        self.settings.encrypted_reasoning = reasoning;
        self
    }

    /// Rewrites the body of a `POST /v1/responses`.
    ///
    /// # Errors
    /// 400 for what a policy rejects, for a `tool_choice` that names a tool which is not there, and
    /// for items that mean something this upstream cannot know: `item_reference`,
    /// `compaction_trigger`.
    pub fn normalize(&self, body: &mut Object) -> Result<Normalized, ApiError> {
        let (tools, choice) = (body.get("tools").cloned(), body.get("tool_choice").cloned());
        let mut catalog = Catalog::of(&self.settings, tools.as_ref(), body)?;
        history::translate(body, &mut catalog, &self.settings)?;
        choice::translate(body, &mut catalog, &self.settings.tools)?;
        include::translate(body, &self.settings.tools);

        let mut map = catalog.map();
        let upstream = catalog.changed();
        if upstream.is_some() || choice.as_ref() != body.get("tool_choice") {
            // The map lives as long as the response; the request need not.
            map.declared(tools.map(|tools| tools.detached()), choice.map(|choice| choice.detached()));
        }
        match upstream {
            Some(upstream) if upstream.is_empty() => drop(body.remove("tools")),
            Some(upstream) => body.set("tools", upstream),
            None => {}
        }
        Ok(Normalized { map: map.build(), dropped: catalog.dropped().to_vec() })
    }
}

impl<'s> Catalog<'s> {
    /// The catalog of what stands in the request's `tools`.
    fn of(settings: &'s Settings, tools: Option<&Value>, body: &mut Object) -> Result<Self, ApiError> {
        let is_search = |item: &Value| {
            item.member_str("type").as_deref() == Some("additional_tools")
                && declares_client_search(&Declaration::list_in(item))
        };
        // A client that sends an empty list wants an answer in words.
        let is_list = tools.is_some_and(Value::is_array);
        let tools = tools.map(Declaration::list).unwrap_or_default();
        let is_none = is_list && tools.is_empty();
        let defers =
            declares_client_search(&tools) || body.array_mut("input").is_some_and(|input| input.iter().any(is_search));
        let mut catalog = Self::new(settings, defers, !is_none);
        catalog.read(&tools, Place::Tools)?;
        Ok(catalog)
    }
}
