use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MODIFIED_SINCE,
        IF_NONE_MATCH, RANGE, TRANSFER_ENCODING,
    },
    request,
};
use http_body::Body;
use http_body_util::{BodyExt, Collected, Limited, combinators::Collect};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower_responses_core::{ApiError, BoxError, ResponseBody};

use crate::{
    Catalog, Settings, UpstreamModels,
    cache::{Cache, Found, Key, Known},
    route::Route,
};

/// The response header that tells when a list is not the upstream's present one: `stale` if it is
/// the last known one, `configured` if it is made of aliases and settings alone.
pub const STATE_HEADER: HeaderName = HeaderName::from_static("x-tower-responses-models");

/// For how long an upstream that gave no list is not asked again, at most.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) aliases: Vec<(String, String)>,
    pub(crate) settings: Settings,
    pub(crate) ttl: Duration,
    pub(crate) timeout: Duration,
    pub(crate) limit: usize,
    pub(crate) cache: Cache,
}

impl Clone for Shared {
    /// With a cache of its own: what is in the other was made with other settings.
    fn clone(&self) -> Self {
        let Self { aliases, settings, ttl, timeout, limit, cache } = self;
        let (aliases, settings, cache) = (aliases.clone(), settings.clone(), cache.emptied());
        Self { aliases, settings, ttl: *ttl, timeout: *timeout, limit: *limit, cache }
    }
}

impl Shared {
    fn catalog(&self, upstream: Option<&UpstreamModels>) -> Catalog {
        let aliases = self.aliases.iter().map(|(name, target)| (name.as_str(), target.as_str()));
        Catalog::build(upstream, aliases, &self.settings)
    }
}

/// One question, and for whom it is asked.
#[derive(Debug)]
pub(crate) struct Ask {
    shared: Arc<Shared>,
    route: Route,
    key: Key,
}

impl Ask {
    pub(crate) fn new(shared: Arc<Shared>, route: Route, headers: &HeaderMap, list: &Uri) -> Self {
        let key = shared.cache.key(headers, list);
        Self { shared, route, key }
    }

    /// Makes of the client's request the one for the list.
    pub(crate) fn head(head: &mut request::Parts, list: Uri) {
        head.uri = list;
        for name in [ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        for name in [IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE] {
            head.headers.remove(name);
        }
        head.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    }

    /// The answer if it need not be asked for.
    pub(crate) fn known(&self) -> Option<Response<ResponseBody>> {
        let found = self.shared.cache.find(self.key).filter(|found| found.fresh)?;
        if let Route::One(id) = &self.route
            && !found.stale
            && found.known.catalog.get(id).is_none()
        {
            // It may be new.
            return None;
        }
        count(if found.stale { "stale" } else { "cached" });
        Some(self.answer(&found.known, found.stale.then_some("stale")))
    }

    fn answer(&self, known: &Known, state: Option<&'static str>) -> Response<ResponseBody> {
        let body = match &self.route {
            Route::List => known.document.clone(),
            Route::One(id) => match known.catalog.get(id) {
                Some(card) => card.text(),
                None => return mark(not_found(id).into_response(), state),
            },
        };
        let mut response = Response::new(ResponseBody::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        mark(response, state)
    }

    /// Looks at the head of the upstream's answer: a list is read, anything else replaced by the
    /// best that is known.
    fn begin(
        &self,
        response: Response<ResponseBody>,
    ) -> Result<Collect<Limited<ResponseBody>>, Box<Response<ResponseBody>>> {
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            // Whoever may no longer ask may no longer read what was answered before.
            self.shared.cache.forget(self.key);
            count("refused");
            return Err(Box::new(response));
        }
        if status.is_success() {
            return Ok(Limited::new(response.into_body(), self.shared.limit).collect());
        }
        Err(Box::new(self.known_or(status.as_str()).unwrap_or(response)))
    }

    /// What the upstream said, read whole.
    fn listed(&self, text: Bytes) -> Response<ResponseBody> {
        let cache = &self.shared.cache;
        let known = match cache.same(&text) {
            Some(known) => known,
            None => match UpstreamModels::parse(text.clone()) {
                Ok(upstream) => Arc::new(Known::new(self.shared.catalog(Some(&upstream)), text)),
                Err(error) => return self.unreadable(&error.to_string()),
            },
        };
        cache.keep(self.key, known.clone(), self.shared.ttl);
        count("fresh");
        self.answer(&known, None)
    }

    fn unreadable(&self, why: &str) -> Response<ResponseBody> {
        self.known_or(why).unwrap_or_else(|| {
            let message = format!("the upstream's model list cannot be read: {why}");
            ApiError::new(StatusCode::BAD_GATEWAY, message).code("upstream_error").into_response()
        })
    }

    fn late(&self) -> Response<ResponseBody> {
        self.known_or("it took too long").unwrap_or_else(|| {
            let message = "the upstream did not give its model list in time";
            ApiError::new(StatusCode::GATEWAY_TIMEOUT, message).code("upstream_timeout").into_response()
        })
    }

    /// The best answer without the upstream's, which is missing for this reason.
    fn known_or(&self, reason: &str) -> Option<Response<ResponseBody>> {
        if let Some(Found { known, age, .. }) = self.shared.cache.find(self.key) {
            self.shared.cache.mark_stale(self.key, self.shared.ttl.min(PAUSE));
            tracing::warn!(reason, age_s = age.as_secs(), "no model list from the upstream: giving the last known one");
            count("stale");
            return Some(self.answer(&known, Some("stale")));
        }
        let catalog = self.shared.catalog(None);
        let knows = match &self.route {
            Route::List => !catalog.is_empty(),
            // The upstream may well have what nobody here knows.
            Route::One(id) => catalog.get(id).is_some(),
        };
        if !knows {
            tracing::warn!(reason, "no model list from the upstream, and none is known");
            count("failed");
            return None;
        }
        tracing::warn!(reason, "no model list from the upstream: giving aliases and settings alone");
        count("configured");
        Some(self.answer(&Known::new(catalog, Bytes::new()), Some("configured")))
    }
}

fn count(answer: &'static str) {
    metrics::counter!("tower_responses_model_lists_total", "answer" => answer).increment(1);
}

fn mark(mut response: Response<ResponseBody>, state: Option<&'static str>) -> Response<ResponseBody> {
    if let Some(state) = state {
        response.headers_mut().insert(STATE_HEADER, HeaderValue::from_static(state));
    }
    response
}

fn not_found(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("The model '{id}' does not exist"))
        .param("model")
        .code("model_not_found")
}

pin_project! {
    /// Future of [`ModelCatalog`](crate::ModelCatalog).
    pub struct CatalogFuture<F> {
        // `None` where the request is none of ours.
        ask: Option<Ask>,
        #[pin]
        late: Option<Sleep>,
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Ready { response: Option<Response<ResponseBody>> },
        Waiting { #[pin] future: F },
        Reading { #[pin] body: Collect<Limited<ResponseBody>> },
    }
}

impl<F> CatalogFuture<F> {
    pub(crate) fn pass(future: F) -> Self {
        Self { ask: None, late: None, state: State::Waiting { future } }
    }

    pub(crate) fn ready(response: Response<ResponseBody>) -> Self {
        Self { ask: None, late: None, state: State::Ready { response: Some(response) } }
    }

    pub(crate) fn ask(ask: Ask, future: F) -> Self {
        let late = tokio::time::sleep(ask.shared.timeout);
        Self { ask: Some(ask), late: Some(late), state: State::Waiting { future } }
    }
}

impl<F, ResBody, E> Future for CatalogFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let polled = match this.state.as_mut().project() {
                StateProj::Ready { response } => {
                    return Poll::Ready(Ok(response.take().expect("polled after it was ready")));
                }
                StateProj::Waiting { future } => future.poll(cx).map(Step::Answered),
                StateProj::Reading { body } => body.poll(cx).map(Step::Read),
            };
            let Some(ask) = this.ask.as_ref() else {
                let Step::Answered(answer) = ready!(polled) else { unreachable!("only lists are read") };
                return Poll::Ready(answer.map(|response| response.map(ResponseBody::new)));
            };
            let step = match polled {
                Poll::Ready(step) => step,
                Poll::Pending => {
                    ready!(this.late.as_mut().as_pin_mut().map_or(Poll::Pending, |late| late.poll(cx)));
                    return Poll::Ready(Ok(ask.late()));
                }
            };
            let response = match step {
                Step::Answered(Ok(response)) => response.map(ResponseBody::new),
                Step::Answered(Err(error)) => return Poll::Ready(ask.known_or("it cannot be reached").ok_or(error)),
                Step::Read(Ok(text)) => return Poll::Ready(Ok(ask.listed(text.to_bytes()))),
                Step::Read(Err(error)) => return Poll::Ready(Ok(ask.unreadable(&error.to_string()))),
            };
            match ask.begin(response) {
                Ok(body) => this.state.set(State::Reading { body }),
                Err(response) => this.state.set(State::Ready { response: Some(*response) }),
            }
        }
    }
}

enum Step<T, E> {
    Answered(Result<T, E>),
    Read(Result<Collected<Bytes>, BoxError>),
}

impl<F> fmt::Debug for CatalogFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
