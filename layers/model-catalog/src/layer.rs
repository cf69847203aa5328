use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_responses_core::{BoxError, RequestBody, ResponseBody};
use tower_service::Service;

use crate::{
    Settings,
    cache::Cache,
    route::Route,
    service::{Ask, CatalogFuture, Shared},
};

/// Answers `GET …/models` and `GET …/models/{id}`; everything else passes. See the
/// [crate docs](crate).
///
/// Clones of a layer, and all services it makes, share one cache.
#[derive(Debug, Clone)]
pub struct ModelCatalogLayer {
    shared: Arc<Shared>,
}

impl ModelCatalogLayer {
    /// No aliases, no settings, lists kept for 30 seconds.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                aliases: Vec::new(),
                settings: Settings::new(),
                ttl: Duration::from_secs(30),
                timeout: Duration::from_secs(4),
                limit: 8 << 20,
                cache: Cache::new(64),
            }),
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Shared::clone(&self.shared);
        change(&mut shared);
        self.shared = Arc::new(shared);
        self
    }

    /// Lists these names too, each described as its target is.
    #[must_use]
    pub fn aliases<N: Into<String>, T: Into<String>>(self, aliases: impl IntoIterator<Item = (N, T)>) -> Self {
        let aliases = aliases.into_iter().map(|(name, target)| (name.into(), target.into())).collect();
        self.change(|shared| shared.aliases = aliases)
    }

    /// Says what is true of models beyond what the upstream says.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        self.change(|shared| shared.settings = settings)
    }

    /// How long a list is given without asking again. Default: 30 seconds.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        self.change(|shared| shared.ttl = ttl)
    }

    /// How long the upstream has to answer. Default: 4 seconds, since Codex waits for 5.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.change(|shared| shared.timeout = timeout)
    }

    /// The largest list that is read of an upstream, in bytes. Default: 8 MiB.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        self.change(|shared| shared.limit = limit)
    }

    /// For how many credentials a list is kept. Default: 64. Equal lists are kept once.
    #[must_use]
    pub fn capacity(self, capacity: usize) -> Self {
        self.change(|shared| shared.cache = Cache::new(capacity))
    }
}

impl Default for ModelCatalogLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ModelCatalogLayer {
    type Service = ModelCatalog<S>;

    fn layer(&self, inner: S) -> ModelCatalog<S> {
        ModelCatalog { inner, shared: self.shared.clone() }
    }
}

/// Service of [`ModelCatalogLayer`].
#[derive(Debug, Clone)]
pub struct ModelCatalog<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> ModelCatalog<S> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, ResBody> Service<Request<B>> for ModelCatalog<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = CatalogFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let Some((route, list)) = Route::of(&head) else {
            let request = Request::from_parts(head, RequestBody::new(body));
            return CatalogFuture::pass(self.inner.call(request));
        };
        let ask = Ask::new(self.shared.clone(), route, &head.headers, &list);
        if let Some(answer) = ask.known() {
            return CatalogFuture::ready(answer);
        }
        Ask::head(&mut head, list);
        CatalogFuture::ask(ask, self.inner.call(Request::from_parts(head, RequestBody::empty())))
    }
}
