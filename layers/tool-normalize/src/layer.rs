use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_responses_core::{
    BoxError, RequestBody, ResponseBody,
    rewrite::{Limits, is_create_request},
};
use tower_service::Service;

use crate::{
    EncryptedReasoning, HostedItems, NamespaceDescriptions, Normalizer, Policy, Strict, ToolNormalizeFuture,
    ToolPolicies, UndeclaredCalls,
};

#[cfg(test)]
mod tests;

/// The response header that names the types of tools which the upstream did not get to see,
/// separated by commas. It is there only if there were any.
pub const DROPPED_TOOLS: HeaderName = HeaderName::from_static("x-tower-responses-dropped-tools");

/// Makes [`ToolNormalize`] services.
#[derive(Debug, Clone, Default)]
pub struct ToolNormalizeLayer {
    normalizer: Normalizer,
    limits: Limits,
}

impl ToolNormalizeLayer {
    /// With the defaults of [`Normalizer::new`] and [`Limits::default`].
    pub fn new() -> Self {
        Self::default()
    }

    /// With all settings of a [`Normalizer`].
    #[must_use]
    pub fn normalizer(mut self, normalizer: Normalizer) -> Self {
        self.normalizer = normalizer;
        self
    }

    /// The bounds of what is held in memory; of the response nothing is.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// See [`Normalizer::tools`].
    #[must_use]
    pub fn tools(mut self, policies: ToolPolicies) -> Self {
        self.normalizer = self.normalizer.tools(policies);
        self
    }

    /// See [`Normalizer::strict`].
    #[must_use]
    pub fn strict(mut self, strict: Strict) -> Self {
        self.normalizer = self.normalizer.strict(strict);
        self
    }

    /// See [`Normalizer::namespace_descriptions`].
    #[must_use]
    pub fn namespace_descriptions(mut self, descriptions: NamespaceDescriptions) -> Self {
        self.normalizer = self.normalizer.namespace_descriptions(descriptions);
        self
    }

    /// See [`Normalizer::undeclared_calls`].
    #[must_use]
    pub fn undeclared_calls(mut self, calls: UndeclaredCalls) -> Self {
        self.normalizer = self.normalizer.undeclared_calls(calls);
        self
    }

    /// See [`Normalizer::hosted_items`].
    #[must_use]
    pub fn hosted_items(mut self, items: HostedItems) -> Self {
        self.normalizer = self.normalizer.hosted_items(items);
        self
    }

    /// See [`Normalizer::unknown_items`].
    #[must_use]
    pub fn unknown_items(mut self, policy: Policy) -> Self {
        self.normalizer = self.normalizer.unknown_items(policy);
        self
    }

    /// See [`Normalizer::encrypted_reasoning`].
    #[must_use]
    pub fn encrypted_reasoning(mut self, reasoning: EncryptedReasoning) -> Self {
        self.normalizer = self.normalizer.encrypted_reasoning(reasoning);
        self
    }
}

impl<S> Layer<S> for ToolNormalizeLayer {
    type Service = ToolNormalize<S>;

    fn layer(&self, inner: S) -> ToolNormalize<S> {
        ToolNormalize { inner, normalizer: Arc::new(self.normalizer.clone()), limits: self.limits }
    }
}

/// Rewrites each `POST …/responses` for a function-only upstream, and puts the
/// [`ToolMap`](tower_responses_core::ToolMap) into its extensions. Other requests pass untouched,
/// and so do all answers, but for the header [`DROPPED_TOOLS`].
#[derive(Debug, Clone)]
pub struct ToolNormalize<S> {
    inner: S,
    normalizer: Arc<Normalizer>,
    limits: Limits,
}

impl<S> ToolNormalize<S> {
    /// Wraps `inner`, with the defaults.
    pub fn new(inner: S) -> Self {
        ToolNormalizeLayer::new().layer(inner)
    }
}

impl<S, B, ResBody> Service<Request<B>> for ToolNormalize<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ToolNormalizeFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !is_create_request(&request) {
            return ToolNormalizeFuture::calling(self.inner.call(request.map(RequestBody::new)));
        }
        let (mut head, body) = request.into_parts();
        let body = match RequestBody::new(body).into_object() {
            Ok(object) => return ToolNormalizeFuture::begin(&mut self.inner, head, object, &self.normalizer),
            Err(body) => body,
        };
        // The one that is ready answers; its clone is asked for readiness next time.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let read = body.read(&mut head, self.limits.request);
        ToolNormalizeFuture::reading(read, head, inner, Arc::clone(&self.normalizer))
    }
}
