//! Which requests make a response.

use http::{Method, Request};

/// Whether this is `POST …/responses`, the request that makes a response.
///
/// ```
/// use http::Method;
/// use tower_responses_core::rewrite::is_create;
///
/// let made_by_post = |path| is_create(&Method::POST, path);
/// assert!(["/v1/responses", "/responses/", "responses"].into_iter().all(made_by_post));
/// assert!(!["/v1/responses/resp_1", "/v1/no_responses", "/v1/responses/input_tokens", "/"].into_iter().any(made_by_post));
/// assert!(!is_create(&Method::GET, "/v1/responses"));
/// ```
pub fn is_create(method: &Method, path: &str) -> bool {
    let before = path.trim_end_matches('/').strip_suffix("responses");
    method == Method::POST && before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Whether `request` makes a response.
pub fn is_create_request<B>(request: &Request<B>) -> bool {
    is_create(request.method(), request.uri().path())
}
