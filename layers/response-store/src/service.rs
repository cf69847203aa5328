use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_responses_core::{BoxError, RequestBody, ResponseBody};
use tower_service::Service;

use crate::{answer::answer, future::ResponseStoreFuture, layer::Config, route::Route};

/// The service of [`ResponseStoreLayer`](crate::ResponseStoreLayer).
#[derive(Debug, Clone)]
pub struct ResponseStoreService<S> {
    pub(crate) inner: S,
    pub(crate) config: Arc<Config>,
}

impl<S> ResponseStoreService<S> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, ResBody> Service<Request<B>> for ResponseStoreService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ResponseStoreFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        match Route::of(&head.method, head.uri.path()) {
            None => {
                let request = Request::from_parts(head, RequestBody::new(body));
                ResponseStoreFuture::passing(self.inner.call(request), self.config.limits)
            }
            Some(Route::Create) => match RequestBody::new(body).into_object() {
                Ok(object) => ResponseStoreFuture::begin(&mut self.inner, head, object, &self.config),
                Err(body) => {
                    let read = body.read(&mut head, self.config.limits.request);
                    ResponseStoreFuture::reading(read, head, take_ready(&mut self.inner), self.config.clone())
                }
            },
            Some(route) => {
                let config = self.config.clone();
                let answer = async move { answer(config.keeper.as_deref(), &head, route).await };
                ResponseStoreFuture::answering(Box::pin(answer))
            }
        }
    }
}

/// The service that is ready: it answers, and its clone is asked for readiness next time.
pub(crate) fn take_ready<S: Clone>(inner: &mut S) -> S {
    let clone = inner.clone();
    std::mem::replace(inner, clone)
}
