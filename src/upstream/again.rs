use http::{Method, Request, request::Parts};
use tower_responses_core::{RequestBody, rewrite::is_create};

/// A request that can be sent once more, where the connection it was sent over was dead.
///
/// Its bytes are those of the request that is sent, not copied.
#[derive(Debug)]
pub(super) struct Again {
    head: Parts,
    body: RequestBody,
}

impl Again {
    /// `None` for what must not be sent twice: a method that is not idempotent, unless it makes a
    /// response (model servers keep no state), and a body that somebody is still sending.
    pub(super) fn of(request: &mut Request<RequestBody>) -> Option<Self> {
        if !is_harmless(request.method(), request.uri().path()) {
            return None;
        }
        let body = request.body_mut().try_clone()?;
        let (mut head, ()) = Request::new(()).into_parts();
        head.method.clone_from(request.method());
        head.uri.clone_from(request.uri());
        head.version = request.version();
        head.headers.clone_from(request.headers());
        Some(Self { head, body })
    }

    /// Returns the request, and counts it.
    pub(super) fn request(self) -> Request<RequestBody> {
        metrics::counter!("tower_responses_upstream_dead_connection_retries_total").increment(1);
        tracing::debug!("a connection that was used again was dead: the request is sent over a new one");
        Request::from_parts(self.head, self.body)
    }
}

/// Returns whether it does no harm if a server gets the request twice.
fn is_harmless(method: &Method, path: &str) -> bool {
    method.is_idempotent() || is_create(method, path)
}
