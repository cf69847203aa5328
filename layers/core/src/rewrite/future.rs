use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, header::ACCEPT_ENCODING, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Limits, ResponseFuture, RewriteRequest};
use crate::{ApiError, BoxError, ReadObject, RequestBody, ResponseBody, json::Object};

pin_project! {
    /// Future of [`Rewrite`](super::Rewrite).
    pub struct RewriteFuture<S, R>
    where
        S: Service<Request<RequestBody>>,
        R: RewriteRequest,
    {
        limits: Limits,
        #[pin]
        state: State<S, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R>
    where
        S: Service<Request<RequestBody>>,
        R: RewriteRequest,
    {
        Reading { read: ReadObject, head: Option<Parts>, inner: S, rewrite: R },
        Calling { #[pin] future: ResponseFuture<S::Future, R::Response> },
        Refused { response: Option<Response<ResponseBody>> },
    }
}

impl<S, R> RewriteFuture<S, R>
where
    S: Service<Request<RequestBody>>,
    R: RewriteRequest,
{
    pub(super) fn reading(read: ReadObject, head: Parts, inner: S, rewrite: R, limits: Limits) -> Self {
        Self { limits, state: State::Reading { read, head: Some(head), inner, rewrite } }
    }

    /// For a body that was read already.
    pub(super) fn begin(inner: &mut S, rewrite: &R, head: Parts, object: Box<Object>, limits: Limits) -> Self {
        match begin(rewrite, head, object) {
            Ok((request, rewrite)) => Self::calling(inner.call(request), rewrite, limits),
            Err(error) => Self { limits, state: State::Refused { response: Some(error.into_response()) } },
        }
    }

    pub(super) fn calling(future: S::Future, rewrite: Option<R::Response>, limits: Limits) -> Self {
        Self { limits, state: State::Calling { future: ResponseFuture::new(future, rewrite, limits) } }
    }
}

impl<S, R, ResBody> Future for RewriteFuture<S, R>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>>,
    R: RewriteRequest,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Reading { read, head, inner, rewrite } => {
                    let object = ready!(Pin::new(read).poll(cx)).map_err(ApiError::from);
                    let head = head.take().expect("polled after it was ready");
                    let (request, rewrite) = match object.and_then(|object| begin(rewrite, head, object)) {
                        Ok(begun) => begun,
                        Err(error) => return Poll::Ready(Ok(error.into_response())),
                    };
                    let future = ResponseFuture::new(inner.call(request), rewrite, *this.limits);
                    this.state.set(State::Calling { future });
                }
                StateProj::Calling { future } => return future.poll(cx),
                StateProj::Refused { response } => {
                    return Poll::Ready(Ok(response.take().expect("polled after it was ready")));
                }
            }
        }
    }
}

type Begun<R> = (Request<RequestBody>, Option<R>);

fn begin<R: RewriteRequest>(
    rewrite: &R,
    mut head: Parts,
    mut object: Box<Object>,
) -> Result<Begun<R::Response>, ApiError> {
    let response = rewrite.rewrite(&mut head, &mut object)?;
    if response.is_some() {
        // What comes back compressed could not be read.
        head.headers.remove(ACCEPT_ENCODING);
    }
    Ok((Request::from_parts(head, RequestBody::from(object)), response))
}

impl<S, R> fmt::Debug for RewriteFuture<S, R>
where
    S: Service<Request<RequestBody>>,
    R: RewriteRequest,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RewriteFuture").finish_non_exhaustive()
    }
}
