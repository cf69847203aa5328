//! What an operator may decide.

/// What becomes of something that the upstream does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// It is left out.
    #[default]
    Drop,
    /// It goes to the upstream as it is.
    Pass,
    /// The request is refused with 400.
    Reject,
}

/// The [`Policy`] for each type of tool that is neither declared by the client nor executed by it:
/// `web_search`, `code_interpreter`, `file_search`, `mcp`, `image_generation` and so on. By default
/// all of them are dropped, and so are types that nobody knows.
///
/// ```
/// use tower_responses_tool_normalize::{Policy, ToolPolicies};
///
/// let policies = ToolPolicies::new().set("web_search", Policy::Reject).unknown(Policy::Pass);
/// assert_eq!(policies.of("web_search_preview"), Policy::Reject);
/// assert_eq!(policies.of("image_generation"), Policy::Drop);
/// assert_eq!(policies.of("telepathy"), Policy::Pass);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ToolPolicies {
    types: Vec<(Box<str>, Policy)>,
    unknown: Policy,
}

impl ToolPolicies {
    /// Everything is dropped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the policy for one type. `web_search` and `computer` stand for their dated and preview
    /// versions too, unless these are set themselves.
    #[must_use]
    pub fn set(mut self, kind: &str, policy: Policy) -> Self {
        self.types.retain(|(set, _)| &**set != kind);
        self.types.push((kind.into(), policy));
        self
    }

    /// Sets the policy for types that are not known here.
    #[must_use]
    pub fn unknown(mut self, policy: Policy) -> Self {
        self.unknown = policy;
        self
    }

    /// The policy for tools of this type.
    pub fn of(&self, kind: &str) -> Policy {
        let set = |kind: &str| self.types.iter().find(|(set, _)| &**set == kind).map(|(_, policy)| *policy);
        let family = family(kind);
        set(kind).or_else(|| set(family?)).unwrap_or(if family.is_some() { Policy::Drop } else { self.unknown })
    }
}

/// The types of tools that a server has to execute, as OpenAI names them.
const HOSTED: [&str; 11] = [
    "apply_patch",
    "code_interpreter",
    "computer",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
];

/// The known type that this is, or a version of.
pub(crate) fn family(kind: &str) -> Option<&'static str> {
    HOSTED.into_iter().find(|known| {
        kind.strip_prefix(known).is_some_and(|version| {
            version.is_empty() || (matches!(*known, "web_search" | "computer") && version.starts_with('_'))
        })
    })
}

/// What becomes of `strict` on the client's functions. Those that stand for custom tools and for
/// the tool search are always strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strict {
    /// It stays as the client declared it.
    #[default]
    AsDeclared,
    /// It is set wherever the schema of the parameters is one that grammar engines are known to
    /// take. vLLM constrains arguments only where it is set, and else was seen to give `200` as the
    /// arguments of a tool whose call was required.
    Force,
}

/// Where the description of a namespace goes: upstream has no place of its own for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NamespaceDescriptions {
    /// Before the description of each of its members that does not begin with it already.
    #[default]
    EachMember,
    /// Before the description of the first of its members alone: cheaper for large namespaces.
    FirstMember,
    /// Nowhere.
    Omit,
}

/// What becomes of calls in the history whose tools the request does not declare (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UndeclaredCalls {
    /// A function of that name and without a schema is declared, after all others, unless the
    /// request declares no tools at all: servers and chat templates may rely on a declaration.
    #[default]
    Declare,
    /// Nothing.
    Pass,
}

/// What becomes of history items that tell of tools which a server executed: `web_search_call`,
/// `mcp_call`, `local_shell_call` and their like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HostedItems {
    /// They become messages of the assistant that tell what happened.
    #[default]
    Note,
    /// They are left out.
    Drop,
    /// They go to the upstream as they are.
    Pass,
}

/// What becomes of the `encrypted_content` of reasoning items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EncryptedReasoning {
    /// It is removed: who made it is the only one who can read it. What says nothing without it
    /// leaves as a whole.
    #[default]
    Remove,
    /// It goes to the upstream, which made it.
    Pass,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_some_types_are_known() {
        for (kind, known) in [
            ("web_search", Some("web_search")),
            ("web_search_preview_2025_03_11", Some("web_search")),
            ("computer_use_preview", Some("computer")),
            ("web_searcher", None),
            ("computers", None),
            ("mcp_list", None),
            ("shell_preview", None),
            ("", None),
        ] {
            assert_eq!(family(kind), known, "{kind}");
        }
    }
}
