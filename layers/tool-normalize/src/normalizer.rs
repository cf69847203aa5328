use std::sync::Arc;

use tower_responses_core::{ApiError, ToolMap, json::Object};

use crate::{
    choice, history, include,
    policy::{EncryptedReasoning, HostedItems, NamespaceDescriptions, Policy, Strict, ToolPolicies, UndeclaredCalls},
    recent::{Recent, Tools},
};

#[cfg(test)]
mod tests;

/// Rewrites requests for a function-only upstream, without any IO.
///
/// Clients send the same tools with every turn, so what was made of the last lists of tools is kept,
/// whoever sent them: 2 MiB of what requests declare and 2 MiB of what searches have found. Clones
/// share it until their settings are changed.
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
/// let mut upstream = request.get("tools").unwrap().elements().unwrap();
/// assert_eq!(upstream.next().unwrap().member_str("type").unwrap(), "function");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Normalizer {
    settings: Arc<Settings>,
    pub(crate) recent: Arc<Recent>,
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

    /// What was found out with other settings holds no more.
    fn change(&mut self) -> &mut Settings {
        self.recent = Arc::default();
        Arc::make_mut(&mut self.settings)
    }

    /// What becomes of tools that no upstream executes. By default they are dropped.
    #[must_use]
    pub fn tools(mut self, policies: ToolPolicies) -> Self {
        self.change().tools = policies;
        self
    }

    /// What becomes of `strict`. By default it stays as the client declared it.
    #[must_use]
    pub fn strict(mut self, strict: Strict) -> Self {
        self.change().strict = strict;
        self
    }

    /// Where the descriptions of namespaces go. By default to each member.
    #[must_use]
    pub fn namespace_descriptions(mut self, descriptions: NamespaceDescriptions) -> Self {
        self.change().namespace_descriptions = descriptions;
        self
    }

    /// What becomes of calls of tools that are not declared. By default their names are declared.
    #[must_use]
    pub fn undeclared_calls(mut self, calls: UndeclaredCalls) -> Self {
        self.change().undeclared_calls = calls;
        self
    }

    /// What becomes of input items of hosted tools. By default they are told as notes.
    #[must_use]
    pub fn hosted_items(mut self, items: HostedItems) -> Self {
        self.change().hosted_items = items;
        self
    }

    /// What becomes of input items of unknown types. By default they pass.
    #[must_use]
    pub fn unknown_items(mut self, policy: Policy) -> Self {
        self.change().unknown_items = policy;
        self
    }

    /// What becomes of encrypted reasoning. By default it is removed.
    #[must_use]
    pub fn encrypted_reasoning(mut self, reasoning: EncryptedReasoning) -> Self {
        self.change().encrypted_reasoning = reasoning;
        self
    }

    /// Rewrites the body of a `POST /v1/responses`.
    ///
    /// # Errors
    /// 400 for what a policy rejects, for a `tool_choice` that names a tool which is not there, and
    /// for items that mean something this upstream cannot know: `item_reference`,
    /// `compaction_trigger`.
    pub fn normalize(&self, body: &mut Object) -> Result<Normalized, ApiError> {
        let choice = body.get("tool_choice").cloned();
        let (tools, mut catalog) = self.recent.catalog(&self.settings, body)?;
        history::translate(body, &mut catalog, &self.settings, &self.recent)?;
        choice::translate(body, &mut catalog, &self.settings.tools)?;
        include::translate(body, &self.settings.tools);

        let mut map = catalog.map();
        let upstream = catalog.changed();
        if upstream.is_some() || choice.as_ref() != body.get("tool_choice") {
            // The map lives as long as the response; the request need not.
            map.declared(tools.map(Tools::detached), choice.map(|choice| choice.detached()));
        }
        match upstream {
            Some(upstream) if upstream.is_empty() => drop(body.remove("tools")),
            Some(upstream) => body.set("tools", upstream),
            None => {}
        }
        Ok(Normalized { map: map.build(), dropped: catalog.dropped().to_vec() })
    }
}
