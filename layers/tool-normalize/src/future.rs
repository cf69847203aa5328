use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_responses_core::{
    ApiError, BoxError, ReadObject, RequestBody, ResponseBody,
    json::{Object, Value},
};
use tower_service::Service;

use crate::{DROPPED_TOOLS, Normalizer, policy};

pin_project! {
    /// Future of [`ToolNormalize`](crate::ToolNormalize).
    pub struct ToolNormalizeFuture<S>
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
        Reading { read: ReadObject, head: Option<Parts>, inner: S, normalizer: Arc<Normalizer> },
        Calling { #[pin] future: S::Future, dropped: Option<HeaderValue> },
        Refused { response: Option<Response<ResponseBody>> },
    }
}

impl<S> ToolNormalizeFuture<S>
where
    S: Service<Request<RequestBody>>,
{
    pub(crate) fn reading(read: ReadObject, head: Parts, inner: S, normalizer: Arc<Normalizer>) -> Self {
        Self { state: State::Reading { read, head: Some(head), inner, normalizer } }
    }

    /// For a body that was read already.
    pub(crate) fn begin(inner: &mut S, head: Parts, object: Box<Object>, normalizer: &Normalizer) -> Self {
        let state = match normalize(normalizer, head, object) {
            Ok((request, dropped)) => State::Calling { future: inner.call(request), dropped },
            Err(error) => State::Refused { response: Some(error.into_response()) },
        };
        Self { state }
    }

    pub(crate) fn calling(future: S::Future) -> Self {
        Self { state: State::Calling { future, dropped: None } }
    }
}

impl<S, ResBody> Future for ToolNormalizeFuture<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Reading { read, head, inner, normalizer } => {
                    let object = ready!(Pin::new(read).poll(cx)).map_err(ApiError::from);
                    let head = head.take().expect("polled after it was ready");
                    let (request, dropped) = match object.and_then(|object| normalize(normalizer, head, object)) {
                        Ok(normalized) => normalized,
                        Err(error) => return Poll::Ready(Ok(error.into_response())),
                    };
                    let future = inner.call(request);
                    this.state.set(State::Calling { future, dropped });
                }
                StateProj::Calling { future, dropped } => {
                    let mut response = ready!(future.poll(cx))?.map(ResponseBody::new);
                    if let Some(dropped) = dropped.take() {
                        response.headers_mut().insert(DROPPED_TOOLS, dropped);
                    }
                    return Poll::Ready(Ok(response));
                }
                StateProj::Refused { response } => {
                    return Poll::Ready(Ok(response.take().expect("polled after it was ready")));
                }
            }
        }
    }
}

type Normalized = (Request<RequestBody>, Option<HeaderValue>);

fn normalize(normalizer: &Normalizer, mut head: Parts, mut body: Box<Object>) -> Result<Normalized, ApiError> {
    let normalized = normalizer.normalize(&mut body)?;
    let dropped = tell(&normalized.dropped, &mut body);
    head.extensions.insert(normalized.map);
    Ok((Request::from_parts(head, body.into()), dropped))
}

/// Tells the operator which tools were dropped, and gives what tells the client.
fn tell(dropped: &[Box<str>], body: &mut Object) -> Option<HeaderValue> {
    if dropped.is_empty() {
        return None;
    }
    for kind in dropped {
        let label = policy::family(kind).unwrap_or("unknown");
        metrics::counter!("tower_responses_tools_dropped_total", "type" => label).increment(1);
    }
    let names = names(dropped);
    // Every turn of a conversation comes with its tools; the operator hears of them once.
    if is_first_turn(body) {
        tracing::warn!(types = %names, "the upstream does not execute these tools, so they were dropped");
    } else {
        tracing::debug!(types = %names, "tools were dropped, as in the turns before");
    }
    HeaderValue::try_from(names).ok()
}

/// Whether a conversation begins here: the model has said nothing in it.
fn is_first_turn(body: &mut Object) -> bool {
    let continues = |name| body.get(name).is_some_and(|value| !value.is_null());
    if continues("previous_response_id") || continues("conversation") {
        return false;
    }
    // What the model has said or done has its role, or none at all.
    let by_model = |item: Value| item.member_bytes("role").is_none_or(|role| *role == *b"assistant");
    body.array_mut("input").is_none_or(|input| !input.iter().any(by_model))
}

/// The types as a header can hold them: clients may write anything there.
fn names(dropped: &[Box<str>]) -> String {
    const LONGEST: usize = 64;
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '?' };
    let names = dropped.iter().map(|name| name.chars().take(LONGEST).map(plain).collect::<String>());
    names.collect::<Vec<_>>().join(", ")
}

impl<S> fmt::Debug for ToolNormalizeFuture<S>
where
    S: Service<Request<RequestBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolNormalizeFuture").finish_non_exhaustive()
    }
}
