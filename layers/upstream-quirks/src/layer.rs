use std::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_responses_core::{
    BoxError, RequestBody, ResponseBody,
    rewrite::{Limits, Rewrite, RewriteFuture},
};
use tower_service::Service;

use crate::{EarlyStream, Fix, Fixes, Profile, Quirks};

/// Makes what an upstream says true and usable, and spares it what it does not take.
///
/// Its place is directly outside of the service that speaks to the upstream, inside of the layers
/// that restore calls and that store responses: they see what it has corrected.
#[derive(Debug, Clone)]
pub struct UpstreamQuirksLayer {
    quirks: Quirks,
    limits: Limits,
}

impl UpstreamQuirksLayer {
    /// The fixes of a profile.
    pub fn new(profile: Profile) -> Self {
        Self { quirks: Quirks::new(profile), limits: Limits::default() }
    }

    /// Switches one fix on.
    #[must_use]
    pub fn with(mut self, fix: Fix) -> Self {
        self.quirks.fixes = self.quirks.fixes.with(fix);
        self
    }

    /// Switches one fix off.
    #[must_use]
    pub fn without(mut self, fix: Fix) -> Self {
        self.quirks.fixes = self.quirks.fixes.without(fix);
        self
    }

    /// Which fixes are on. What counts as an overflow of the context stays as the profile says.
    #[must_use]
    pub fn with_fixes(mut self, fixes: Fixes) -> Self {
        self.quirks.fixes = fixes;
        self
    }

    /// How long a stream may be silent before the client is told that it lives, and how long the
    /// upstream's headers may be late before the client gets its stream. Default 15 s; zero
    /// switches both off. Codex waits for 300 s, and takes no comment for an event.
    #[must_use]
    pub fn heartbeat(mut self, after: Duration) -> Self {
        self.quirks.heartbeat = after;
        self
    }

    /// How long the upstream may take to end its body after the terminal event before its
    /// connection is given up. Default 20 ms; a vLLM takes less than
    /// one, and a client that waits for the end of its body waits no longer than the upstream
    /// takes.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.quirks.linger = linger;
        self
    }

    /// Whether requests carry a key that the gateway holds, and not the client's own: then a key
    /// that is refused is a fault of the gateway (502), and not of the client. Default: no.
    #[must_use]
    pub fn gateway_key(mut self, gateway: bool) -> Self {
        self.quirks.gateway_key = gateway;
        self
    }

    /// Sets the bounds of what is held in memory.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The fixes that are on.
    pub fn fixes(&self) -> Fixes {
        self.quirks.fixes
    }
}

impl Default for UpstreamQuirksLayer {
    /// vLLM's.
    fn default() -> Self {
        Self::new(Profile::default())
    }
}

impl<S> Layer<S> for UpstreamQuirksLayer {
    type Service = UpstreamQuirks<S>;

    fn layer(&self, inner: S) -> UpstreamQuirks<S> {
        let inner = EarlyStream::new(inner, self.limits.response);
        UpstreamQuirks { inner: Rewrite::new(inner, self.quirks.clone()).with_limits(self.limits) }
    }
}

/// Service of [`UpstreamQuirksLayer`]. With a heartbeat it needs tokio's clock.
#[derive(Clone)]
pub struct UpstreamQuirks<S> {
    inner: Rewrite<EarlyStream<S>, Quirks>,
}

impl<S> UpstreamQuirks<S> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref().get_ref()
    }
}

impl<S, B, ResBody> Service<Request<B>> for UpstreamQuirks<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = RewriteFuture<EarlyStream<S>, Quirks>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.inner.call(request)
    }
}

impl<S: fmt::Debug> fmt::Debug for UpstreamQuirks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamQuirks").field("inner", self.get_ref()).finish_non_exhaustive()
    }
}
