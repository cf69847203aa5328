use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, header::ACCEPT_ENCODING, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_responses_core::{
    ApiError, BoxError, ReadObject, RequestBody, ResponseBody,
    json::Object,
    rewrite::{Limits, ResponseFuture},
};
use tower_service::Service;

use crate::{
    hydrate::{Begun, Hydrate, begin},
    keep::Keep,
    layer::Config,
    service::take_ready,
};

type Answer = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

pin_project! {
    /// Future of [`ResponseStoreService`](crate::ResponseStoreService).
    pub struct ResponseStoreFuture<S>
    where
        S: Service<Request<RequestBody>>,
    {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S>
    where
        S: Service<Request<RequestBody>>,
    {
        Reading { read: ReadObject, head: Option<Parts>, inner: Option<S>, config: Arc<Config> },
        Hydrating { hydrate: Hydrate, waiting: Option<(Parts, S)>, limits: Limits },
        Calling { #[pin] future: ResponseFuture<S::Future, Keep> },
        Answering { answer: Answer },
        Refused { response: Option<Response<ResponseBody>> },
    }
}

impl<S> ResponseStoreFuture<S>
where
    S: Service<Request<RequestBody>>,
{
    pub(crate) fn passing(future: S::Future, limits: Limits) -> Self {
        Self { state: State::Calling { future: ResponseFuture::new(future, None, limits) } }
    }

    pub(crate) fn reading(read: ReadObject, head: Parts, inner: S, config: Arc<Config>) -> Self {
        Self { state: State::Reading { read, head: Some(head), inner: Some(inner), config } }
    }

    pub(crate) fn answering(answer: Answer) -> Self {
        Self { state: State::Answering { answer } }
    }

    /// For a body that was read already.
    pub(crate) fn begin(inner: &mut S, head: Parts, body: Box<Object>, config: &Arc<Config>) -> Self
    where
        S: Clone,
    {
        let begun = begin(config, &head, body).map(|begun| match begun {
            Begun::Ready((body, keep)) => call(inner, head, body, keep, config.limits),
            Begun::Waiting(hydrate) => {
                State::Hydrating { hydrate, waiting: Some((head, take_ready(inner))), limits: config.limits }
            }
        });
        Self { state: begun.unwrap_or_else(|error| State::Refused { response: Some(error.into_response()) }) }
    }
}

impl<S, ResBody> Future for ResponseStoreFuture<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Reading { read, head, inner, config } => {
                    let object = ready!(Pin::new(read).poll(cx));
                    let head = head.take().expect("polled after it was ready");
                    let mut inner = inner.take().expect("polled after it was ready");
                    match object.map_err(ApiError::from).and_then(|body| begin(config, &head, body)) {
                        Err(error) => return Poll::Ready(Ok(error.into_response())),
                        Ok(Begun::Ready((body, keep))) => call(&mut inner, head, body, keep, config.limits),
                        Ok(Begun::Waiting(hydrate)) => {
                            State::Hydrating { hydrate, waiting: Some((head, inner)), limits: config.limits }
                        }
                    }
                }
                StateProj::Hydrating { hydrate, waiting, limits } => {
                    let hydrated = ready!(hydrate.as_mut().poll(cx));
                    let (head, mut inner) = waiting.take().expect("polled after it was ready");
                    match hydrated {
                        Err(error) => return Poll::Ready(Ok(error.into_response())),
                        Ok((body, keep)) => call(&mut inner, head, body, keep, *limits),
                    }
                }
                StateProj::Calling { future } => return future.poll(cx),
                StateProj::Answering { answer } => return answer.as_mut().poll(cx).map(Ok),
                StateProj::Refused { response } => {
                    return Poll::Ready(Ok(response.take().expect("polled after it was ready")));
                }
            };
            this.state.set(next);
        }
    }
}

fn call<S>(inner: &mut S, mut head: Parts, body: Box<Object>, keep: Keep, limits: Limits) -> State<S>
where
    S: Service<Request<RequestBody>>,
{
    // What comes back compressed could not be read.
    head.headers.remove(ACCEPT_ENCODING);
    let future = inner.call(Request::from_parts(head, RequestBody::from(body)));
    State::Calling { future: ResponseFuture::new(future, Some(keep), limits) }
}

impl<S> fmt::Debug for ResponseStoreFuture<S>
where
    S: Service<Request<RequestBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStoreFuture").finish_non_exhaustive()
    }
}
