use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use tower_responses_core::{RequestBody, rewrite::is_create};

/// A request that can be sent once more, where the connection it was sent over was dead.
///
/// Its bytes are those of the request that is sent, not copied.
#[derive(Debug)]
pub(super) struct Again {
    method: Method,
    uri: Uri,
    version: Version,
    /// A list costs half of what a map does, and mostly nobody asks for it.
    headers: Vec<(HeaderName, HeaderValue)>,
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
        let mut headers = Vec::with_capacity(request.headers().len());
        headers.extend(request.headers().iter().map(|(name, value)| (name.clone(), value.clone())));
        Some(Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers,
            body,
        })
    }

    /// Returns the request, and counts it.
    pub(super) fn request(self) -> Request<RequestBody> {
        metrics::counter!("tower_responses_upstream_dead_connection_retries_total").increment(1);
        tracing::debug!("a connection that was used again was dead: the request is sent over a new one");
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        request
    }
}

/// Returns whether it does no harm if a server gets the request twice.
fn is_harmless(method: &Method, path: &str) -> bool {
    is_create(method, path) || method.is_idempotent()
}
