//! A model as Codex describes it: an entry of its catalog.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use serde_json::{Map, json};
use tower_responses_core::json::{Object, Value};

use crate::{
    Modality, ModelHints, ModelSettings, ReasoningSummary, ShellType, Truncation, TruncationMode, Verbosity,
    Visibility, WebSearchType,
};

/// What a model is told if the operator says nothing. Codex has no instructions of its own for a
/// model that is in its catalog.
pub const DEFAULT_INSTRUCTIONS: &str = include_str!("entry/instructions.md");

/// The members that Codex reads (0.169 to 0.171), as strictly as it reads them: found by giving each
/// of them to it with values of every type. All others it ignores.
#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct Entry {
    slug: String,
    display_name: String,
    supported_reasoning_levels: Vec<Table<ReasoningLevel>>,
    shell_type: ShellType,
    visibility: Visibility,
    supported_in_api: bool,
    priority: i32,
    support_verbosity: bool,
    truncation_policy: Table<TruncationPolicy>,
    experimental_supported_tools: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    base_instructions: Option<String>,
    model_messages: Option<Table<ModelMessages>>,
    #[serde(flatten)]
    optional: Optional,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct Optional {
    apply_patch_tool_type: Option<ApplyPatch>,
    auto_compact_token_limit: Option<i64>,
    auto_review_model_override: Option<String>,
    availability_nux: Option<Table<Nux>>,
    comp_hash: Option<String>,
    context_window: Option<i64>,
    default_reasoning_level: Option<String>,
    default_service_tier: Option<String>,
    default_verbosity: Option<Verbosity>,
    description: Option<String>,
    max_context_window: Option<i64>,
    model_specialty: Option<String>,
    multi_agent_reasoning_effort: Option<String>,
    multi_agent_tools_in_code_mode: Option<bool>,
    multi_agent_version: Option<String>,
    tool_mode: Option<String>,
    upgrade: Option<Table<Upgrade>>,
    web_search_provider: Option<WebSearchProvider>,
    // These may be absent, but not null.
    #[serde(default, deserialize_with = "present")]
    additional_speed_tiers: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    default_reasoning_summary: Option<ReasoningSummary>,
    #[serde(default, deserialize_with = "present")]
    effective_context_window_percent: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    input_modalities: Option<Vec<Modality>>,
    #[serde(default, deserialize_with = "present")]
    service_tiers: Option<Vec<Table<ServiceTier>>>,
    #[serde(default, deserialize_with = "present")]
    web_search_tool_type: Option<WebSearchType>,
    #[serde(flatten)]
    switches: Switches,
}

/// Absent is `false`, null is an error.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
#[allow(dead_code, clippy::struct_excessive_bools, reason = "only whether it decodes counts")]
struct Switches {
    include_apps_usage_instructions: bool,
    include_plugin_usage_instructions: bool,
    include_skills_usage_instructions: bool,
    node_repl_auto_review_required: bool,
    node_repl_disabled: bool,
    supports_experimental_context: bool,
    supports_image_detail_original: bool,
    supports_reasoning_effort_updates: bool,
    supports_reasoning_summary_parameter: bool,
    supports_search_tool: bool,
    use_responses_lite: bool,
}

/// What stands there must be a `T`: null is none.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct ReasoningLevel {
    effort: String,
    description: String,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct TruncationPolicy {
    mode: TruncationMode,
    limit: i64,
}

/// More texts, of which Codex knows a dozen kinds: nearly all are tables of texts.
#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct ModelMessages {
    instructions_template: Option<String>,
    persistent_instructions: Option<String>,
    content_filter_guidance: Option<String>,
    multi_agent: Option<BTreeMap<String, Option<Texts>>>,
    token_budget: Option<Table<TokenBudget>>,
    #[serde(flatten)]
    others: BTreeMap<String, Option<Texts>>,
}

type Texts = BTreeMap<String, Option<String>>;

#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct TokenBudget {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    use_history_notes_extension: bool,
    reminder_threshold_tokens: i64,
    reminder_message_template: String,
    guidance_message: String,
    auto_compact_fallback_prompt: String,
    auto_compact_fallback_buffer_tokens: i64,
}

/// A `T` that is written as an object: serde also takes arrays for structs.
struct Table<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Map::deserialize(deserializer)?;
        T::deserialize(serde_json::Value::Object(table)).map(Self).map_err(de::Error::custom)
    }
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct Nux {
    message: String,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct Upgrade {
    model: String,
    migration_markdown: String,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only whether it decodes counts")]
struct ServiceTier {
    id: String,
    name: String,
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ApplyPatch {
    Freeform,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WebSearchProvider {
    Standalone,
    SearchMcp,
}

/// Whether Codex would take this entry. It refuses a whole catalog for one that it does not take.
///
/// # Errors
/// What is missing or wrong, in words.
pub fn check_entry(entry: &Value) -> Result<(), String> {
    // Whole first: a number or an escape that cannot be read may stand anywhere.
    let entry: serde_json::Value = entry.decode().map_err(|error| error.to_string())?;
    let entry = Entry::deserialize(entry).map_err(|error| error.to_string())?;
    let template = entry.model_messages.and_then(|messages| messages.0.instructions_template);
    match entry.base_instructions.or(template) {
        Some(_) => Ok(()),
        None => Err("missing field `base_instructions`".to_owned()),
    }
}

/// The entry of a model of which the upstream says nothing that Codex reads.
pub(crate) fn entry(slug: &str, priority: i32, settings: &ModelSettings, hints: &ModelHints) -> Object {
    let mut entry = required(slug, priority, settings, hints);
    optional(&mut entry, settings, hints);
    if settings.codex.is_empty() {
        return entry;
    }
    let mut extended = entry.clone();
    for (name, value) in &settings.codex {
        extended.set(name, Value::serialize(value));
    }
    match check_entry(&extended.clone().into()) {
        Ok(()) => extended,
        Err(error) => {
            tracing::warn!(model = slug, %error, "the further members of this model's settings are left out");
            entry
        }
    }
}

fn required(slug: &str, priority: i32, settings: &ModelSettings, hints: &ModelHints) -> Object {
    let name = settings.display_name.as_deref().or(hints.display_name.as_deref()).unwrap_or(slug);
    let efforts = settings.reasoning_levels.iter().flatten();
    let levels: Vec<_> = efforts.map(|effort| json!({"effort": effort, "description": effort})).collect();
    let truncation = settings.truncation.unwrap_or(Truncation { mode: TruncationMode::Tokens, limit: 10_000 });
    let mut entry = Object::new();
    entry.set("slug", slug);
    entry.set("display_name", name);
    entry.set("supported_reasoning_levels", Value::serialize(&levels));
    entry.set("shell_type", Value::serialize(&settings.shell_type.unwrap_or(ShellType::UnifiedExec)));
    entry.set("visibility", Value::serialize(&settings.visibility.unwrap_or(Visibility::List)));
    entry.set("supported_in_api", Value::bool(true));
    entry.set("priority", Value::serialize(&settings.priority.unwrap_or(priority)));
    entry.set("support_verbosity", Value::bool(settings.verbosity.is_some()));
    entry.set("truncation_policy", Value::serialize(&truncation));
    entry.set("experimental_supported_tools", Value::serialize(&settings.experimental_tools.as_deref().unwrap_or(&[])));
    entry.set("base_instructions", settings.base_instructions.as_deref().unwrap_or(DEFAULT_INSTRUCTIONS));
    entry
}

/// Members that are left out where there is nothing to say: Codex then has defaults of its own.
fn optional(entry: &mut Object, settings: &ModelSettings, hints: &ModelHints) {
    let text_only = vec![Modality::Text];
    let modalities = settings.input_modalities.as_ref().or(hints.input_modalities.as_ref()).unwrap_or(&text_only);
    let summary = settings.reasoning_summary.unwrap_or(ReasoningSummary::None);
    entry.set("input_modalities", Value::serialize(modalities));
    entry.set("default_reasoning_summary", Value::serialize(&summary));
    entry.set("supports_search_tool", Value::bool(settings.tool_search.unwrap_or(false)));
    entry.set("use_responses_lite", Value::bool(settings.lite.unwrap_or(false)));
    entry.set("multi_agent_version", settings.multi_agent_version.as_deref().unwrap_or("v1"));
    entry.set("web_search_tool_type", Value::serialize(&settings.web_search.unwrap_or(WebSearchType::Text)));
    if settings.apply_patch.unwrap_or(true) {
        entry.set("apply_patch_tool_type", "freeform");
    }
    let mut text = |name, value: Option<&String>| {
        if let Some(value) = value {
            entry.set(name, value.as_str());
        }
    };
    text("description", settings.description.as_ref().or(hints.description.as_ref()));
    text("default_reasoning_level", settings.default_reasoning_level.as_ref());
    text("auto_review_model_override", settings.auto_review_model_override.as_ref());
    text("tool_mode", settings.tool_mode.as_ref());
    let mut number = |name, value: Option<u32>| {
        if let Some(value) = value {
            entry.set(name, Value::serialize(&value));
        }
    };
    number("context_window", settings.context_window.or(hints.context_window));
    number("auto_compact_token_limit", settings.auto_compact_token_limit);
    number("effective_context_window_percent", settings.effective_context_window_percent.map(u32::from));
    if let Some(verbosity) = settings.verbosity {
        entry.set("default_verbosity", Value::serialize(&verbosity));
    }
}

#[cfg(test)]
mod tests;
