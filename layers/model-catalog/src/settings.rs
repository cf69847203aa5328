//! What an operator says of a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }
    };
}

names! {
    /// How Codex runs commands (`shell_type`). Its 0.169 declares the same tools for all but
    /// `disabled`.
    ShellType {
        /// `default`
        Default,
        /// `local`
        Local,
        /// `shell_command`
        ShellCommand,
        /// `unified_exec`
        UnifiedExec,
        /// No tool that runs commands.
        Disabled,
    }
}

names! {
    /// Whether Codex offers the model in its picker.
    Visibility {
        /// It does.
        List,
        /// It does not, unless the model is asked for by name.
        Hide,
        /// It does not.
        None,
    }
}

names! {
    /// What a model reads.
    Modality {
        /// Text.
        Text,
        /// Images.
        Image,
        /// Sound.
        Audio,
    }
}

names! {
    /// How wordy answers are (`text.verbosity`).
    Verbosity {
        /// Terse.
        Low,
        /// In between.
        Medium,
        /// Wordy.
        High,
    }
}

names! {
    /// Which summary of its reasoning the model is asked for (`reasoning.summary`).
    ReasoningSummary {
        /// The model's choice.
        Auto,
        /// A short one.
        Concise,
        /// A long one.
        Detailed,
        /// None.
        None,
    }
}

names! {
    /// What `web_search` may find.
    WebSearchType {
        /// Text.
        Text,
        /// Text and images.
        TextAndImage,
    }
}

names! {
    /// What a [`Truncation`] counts.
    TruncationMode {
        /// Bytes.
        Bytes,
        /// Tokens, as Codex estimates them.
        Tokens,
    }
}

/// How much of a tool's output Codex keeps in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncation {
    /// What is counted.
    pub mode: TruncationMode,
    /// How many of them are kept.
    pub limit: u32,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)+) => {
        /// What an operator says of a model. What is not said comes from a wider entry of
        /// [`Settings`], then from the upstream's list, then from a default.
        ///
        /// Deserializes from a table in which unknown keys are errors.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct ModelSettings {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )+
            /// Further members of the entry for Codex, as they are to stand there; they replace
            /// those of the same name. If they make an entry that Codex refuses, all of them are
            /// left out, with a warning in the log.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub codex: BTreeMap<String, serde_json::Value>,
        }

        impl ModelSettings {
            /// These settings, with those of `wider` where nothing is said.
            #[must_use]
            pub fn or(self, wider: &Self) -> Self {
                let mut codex = wider.codex.clone();
                codex.extend(self.codex);
                Self { $($field: self.$field.or_else(|| wider.$field.clone()),)+ codex }
            }
        }
    };
}

settings! {
    /// The name that people see. Default: what the upstream says, else the id.
    display_name: String,
    /// One line about the model.
    description: String,
    /// How many tokens a request and its answer may have together. Default: what the upstream
    /// says.
    context_window: u32,
    /// At how many tokens Codex compacts its history. Default: 90 % of the context window
    /// (Codex's own).
    auto_compact_token_limit: u32,
    /// Which part of the context window Codex uses, in percent. Default: 95 (Codex's own).
    effective_context_window_percent: u8,
    /// Whether Codex declares `apply_patch`, as a custom tool with a grammar. Default: yes.
    apply_patch: bool,
    /// Whether Codex hides MCP tools behind `tool_search`. Default: no, they are declared at once.
    tool_search: bool,
    /// The efforts that the model knows, such as `["low", "medium", "high"]`. Default: none.
    reasoning_levels: Vec<String>,
    /// The effort that is asked for. Default: none, the model server's choice.
    default_reasoning_level: String,
    /// The summary that is asked for. Default: none.
    reasoning_summary: ReasoningSummary,
    /// The verbosity that is asked for. Default: none is.
    verbosity: Verbosity,
    /// The model's instructions, Codex's first message. Default: [`DEFAULT_INSTRUCTIONS`].
    ///
    /// [`DEFAULT_INSTRUCTIONS`]: crate::DEFAULT_INSTRUCTIONS
    base_instructions: String,
    /// The model that judges actions in place of the user when Codex is told to have them
    /// reviewed. Default: Codex's choice, which is `codex-auto-review` if that is in its catalog
    /// file, else the model itself.
    auto_review_model_override: String,
    /// What the model reads. Default: what the upstream says, else text alone.
    input_modalities: Vec<Modality>,
    /// Whether Codex sends its tools as an input item (`use_responses_lite`). Default: no.
    lite: bool,
    /// `code_mode` or `code_mode_only` make Codex declare a tool that runs JavaScript. Default:
    /// neither.
    tool_mode: String,
    /// `v1`, `v2` or `disabled`. Default: `v1`.
    multi_agent_version: String,
    /// How commands are run. Default: `unified_exec`.
    shell_type: ShellType,
    /// Whether the model is offered. Default: `list`.
    visibility: Visibility,
    /// Where it is offered; the lowest comes first and is the default. Default: its place in the
    /// list, from 1.
    priority: i32,
    /// How much of a tool's output is kept. Default: 10,000 tokens.
    truncation: Truncation,
    /// What `web_search` may find. Default: text.
    web_search: WebSearchType,
    /// Tools that Codex declares only on demand, such as `clock`. Default: none.
    experimental_tools: Vec<String>,
}

/// The settings of all models, by name.
///
/// A name that ends in `*` is for all models that begin with what stands before it; `*` alone is
/// for all. Where several fit, the longest counts, member by member.
///
/// ```
/// use tower_responses_model_catalog::{ModelSettings, Settings};
///
/// let of_all = ModelSettings { lite: Some(false), apply_patch: Some(false), ..Default::default() };
/// let of_one = ModelSettings { apply_patch: Some(true), ..Default::default() };
/// let settings = Settings::new().with("*", of_all).with("qwen*", of_one);
/// assert_eq!(settings.of("qwen3").apply_patch, Some(true));
/// assert_eq!(settings.of("qwen3").lite, Some(false));
/// assert_eq!(settings.of("llama").apply_patch, Some(false));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<String, ModelSettings>);

impl Settings {
    /// Nothing is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the settings of a model, or of all whose names fit.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, settings: ModelSettings) -> Self {
        self.0.insert(name.into(), settings);
        self
    }

    /// Names and settings, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ModelSettings)> {
        self.0.iter().map(|(name, settings)| (name.as_str(), settings))
    }

    /// The names that stand for one model each.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| !name.ends_with('*'))
    }

    /// What is said of `model`.
    pub fn of(&self, model: &str) -> ModelSettings {
        self.of_either(&[model])
    }

    /// What is said of a model with several names: the names count in their order, but any name
    /// counts more than any pattern.
    pub(crate) fn of_either(&self, names: &[&str]) -> ModelSettings {
        let exact = names.iter().filter_map(|name| self.0.get(*name));
        let mut patterns: Vec<_> = self
            .0
            .iter()
            .filter_map(|(name, settings)| Some((name.strip_suffix('*')?, settings)))
            .filter_map(|(prefix, settings)| {
                let by = names.iter().position(|name| name.starts_with(prefix))?;
                Some((std::cmp::Reverse(prefix.len()), by, settings))
            })
            .collect();
        patterns.sort_by_key(|(length, by, _)| (*length, *by));
        exact
            .chain(patterns.into_iter().map(|(_, _, settings)| settings))
            .fold(ModelSettings::default(), ModelSettings::or)
    }
}

impl FromIterator<(String, ModelSettings)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, ModelSettings)>>(settings: I) -> Self {
        Self(settings.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
