use std::{
    collections::HashMap,
    convert::Infallible,
    future::ready,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{BoxFuture, Either, FutureExt};
use http::{Request, Response};
use tower_responses_core::{ApiError, RequestBody, ResponseBody};
use tower_service::Service;

use super::{
    model_lists::{self, Further},
    paths::Paths,
};
use crate::upstream::{Upstream, UpstreamFuture};

/// Chooses the upstream by the model that a request names, after aliases, and passes on what that
/// is to get. All are asked for the list of models.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    default: Target,
    by_model: HashMap<String, Target>,
    further: Vec<Further>,
}

/// An upstream, and what it gets.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) upstream: Upstream,
    pub(super) paths: Arc<Paths>,
}

impl Routes {
    pub(super) fn new(default: Target, further: Vec<(Target, Vec<String>)>) -> Self {
        let served =
            further.iter().flat_map(|(target, models)| models.iter().map(|model| (model.clone(), target.clone())));
        let by_model = served.collect();
        let further = further.into_iter().map(|(target, models)| Further { upstream: target.upstream, models });
        Self { shared: Arc::new(Shared { default, by_model, further: further.collect() }) }
    }
}

impl Shared {
    fn target(&self, request: &mut Request<RequestBody>) -> &Target {
        if !self.by_model.is_empty()
            && let Some(body) = request.body_mut().object_mut()
            && let Some(model) = body.get_str("model")
            && let Some(target) = self.by_model.get(&*model)
        {
            return target;
        }
        &self.default
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
        let refused = |error: ApiError| Either::Right(ready(Ok(error.into_response())).boxed());
        let target = self.shared.target(&mut request);
        if let Err(error) = target.paths.check(&request) {
            return refused(error);
        }
        if !self.shared.further.is_empty() && model_lists::is_list(&request) {
            let (default, further) = (target.upstream.clone(), self.shared.further.clone());
            return Either::Right(model_lists::ask(default, further, request).boxed());
        }
        Either::Left(target.upstream.clone().call(request))
    }
}
