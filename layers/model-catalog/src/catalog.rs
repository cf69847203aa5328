//! The document for both kinds of clients.

use std::collections::HashMap;

use bytes::Bytes;
use tower_responses_core::json::{Array, Object, Value};

use crate::{ModelHints, ModelSettings, Settings, UpstreamModels, entry, list::UpstreamModel};

/// All models that clients may ask for: those of the upstream, then the aliases, then those that
/// only the settings name.
///
/// ```
/// use tower_responses_model_catalog::{Catalog, Settings, UpstreamModels};
///
/// let upstream = UpstreamModels::parse(r#"{"data":[{"id":"qwen3","max_model_len":65536}]}"#.into()).unwrap();
/// let catalog = Catalog::build(Some(&upstream), [("coder", "qwen3")], &Settings::new());
/// assert_eq!(catalog.ids().collect::<Vec<_>>(), ["qwen3", "coder"]);
/// assert_eq!(
///     catalog.get("coder").unwrap().text(),
///     r#"{"id":"coder","max_model_len":65536,"object":"model","created":0,"owned_by":"tower-responses"}"#
/// );
/// ```
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    models: Vec<Model>,
    places: HashMap<String, usize>,
}

#[derive(Debug, Clone)]
struct Model {
    id: String,
    card: Object,
    codex: Object,
}

impl Catalog {
    /// Makes the catalog of what is known: the upstream's list if there is one, the aliases as
    /// pairs of a name and its target, the settings.
    ///
    /// An alias is described as its target is, under its own name, and hides a model of the
    /// upstream that is called the same. One whose name has a `*` stands for no single model and
    /// is left out. Entries that the upstream itself has for Codex stay as they are, where Codex
    /// takes them; of the others only what they say of the model is used.
    pub fn build<'a>(
        upstream: Option<&UpstreamModels>,
        aliases: impl IntoIterator<Item = (&'a str, &'a str)>,
        settings: &Settings,
    ) -> Self {
        let aliases: Vec<_> = aliases.into_iter().filter(|(name, _)| !name.contains('*')).collect();
        let target = |name: &str| aliases.iter().find(|(alias, _)| *alias == name).map(|(_, target)| *target);
        let mut catalog = Self::default();
        let names = upstream.into_iter().flat_map(UpstreamModels::ids);
        for name in names.chain(aliases.iter().map(|(name, _)| *name)).chain(settings.names()) {
            if catalog.position(name).is_none() {
                catalog.add(name, target(name), upstream, settings);
            }
        }
        catalog
    }

    fn add(&mut self, name: &str, target: Option<&str>, upstream: Option<&UpstreamModels>, settings: &Settings) {
        let real = target.unwrap_or(name);
        let known = upstream.and_then(|list| list.find(real));
        let settings = match target {
            Some(target) => settings.of_either(&[name, target]),
            None => settings.of(name),
        };
        let priority = i32::try_from(self.models.len() + 1).unwrap_or(i32::MAX);
        let codex = codex_entry(name, target.is_some(), known, priority, &settings);
        self.places.insert(name.to_owned(), self.models.len());
        self.models.push(Model { id: name.to_owned(), card: card(name, known), codex });
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.id.as_str())
    }

    /// Whether there is no model.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The answer to `GET …/models/{id}`: the model as OpenAI clients read it.
    pub fn get(&self, id: &str) -> Option<&Object> {
        self.position(id).map(|at| &self.models[at].card)
    }

    /// The model as Codex reads it.
    pub fn codex_entry(&self, id: &str) -> Option<&Object> {
        self.position(id).map(|at| &self.models[at].codex)
    }

    /// The answer to `GET …/models`, for both: `{"object":"list","data":[…],"models":[…]}`.
    pub fn document(&self) -> Object {
        let mut document = Object::new();
        document.set("object", "list");
        document.set("data", self.models.iter().map(|model| Value::from(model.card.clone())).collect::<Array>());
        document.set("models", self.entries());
        document
    }

    /// The text of a file that Codex reads as `model_catalog_json`: `{"models":[…]}`. Codex wants
    /// at least one model in it.
    pub fn catalog_json(&self) -> Bytes {
        let mut document = Object::new();
        document.set("models", self.entries());
        document.text()
    }

    fn entries(&self) -> Array {
        self.models.iter().map(|model| Value::from(model.codex.clone())).collect()
    }
}

/// The upstream's own entry under this name, with what OpenAI's clients require.
fn card(name: &str, known: Option<&UpstreamModel>) -> Object {
    let mut card = known.and_then(|model| model.card.clone()).unwrap_or_default();
    if !card.member_is("id", name) {
        card.set("id", name);
    }
    for (member, value) in [
        ("object", Value::string("model")),
        ("created", Value::from_text("0")),
        ("owned_by", Value::string("tower-responses")),
    ] {
        if !card.has(member) {
            card.set(member, value);
        }
    }
    card
}

fn codex_entry(
    name: &str,
    is_alias: bool,
    known: Option<&UpstreamModel>,
    priority: i32,
    settings: &ModelSettings,
) -> Object {
    let given = known.and_then(|model| model.codex.clone());
    match given {
        Some(mut given) if is_alias => {
            given.set("slug", name);
            given.set("display_name", settings.display_name.as_deref().unwrap_or(name));
            given
        }
        Some(given) => given,
        None => {
            let mut hints = known.map_or_else(ModelHints::default, |model| model.hints.clone());
            if is_alias {
                hints.display_name = None;
            }
            entry::entry(name, priority, settings, &hints)
        }
    }
}

#[cfg(test)]
mod tests;
