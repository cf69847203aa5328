use std::{
    collections::HashMap,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{BoxFuture, Either, FutureExt};
use http::{Request, Response};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_service::Service;

use super::model_lists::{self, Further};
use crate::upstream::{Upstream, UpstreamFuture};

/// Chooses the upstream by the model that a request names, after aliases. All are asked for the
/// list of models.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    default: Upstream,
    by_model: Arc<HashMap<String, Upstream>>,
    further: Arc<[Further]>,
}

impl Routes {
    pub(super) fn new(default: Upstream, further: Vec<Further>) -> Self {
        let served = |further: &Further| {
            let upstream = further.upstream.clone();
            further.models.clone().into_iter().map(move |model| (model, upstream.clone()))
        };
        let by_model = further.iter().flat_map(served).collect();
        Self { default, by_model: Arc::new(by_model), further: further.into() }
    }
}

impl Service<Request<RequestBody>> for Routes {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<UpstreamFuture, BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        if !self.further.is_empty() && model_lists::is_list(&request) {
            let (default, further) = (self.default.clone(), self.further.to_vec());
            return Either::Right(model_lists::ask(default, further, request).boxed());
        }
        if !self.by_model.is_empty()
            && let Some(body) = request.body_mut().object_mut()
            && let Some(model) = body.get_str("model")
            && let Some(upstream) = self.by_model.get(&*model)
        {
            return Either::Left(upstream.clone().call(request));
        }
        Either::Left(self.default.call(request))
    }
}
