use std::{borrow::Cow, sync::Arc};

use http::request::Parts;
use tower_layer::Layer;
use tower_responses_core::{
    ApiError,
    json::Object,
    rewrite::{Limits, Rewrite, RewriteRequest},
};

use crate::{Aliases, RestoreModel};

/// Rewrites `model` in requests, and back in responses.
#[derive(Debug, Clone, Default)]
pub struct ModelAliasLayer {
    rename: RenameRequest,
    limits: Limits,
}

impl ModelAliasLayer {
    /// A layer with these aliases.
    pub fn new(aliases: Aliases) -> Self {
        Self { rename: RenameRequest { aliases: Arc::new(aliases) }, limits: Limits::default() }
    }

    /// Sets the bounds of what is held in memory of a request and of a response.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl<S> Layer<S> for ModelAliasLayer {
    type Service = ModelAlias<S>;

    fn layer(&self, inner: S) -> ModelAlias<S> {
        Rewrite::new(inner, self.rename.clone()).with_limits(self.limits)
    }
}

/// The service that [`ModelAliasLayer`] makes.
pub type ModelAlias<S> = Rewrite<S, RenameRequest>;

/// Gives a request the model name that the upstream knows.
#[derive(Debug, Clone, Default)]
pub struct RenameRequest {
    aliases: Arc<Aliases>,
}

impl RewriteRequest for RenameRequest {
    type Response = RestoreModel;

    fn applies(&self, head: &Parts) -> bool {
        !self.aliases.is_empty() && tower_responses_core::rewrite::is_create(&head.method, head.uri.path())
    }

    fn rewrite(&self, _: &mut Parts, body: &mut Object) -> Result<Option<RestoreModel>, ApiError> {
        let asked = match (body.get_str("model"), self.aliases.default_model()) {
            (Some(model), _) => model.into_owned(),
            (None, Some(default)) if !body.has("model") => default.to_owned(),
            (None, _) => return Ok(None),
        };
        let target = self.aliases.target(&asked).map(Cow::into_owned);
        let named = body.has("model");
        match target {
            None if named => Ok(None),
            None => {
                body.set("model", asked.as_str());
                Ok(None)
            }
            Some(target) => {
                body.set("model", target.as_str());
                Ok(Some(RestoreModel::new(asked)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
