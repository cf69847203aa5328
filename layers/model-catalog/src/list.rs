//! The upstream's own list.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use bytes::Bytes;
use tower_responses_core::json::{Object, Value};

use crate::{Modality, check_entry};

/// What an upstream says of its models.
///
/// Read from OpenAI's shape (`{"data":[{"id"}]}`), from a bare array of such objects, and from
/// Codex's (`{"models":[{"slug"}]}`). An entry without a name is left out.
#[derive(Debug, Clone, Default)]
pub struct UpstreamModels {
    models: Vec<UpstreamModel>,
    places: HashMap<String, usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct UpstreamModel {
    pub(crate) id: String,
    /// The entry of `data`, as it came.
    pub(crate) card: Option<Object>,
    /// The entry of `models`, as it came, if Codex would take it.
    pub(crate) codex: Option<Object>,
    pub(crate) hints: ModelHints,
}

/// Why an answer is no list of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListError(String);

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ListError {}

impl UpstreamModels {
    /// Reads the answer of an upstream.
    ///
    /// # Errors
    /// Where `text` is not JSON or has no list.
    pub fn parse(text: Bytes) -> Result<Self, ListError> {
        let document = Value::parse(text).map_err(|error| ListError(format!("it is not JSON: {error}")))?;
        let cards = document.elements().or_else(|| document.member("data")?.elements());
        let entries = document.member("models").and_then(|models| models.elements());
        if cards.is_none() && entries.is_none() {
            return Err(ListError("it has neither `data` nor `models`".to_owned()));
        }
        let mut list = Self::default();
        for card in cards.into_iter().flatten() {
            list.add_card(card);
        }
        for entry in entries.into_iter().flatten() {
            list.add_entry(entry);
        }
        Ok(list)
    }

    /// The ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.id.as_str())
    }

    /// What the list says of a model beside its name.
    pub fn hints(&self, id: &str) -> Option<&ModelHints> {
        self.find(id).map(|model| &model.hints)
    }

    /// Whether the upstream itself has an entry for this model that Codex takes.
    pub fn has_codex_entry(&self, id: &str) -> bool {
        self.find(id).is_some_and(|model| model.codex.is_some())
    }

    pub(crate) fn find(&self, id: &str) -> Option<&UpstreamModel> {
        self.places.get(id).map(|at| &self.models[*at])
    }

    fn push(&mut self, model: UpstreamModel) {
        self.places.insert(model.id.clone(), self.models.len());
        self.models.push(model);
    }

    fn add_card(&mut self, mut card: Value) {
        let hints = ModelHints::of(&card);
        let Some(id) = card.member_str("id").map(String::from) else {
            return tracing::debug!("an entry of the upstream's model list has no id");
        };
        if self.find(&id).is_none()
            && let Some(card) = card.as_object_mut()
        {
            self.push(UpstreamModel { id, card: Some(std::mem::take(card)), codex: None, hints });
        }
    }

    fn add_entry(&mut self, mut entry: Value) {
        // llama.cpp and Ollama have `models` of another kind: the name tells them apart from
        // Codex's, and what they say is still worth reading.
        let Some(id) = ["slug", "name", "model"].iter().find_map(|name| entry.member_str(name)).map(String::from)
        else {
            return;
        };
        let hints = ModelHints::of(&entry);
        let codex = match check_entry(&entry) {
            Ok(()) => entry.as_object_mut().map(std::mem::take),
            Err(error) => {
                if entry.member("slug").is_some() {
                    tracing::debug!(model = %id, %error, "Codex would not take the upstream's entry for this model");
                }
                None
            }
        };
        match self.places.get(&id).map(|at| &mut self.models[*at]) {
            Some(model) => {
                model.hints.merge(hints);
                model.codex = model.codex.take().or(codex);
            }
            None => self.push(UpstreamModel { id, card: None, codex, hints }),
        }
    }
}

/// What a list says of a model, in whichever of the common spellings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelHints {
    /// The context window, in tokens: `max_model_len` (vLLM, SGLang), `context_window` (Codex,
    /// Groq), `context_length` (OpenRouter, Together), `loaded_context_length` and
    /// `max_context_length` (LM Studio, Mistral), `max_input_tokens` (LiteLLM), `meta.n_ctx`
    /// (llama.cpp).
    pub context_window: Option<u32>,
    /// What it reads: `input_modalities`, `architecture.input_modalities` (OpenRouter), or what
    /// `capabilities` says of vision.
    pub input_modalities: Option<Vec<Modality>>,
    /// The name for people.
    pub display_name: Option<String>,
    /// A line about it.
    pub description: Option<String>,
}

impl ModelHints {
    /// Reads an entry.
    pub fn of(entry: &Value) -> Self {
        let windows =
            ["max_model_len", "context_window", "context_length", "loaded_context_length", "max_context_length"];
        let window = windows.into_iter().chain(["max_input_tokens"]).find_map(|name| positive(&entry.member(name)?));
        let text = |name| Some(entry.member_str(name)?.into_owned()).filter(|text| !text.trim().is_empty());
        Self {
            context_window: window.or_else(|| positive(&entry.member("meta")?.member("n_ctx")?)),
            input_modalities: modalities(entry),
            display_name: text("display_name"),
            description: text("description"),
        }
    }

    fn merge(&mut self, other: Self) {
        self.context_window = self.context_window.or(other.context_window);
        self.input_modalities = self.input_modalities.take().or(other.input_modalities);
        self.display_name = self.display_name.take().or(other.display_name);
        self.description = self.description.take().or(other.description);
    }
}

fn positive(value: &Value) -> Option<u32> {
    value.decode::<f64>().ok().filter(|n| *n >= 1.0 && *n <= f64::from(u32::MAX)).and_then(|_| {
        // Some write 131072.0.
        let text = value.text();
        let whole = text.split(|byte| *byte == b'.').next()?;
        std::str::from_utf8(whole).ok()?.parse().ok()
    })
}

fn modalities(entry: &Value) -> Option<Vec<Modality>> {
    let listed = entry.member("input_modalities").or_else(|| entry.member("architecture")?.member("input_modalities"));
    if let Some(listed) = listed.and_then(|listed| listed.elements()) {
        let mut known: Vec<Modality> = listed.filter_map(|name| name.decode().ok()).collect();
        known.dedup();
        return (!known.is_empty()).then_some(known);
    }
    let capabilities = entry.member("capabilities")?;
    let names: BTreeSet<_> = match capabilities.elements() {
        Some(names) => names.filter_map(|name| name.as_str().map(String::from)).collect(),
        None => ["vision", "multimodal"]
            .into_iter()
            .filter(|name| capabilities.member(name).and_then(|value| value.as_bool()) == Some(true))
            .map(String::from)
            .collect(),
    };
    let sees = names.contains("vision") || names.contains("multimodal");
    sees.then(|| vec![Modality::Text, Modality::Image])
}

#[cfg(test)]
mod tests;
