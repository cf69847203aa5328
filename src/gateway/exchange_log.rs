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

use crate::tool_normalize::DROPPED_TOOLS;

/// One line in the log for each request, and the figures of it. Neither content nor secrets.
#[derive(Debug, Clone, Default)]
pub(super) struct ExchangeLogLayer {
    pub(super) limits: Limits,
}

impl<S> Layer<S> for ExchangeLogLayer {
    type Service = ExchangeLog<S>;

    fn layer(&self, inner: S) -> ExchangeLog<S> {
        ExchangeLog { inner: Rewrite::new(inner, ReadFacts).with_limits(self.limits) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct ExchangeLog<S> {
    inner: Rewrite<S, ReadFacts>,
}

/// What is said of a request once all who hold it have let go: the future, then the stream.
#[derive(Debug)]
struct Line {
    started: Instant,
    method: Method,
    path: String,
    request_id: Option<String>,
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    status: Option<StatusCode>,
    model: Option<String>,
    tools: usize,
    dropped: usize,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    first_event: Option<Duration>,
    outcome: Option<Outcome>,
    stream: bool,
}

/// How a stream ended, if it did before the client left.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Completed,
    Incomplete,
    Failed,
}

impl Line {
    fn new<B>(request: &Request<B>) -> Self {
        let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        Self {
            started: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            request_id: id.map(ToOwned::to_owned),
            facts: Mutex::default(),
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
            (None, ..) | (_, true, None) => "client left",
            (_, _, Some(Outcome::Failed)) => "failed",
            (_, _, Some(Outcome::Incomplete)) => "incomplete",
            (Some(status), ..) if !status.is_success() => "error",
            _ => "completed",
        };
        let status = facts.status.map_or(499, |status| status.as_u16());
        tracing::info!(
            method = %self.method,
            path = self.path,
            status,
            outcome,
            model = facts.model,
            tools = facts.tools,
            tools_dropped = facts.dropped,
            input_tokens = facts.input_tokens,
            output_tokens = facts.output_tokens,
            first_event_ms = facts.first_event.map(millis),
            ms = millis(took),
            request_id = self.request_id,
            "request"
        );
        metrics::counter!("tower_responses_requests_total", "status" => status_class(status), "outcome" => outcome)
            .increment(1);
        metrics::histogram!("tower_responses_request_seconds").record(took);
        if let Some(first) = facts.first_event {
            metrics::histogram!("tower_responses_first_event_seconds").record(first);
        }
        if facts.stream {
            metrics::gauge!("tower_responses_open_streams").decrement(1);
        }
        for (name, tokens) in [("input", facts.input_tokens), ("output", facts.output_tokens)] {
            if let Some(tokens) = tokens.and_then(|tokens| u64::try_from(tokens).ok()) {
                metrics::counter!("tower_responses_tokens_total", "kind" => name).increment(tokens);
            }
        }
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}

fn status_class(status: u16) -> &'static str {
    ["1xx", "2xx", "3xx", "4xx", "5xx"].get(usize::from(status / 100).wrapping_sub(1)).copied().unwrap_or("other")
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
    fn response(&self, response: &mut Object, outcome: Outcome) {
        let mut facts = self.line.facts();
        facts.outcome = Some(outcome);
        if let Some(usage) = response.object_mut("usage") {
            facts.input_tokens = usage.get("input_tokens").and_then(|tokens| tokens.as_i64());
            facts.output_tokens = usage.get("output_tokens").and_then(|tokens| tokens.as_i64());
        }
    }
}

impl EventFilter for FollowResponse {
    fn passes_by(&self, event: &Event) -> bool {
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
            metrics::gauge!("tower_responses_open_streams").increment(1);
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
        let line = Arc::new(Line::new(&request));
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
