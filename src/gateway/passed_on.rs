use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::future::{BoxFuture, Either, FutureExt};
use http::{Request, Response, header::EXPECT};
use http_body::Body;
use http_body_util::BodyExt;
use tower_responses_core::{ApiError, BoxError, CollectError, ReadError, RequestBody, ResponseBody};
use tower_service::Service;

/// Holds the requests that go to the upstream as they come to the limit that is kept elsewhere by
/// whoever reads them.
#[derive(Debug, Clone)]
pub(super) struct PassedOn<S> {
    inner: S,
    limit: usize,
}

impl<S> PassedOn<S> {
    pub(super) fn new(inner: S, limit: usize) -> Self {
        Self { inner, limit }
    }
}

impl<S> Service<Request<RequestBody>> for PassedOn<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = Infallible>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        if request.body_mut().object_mut().is_some() {
            return Either::Left(self.inner.call(request));
        }
        let limit = self.limit;
        let request = request.map(|body| body.limit(limit));
        if request.body().size_hint().lower() <= limit as u64 {
            return Either::Left(self.inner.call(request));
        }
        let (head, body) = request.into_parts();
        // Who waits for "100 Continue" has sent nothing yet.
        let body = if head.headers.contains_key(EXPECT) { RequestBody::empty() } else { body };
        Either::Right(async move { Ok(discard(body, limit).await.into_response()) }.boxed())
    }
}

/// Reads on, so that a client which writes before it reads can see the answer.
async fn discard(mut body: RequestBody, limit: usize) -> ApiError {
    let too_large = || ApiError::from(ReadError::Body(CollectError::TooLarge { limit }));
    while let Some(frame) = body.frame().await {
        if let Err(error) = frame {
            return error.downcast().map_or_else(|_: BoxError| too_large(), |error: Box<ApiError>| *error);
        }
    }
    too_large()
}
