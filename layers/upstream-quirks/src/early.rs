//! Streams that are opened before the upstream has said a word, or though it has said all at once.

mod late;

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_responses_core::{BoxError, RequestBody, ResponseBody};
use tower_service::Service;

use self::late::{Collecting, LateBody, is_json};
use crate::Quirks;

/// What a request that wants a stream asks of [`EarlyStream`]: an extension of the request.
#[derive(Debug, Clone)]
pub(crate) struct WantsStream {
    /// When the stream is to be opened without the upstream's headers.
    pub(crate) open_after: Option<Duration>,
    /// Whether a JSON object is to be told as a stream.
    pub(crate) json: bool,
    pub(crate) quirks: Quirks,
}

/// Says that a stream was opened without the upstream's headers: an extension of the response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenedEarly;

/// Answers with a stream when the upstream's headers are late. What goes wrong later breaks the
/// stream off, with an error that says what.
#[derive(Debug, Clone)]
pub struct EarlyStream<S> {
    inner: S,
    limit: usize,
}

impl<S> EarlyStream<S> {
    pub(crate) fn new(inner: S, limit: usize) -> Self {
        Self { inner, limit }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, ResBody> Service<Request<RequestBody>> for EarlyStream<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = EarlyFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let wanted = request.extensions_mut().remove::<WantsStream>();
        let future = self.inner.call(request);
        let state = match wanted {
            None => State::Plain { future },
            Some(wanted) => State::Stream {
                future: Some(Box::pin(future)),
                timer: wanted.open_after.map(|after| Box::pin(sleep(after))),
                wanted: Some(wanted),
            },
        };
        EarlyFuture { limit: self.limit, state, body: PhantomData }
    }
}

pin_project! {
    /// Future of [`EarlyStream`].
    pub struct EarlyFuture<F, B> {
        limit: usize,
        #[pin]
        state: State<F>,
        body: PhantomData<fn() -> B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Plain { #[pin] future: F },
        // Boxed, for it may have to go on inside of a body.
        Stream { future: Option<Pin<Box<F>>>, timer: Option<Pin<Box<Sleep>>>, wanted: Option<WantsStream> },
        // An object where a stream was wanted: it may be an error, which needs its own status.
        Object { head: Option<Box<Parts>>, text: Collecting, quirks: Quirks },
    }
}

impl<F, B, E> Future for EarlyFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let (future, timer, wanted) = match this.state.as_mut().project() {
                StateProj::Plain { future } => {
                    return future.poll(cx).map_ok(|response| response.map(ResponseBody::new));
                }
                StateProj::Stream { future, timer, wanted } => (future, timer, wanted),
                StateProj::Object { head, text, quirks } => {
                    let text = ready!(text.as_mut().poll(cx));
                    return Poll::Ready(Ok(late::stream_of_object(*head.take().expect(AGAIN), text, quirks)));
                }
            };
            if let Poll::Ready(response) = future.as_mut().expect(AGAIN).as_mut().poll(cx) {
                let wanted = wanted.take().expect(AGAIN);
                let response = response?.map(ResponseBody::new);
                if !(wanted.json && response.status().is_success() && is_json(response.headers())) {
                    return Poll::Ready(Ok(response));
                }
                let (head, body) = response.into_parts();
                let text = late::collect(body, *this.limit);
                this.state.set(State::Object { head: Some(Box::new(head)), text, quirks: wanted.quirks });
                continue;
            }
            let Some(timer) = timer else { return Poll::Pending };
            ready!(timer.as_mut().poll(cx));
            let (future, wanted) = (future.take().expect(AGAIN), wanted.take().expect(AGAIN));
            let mut response = stream(LateBody::new(future, wanted.quirks, *this.limit));
            response.extensions_mut().insert(OpenedEarly);
            return Poll::Ready(Ok(response));
        }
    }
}

const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

const AGAIN: &str = "polled after it was ready";

fn stream<B>(body: B) -> Response<ResponseBody>
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    let mut response = Response::new(ResponseBody::new(body));
    response.headers_mut().insert(CONTENT_TYPE, EVENTS);
    response
}

impl<F, B> fmt::Debug for EarlyFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyFuture").finish_non_exhaustive()
    }
}
