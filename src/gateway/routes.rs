use std::{
    collections::HashMap,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_service::Service;

use crate::upstream::{Upstream, UpstreamFuture};

/// Chooses the upstream by the model that a request names, after aliases.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    default: Upstream,
    by_model: Arc<HashMap<String, Upstream>>,
}

impl Routes {
    pub(super) fn new(default: Upstream, by_model: HashMap<String, Upstream>) -> Self {
        Self { default, by_model: Arc::new(by_model) }
    }
}

impl Service<Request<RequestBody>> for Routes {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = UpstreamFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> UpstreamFuture {
        if !self.by_model.is_empty()
            && let Some(body) = request.body_mut().object_mut()
            && let Some(model) = body.get_str("model")
            && let Some(upstream) = self.by_model.get(&*model)
        {
            return upstream.clone().call(request);
        }
        self.default.call(request)
    }
}
