use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    response::Parts,
};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{Limits, RewriteResponse};
use crate::{
    ApiError, BoxError, ResponseBody,
    body::{Collect, CollectError},
    json::Object,
};

pin_project! {
    /// Waits for a response and changes it: for a service that has no need to read the request.
    pub struct ResponseFuture<F, R> {
        limits: Limits,
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = StateProj]
    // One after the other in the same place: futures nest, and each is moved with all inside it.
    enum State<F, R> {
        Waiting { #[pin] future: F, rewrite: Option<R> },
        Changing { body: RewriteResponseBody<R> },
    }
}

impl<F, R> ResponseFuture<F, R> {
    /// With `None` the response passes as it comes.
    pub fn new(future: F, rewrite: Option<R>, limits: Limits) -> Self {
        Self { limits, state: State::Waiting { future, rewrite } }
    }
}

impl<F, R, ResBody, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    R: RewriteResponse + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let body = match this.state.as_mut().project() {
            StateProj::Waiting { future, rewrite } => {
                let Poll::Ready(response) = future.poll(cx) else {
                    if let Some(rewrite) = rewrite {
                        rewrite.waiting(cx);
                    }
                    return Poll::Pending;
                };
                let response = response?.map(ResponseBody::new);
                let Some(rewrite) = rewrite.take() else { return Poll::Ready(Ok(response)) };
                RewriteResponseBody::new(response, rewrite, *this.limits)
            }
            StateProj::Changing { body } => return body.poll(cx).map(Ok),
        };
        this.state.set(State::Changing { body });
        match this.state.project() {
            StateProj::Changing { body } => body.poll(cx).map(Ok),
            StateProj::Waiting { .. } => Poll::Pending,
        }
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Changes a response that is there: a stream from its first event on, an object once it has
/// been read.
pub struct RewriteResponseBody<R> {
    step: Step<R>,
}

enum Step<R> {
    Ready(Option<Response<ResponseBody>>),
    Reading { head: Option<Parts>, collect: Collect, rewrite: R },
    Holding { response: Option<(Parts, Box<Object>)>, rewrite: R },
}

impl<R: RewriteResponse + 'static> RewriteResponseBody<R> {
    /// Begins with a response whose head has come.
    pub fn new(response: Response<ResponseBody>, mut rewrite: R, limits: Limits) -> Self {
        let (mut head, body) = response.into_parts();
        rewrite.head(&mut head);
        // What a layer further in has read tells more than the headers, and for less.
        let shape = if body.is_object() { Shape::Object } else { Shape::of(&head.headers) };
        let step = match shape {
            Shape::Events => {
                head.headers.remove(CONTENT_LENGTH);
                let body = body.with_filter(Box::new(rewrite), limits.response);
                Step::Ready(Some(Response::from_parts(head, body)))
            }
            Shape::Object => match body.into_object(limits.response) {
                Ok(object) => finish(head, object, rewrite),
                Err(collect) => Step::Reading { head: Some(head), collect, rewrite },
            },
            Shape::Other => Step::Ready(Some(Response::from_parts(head, body))),
        };
        Self { step }
    }

    /// The changed response.
    ///
    /// # Panics
    /// If polled again after it was ready.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<ResponseBody>> {
        if let Step::Reading { head, collect, rewrite: _ } = &mut self.step {
            let text = ready!(collect.poll(cx));
            let mut head = head.take().expect("polled after it was ready");
            let Step::Reading { mut rewrite, .. } = std::mem::replace(&mut self.step, Step::Ready(None)) else {
                unreachable!("it was reading")
            };
            self.step = match text {
                Ok(text) => match Object::parse_with(text.clone(), "output") {
                    Ok(object) => finish(head, Box::new(object), rewrite),
                    Err(_) => {
                        let text = rewrite.text(&mut head, text);
                        Step::Ready(Some(Response::from_parts(head, text.into())))
                    }
                },
                Err(error) => Step::Ready(Some(unreadable(&error).into_response())),
            };
        }
        match &mut self.step {
            Step::Ready(response) => Poll::Ready(response.take().expect("polled after it was ready")),
            Step::Holding { response, rewrite } => {
                let (_, object) = response.as_mut().expect("polled after it was ready");
                ready!(rewrite.poll_object(cx, object));
                let (mut head, object) = response.take().expect("it was held");
                head.headers.remove(CONTENT_LENGTH);
                Poll::Ready(Response::from_parts(head, ResponseBody::from(*object)))
            }
            Step::Reading { .. } => Poll::Pending,
        }
    }
}

fn finish<R: RewriteResponse>(mut head: Parts, mut object: Box<Object>, mut rewrite: R) -> Step<R> {
    match rewrite.object(&mut head, &mut object) {
        Ok(()) => Step::Holding { response: Some((head, object)), rewrite },
        Err(error) => Step::Ready(Some(error.into_response())),
    }
}

fn unreadable(error: &CollectError) -> ApiError {
    let message = match error {
        CollectError::TooLarge { limit } => {
            format!("the upstream's answer is larger than the {limit} bytes that are read of it")
        }
        CollectError::Broken(error) => format!("the upstream's answer broke off: {error}"),
    };
    ApiError::new(StatusCode::BAD_GATEWAY, message).code("upstream_error")
}

/// What a response carries, by its headers.
enum Shape {
    Events,
    Object,
    Other,
}

impl Shape {
    fn of(headers: &HeaderMap) -> Self {
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Self::Other;
        }
        let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
        // As nearly everybody spells them.
        match kind {
            b"application/json" => return Self::Object,
            b"text/event-stream" | b"text/event-stream; charset=utf-8" => return Self::Events,
            _ => {}
        }
        let kind = std::str::from_utf8(kind).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::Events
        } else if essence.eq_ignore_ascii_case("application/json") {
            Self::Object
        } else {
            Self::Other
        }
    }
}

impl<R> fmt::Debug for RewriteResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RewriteResponseBody").finish_non_exhaustive()
    }
}
