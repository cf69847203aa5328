use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, request, response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_responses_core::{
    ApiError, BoxError, RequestBody, ResponseBody,
    json::Object,
    rewrite::{Limits, Rewrite, RewriteFuture, RewriteRequest, RewriteResponse},
    sse::{Event, EventFilter, Events},
};
use tower_service::Service;

use super::{
    figures::{Figures, Outcome},
    service::REQUEST_ID,
};
use crate::tool_normalize::DROPPED_TOOLS;

/// One line in the log for each request, and the figures of it. Neither content nor secrets.
#[derive(Debug, Clone)]
pub(super) struct ExchangeLogLayer {
    limits: Limits,
    figures: Arc<Figures>,
}

impl ExchangeLogLayer {
    /// To be made once the recorder of metrics is there.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, figures: Arc::default() }
    }
}

impl<S> Layer<S> for ExchangeLogLayer {
    type Service = ExchangeLog<S>;

    fn layer(&self, inner: S) -> ExchangeLog<S> {
        ExchangeLog { inner: Rewrite::new(inner, ReadFacts).with_limits(self.limits), figures: self.figures.clone() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct ExchangeLog<S> {
    inner: Rewrite<S, ReadFacts>,
    figures: Arc<Figures>,
}

/// What is said of a request once all who hold it have let go: the future, then the stream.
#[derive(Debug)]
struct Line {
    started: Instant,
    method: Method,
    path: String,
    /// Copied: a header keeps the buffer alive that it was read into.
    request_id: Option<Box<str>>,
    facts: Mutex<Facts>,
    figures: Arc<Figures>,
}

#[derive(Debug, Default)]
pub(super) struct Facts {
    status: Option<StatusCode>,
    model: Option<String>,
    tools: usize,
    dropped: usize,
    pub(super) input_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
    pub(super) first_event: Option<Duration>,
    outcome: Option<Outcome>,
    pub(super) stream: bool,
}

impl Line {
    fn new<B>(request: &Request<B>, figures: Arc<Figures>) -> Self {
        Self {
            started: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            request_id: request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(Into::into),
            facts: Mutex::default(),
            figures,
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let facts = std::mem::take(self.facts.get_mut().unwrap_or_else(PoisonError::into_inner));
        let took = self.started.elapsed();
        let outcome = match (facts.status, facts.stream, facts.outcome) {
            (None, ..) | (_, true, None) => Outcome::ClientLeft,
            (_, _, Some(outcome @ (Outcome::Failed | Outcome::Incomplete))) => outcome,
            (Some(status), ..) if !status.is_success() => Outcome::Error,
            _ => Outcome::Completed,
        };
        let status = facts.status.map_or(499, |status| status.as_u16());
        tracing::info!(
            method = %self.method,
            path = self.path,
            status,
            outcome = outcome.name(),
            model = facts.model,
            tools = facts.tools,
            tools_dropped = facts.dropped,
            input_tokens = facts.input_tokens,
            output_tokens = facts.output_tokens,
            first_event_ms = facts.first_event.map(millis),
            ms = millis(took),
            request_id = self.request_id.as_deref(),
            "request"
        );
        self.figures.count(status, outcome, took, &facts);
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}

#[derive(Debug, Clone)]
pub(super) struct ReadFacts;

impl RewriteRequest for ReadFacts {
    type Response = FollowResponse;

    fn rewrite(&self, head: &mut request::Parts, body: &mut Object) -> Result<Option<FollowResponse>, ApiError> {
        let Some(line) = head.extensions.remove::<Arc<Line>>() else { return Ok(None) };
        {
            let mut facts = line.facts();
            facts.model = body.get_str("model").map(|model| model.chars().take(128).collect());
            facts.tools = body.array_mut("tools").map_or(0, |tools| tools.len());
        }
        Ok(Some(FollowResponse { line }))
    }
}

/// Reads what a response says of itself, and changes nothing.
#[derive(Debug)]
pub(super) struct FollowResponse {
    line: Arc<Line>,
}

impl FollowResponse {
    fn response(&self, response: &Object, outcome: Outcome) {
        let mut facts = self.line.facts();
        facts.outcome = Some(outcome);
        if let Some(usage) = response.get("usage") {
            let tokens = usage.members(["input_tokens", "output_tokens"]);
            [facts.input_tokens, facts.output_tokens] = tokens.map(|tokens| tokens?.as_i64());
        }
    }
}

impl EventFilter for FollowResponse {
    fn passes_by(&mut self, event: &Event) -> bool {
        event.is_delta()
    }

    fn event(&mut self, mut event: Event, next: &mut Events) {
        let outcome = match event.kind() {
            "response.completed" => Some(Outcome::Completed),
            "response.incomplete" => Some(Outcome::Incomplete),
            "response.failed" => Some(Outcome::Failed),
            "response.created" => {
                let mut facts = self.line.facts();
                facts.first_event = facts.first_event.or_else(|| Some(self.line.started.elapsed()));
                None
            }
            _ => None,
        };
        if let (Some(outcome), Some(response)) = (outcome, event.response_mut()) {
            self.response(response, outcome);
        }
        next.push(event);
    }
}

impl RewriteResponse for FollowResponse {
    fn head(&mut self, head: &mut response::Parts) {
        let mut facts = self.line.facts();
        facts.dropped = head
            .headers
            .get(DROPPED_TOOLS)
            .and_then(|names| names.to_str().ok())
            .map_or(0, |names| names.split(',').count());
        let kind = head.headers.get(http::header::CONTENT_TYPE).map(|kind| kind.as_bytes());
        facts.stream = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
        if facts.stream {
            self.line.figures.stream_opened();
        }
    }

    fn object(&mut self, head: &mut response::Parts, object: &mut Object) -> Result<(), ApiError> {
        let outcome = match object.get_str("status").as_deref() {
            _ if !head.status.is_success() => return Ok(()),
            Some("incomplete") => Outcome::Incomplete,
            Some("failed") => Outcome::Failed,
            _ => Outcome::Completed,
        };
        self.response(object, outcome);
        Ok(())
    }
}

impl<S, B, ResBody> Service<Request<B>> for ExchangeLog<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ExchangeFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let line = Arc::new(Line::new(&request, self.figures.clone()));
        request.extensions_mut().insert(line.clone());
        ExchangeFuture { future: self.inner.call(request), line: Some(line) }
    }
}

pin_project! {
    pub(super) struct ExchangeFuture<S>
    where
        S: Service<Request<RequestBody>>,
    {
        #[pin]
        future: RewriteFuture<S, ReadFacts>,
        line: Option<Arc<Line>>,
    }
}

impl<S, ResBody> Future for ExchangeFuture<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        if let Some(line) = this.line.take() {
            line.facts().status = Some(response.status());
        }
        Poll::Ready(Ok(response))
    }
}

impl<S> fmt::Debug for ExchangeFuture<S>
where
    S: Service<Request<RequestBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeFuture").finish_non_exhaustive()
    }
}
