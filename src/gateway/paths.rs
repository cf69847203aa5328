//! Which requests are passed on to an upstream.

use std::borrow::Cow;

use http::{HeaderMap, Method, Request, StatusCode, header::UPGRADE};
use percent_encoding::percent_decode;
use tower_responses_core::ApiError;

use super::ConfigError;

/// The routes of the API that are passed on, with `/v1` before them or without. `/*` stands for all
/// that is below.
const ROUTES: [&str; 32] = [
    "responses",
    "responses/*",
    "chat/completions",
    "chat/completions/*",
    "completions",
    "embeddings",
    "messages",
    "messages/*",
    "audio/*",
    "images/*",
    "videos",
    "videos/*",
    "moderations",
    "files",
    "files/*",
    "uploads",
    "uploads/*",
    "batches",
    "batches/*",
    "vector_stores",
    "vector_stores/*",
    "conversations",
    "conversations/*",
    "rerank",
    "reranking",
    "score",
    "classify",
    "pooling",
    "tokenize",
    "detokenize",
    "apply-template",
    "infill",
];

/// Those that are only asked for: with other methods some servers load and remove models.
const READ: [&str; 2] = ["models", "models/*"];

/// Those that have no `/v1`.
const AT_ROOT: [&str; 2] = ["v2/rerank", "version"];

/// The paths of an upstream beside the routes of the API.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    further: Vec<String>,
}

impl Paths {
    /// Takes paths as the configuration has them.
    ///
    /// # Errors
    /// Where one is no path, or one that would never be passed on.
    pub(super) fn new(further: &[String]) -> Result<Self, ConfigError> {
        for path in further {
            let plain = path.strip_suffix("/*").unwrap_or(path);
            let is_path = path.starts_with('/') && !plain.contains(['*', '?', '#', ' ']);
            if !is_path || is_crooked(plain) {
                return Err(ConfigError::new(format!(
                    "upstream.paths: '{path}' is no path: /one for itself, /one/* for all below it"
                )));
            }
        }
        Ok(Self { further: further.to_vec() })
    }

    /// Refuses what is not passed on.
    ///
    /// # Errors
    /// What the client gets.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), ApiError> {
        let (method, path) = (request.method(), request.uri().path());
        if path == "/v1/responses" && method == Method::POST {
            return Ok(());
        }
        // CONNECT asks for a tunnel, TRACE for the request itself, with what we put into it.
        if matches!(*method, Method::CONNECT | Method::TRACE) {
            let message = format!("the method {method} is not served here");
            return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).code("method_not_allowed"));
        }
        if is_crooked(path) {
            let message = "the path has a dot segment, a backslash or an encoded slash";
            return Err(ApiError::bad_request(message).code("invalid_path"));
        }
        if !self.serves(method, path) {
            let message = format!("{method} {path} is no route of the API that is passed on to the upstream");
            return Err(ApiError::new(StatusCode::NOT_FOUND, message).code("unknown_path"));
        }
        if wants_websocket(request.headers()) {
            let message = "there is no WebSocket at this path, only at GET /v1/responses";
            return Err(ApiError::bad_request(message).code("upgrade_not_supported"));
        }
        Ok(())
    }

    fn serves(&self, method: &Method, path: &str) -> bool {
        let Some(route) = path.strip_prefix('/') else { return false };
        let route = route.strip_suffix('/').unwrap_or(route);
        let unversioned = route.strip_prefix("v1/").unwrap_or(route);
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        ROUTES.iter().any(|pattern| matches(pattern, unversioned))
            || (is_read && READ.iter().any(|pattern| matches(pattern, unversioned)))
            || AT_ROOT.iter().any(|pattern| matches(pattern, route))
            || self.further.iter().any(|pattern| matches(pattern, path))
    }
}

/// Returns whether the path is that of the pattern, or below it.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(above) => path.strip_prefix(above).is_some_and(|below| !below.is_empty()),
        None => path == pattern,
    }
}

/// How often a path is decoded before it is refused: nobody means a path that was encoded so often.
const DECODINGS: usize = 4;

/// Returns whether a server further on could take the path for another one: it has a dot segment, a
/// backslash, or an encoded slash, also where those are encoded more than once.
fn is_crooked(path: &str) -> bool {
    let mut path = Cow::Borrowed(path.as_bytes());
    for _ in 0..=DECODINGS {
        if path.contains(&b'\\') || path.split(|&byte| byte == b'/').any(is_dots) {
            return true;
        }
        let decoded = match Cow::from(percent_decode(&path)) {
            Cow::Borrowed(_) => return false,
            Cow::Owned(decoded) => decoded,
        };
        if slashes(&decoded) != slashes(&path) {
            return true;
        }
        path = Cow::Owned(decoded);
    }
    true
}

fn slashes(path: &[u8]) -> usize {
    path.iter().filter(|&&byte| byte == b'/').count()
}

/// Returns whether a segment is a dot segment, also before a semicolon: some servers cut off the
/// rest.
fn is_dots(segment: &[u8]) -> bool {
    matches!(segment.split(|&byte| byte == b';').next(), Some(b"." | b".."))
}

/// Returns whether a client asks for a WebSocket. Other upgrades may be ignored (RFC 9110, 7.8), and
/// some clients offer one with every request.
fn wants_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter().filter_map(|value| value.to_str().ok());
    protocols.any(|protocols| protocols.split(',').any(|name| name.trim().eq_ignore_ascii_case("websocket")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(paths: &Paths, method: &Method, path: &str) -> Option<u16> {
        let request = Request::builder().method(method).uri(path).body(()).expect("a request");
        paths.check(&request).err().map(|error| error.status().as_u16())
    }

    #[test]
    fn the_routes_of_the_api_are_passed_on() {
        let paths = Paths::default();
        for path in [
            "/v1/responses",
            "/responses",
            "/v1/responses/resp_1/cancel",
            "/v1/chat/completions",
            "/chat/completions/",
            "/v1/audio/transcriptions",
            "/v1/files/file-1/content?a=../b",
            "/v1/messages/count_tokens",
            "/tokenize",
            "/v2/rerank",
            "/v1/files/a%20b..c",
        ] {
            assert_eq!(code(&paths, &Method::POST, path), None, "{path}");
        }
        assert_eq!(code(&paths, &Method::GET, "/v1/models/org/model"), None);
        assert_eq!(code(&paths, &Method::GET, "/version"), None);
    }

    #[test]
    fn others_are_not() {
        let paths = Paths::default();
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1/models/load",
            "/models/unload",
            "/key/generate",
            "/v1/key/generate",
            "//key/generate",
            "/key/responses",
            "/v1/audio",
            "/v1/audio/",
            "/v1/v1/responses",
            "/v1//responses",
            "/V1/responses",
            "/v1/response",
            "/v1/responsesx",
            "/v1/load_lora_adapter",
            "/reset_prefix_cache",
            "/sleep",
            "/metrics",
            "/v1/v2/rerank",
            "*",
        ] {
            assert_eq!(code(&paths, &Method::POST, path), Some(404), "{path}");
        }
        for method in [Method::CONNECT, Method::TRACE] {
            assert_eq!(code(&paths, &method, "/v1/responses"), Some(405));
        }
    }

    #[test]
    fn a_path_is_what_it_says() {
        let all = Paths::new(&["/*".to_owned()]).expect("paths");
        for path in [
            "/v1/files/../../key/generate",
            "/v1/files/./x",
            "/v1/files/..",
            "/v1/files/%2e%2E/key",
            "/v1/files/.%2e/key",
            "/v1/files/%252e%252e/key",
            "/v1/files/%25252e./key",
            "/v1/files/..%2fkey",
            "/v1/files/a%2Fb",
            "/v1/files/a%252fb",
            "/v1/files/a\\b",
            "/v1/files/a%5cb",
            "/v1/files/a%255Cb",
            "/v1/files/..;/key",
            "/v1/files/%2e.;a=b/key",
            "/%2525252525252525",
        ] {
            // Some of them no client could send: `Uri` does not take a backslash.
            assert!(is_crooked(path), "{path}");
            if path.parse::<http::Uri>().is_ok() {
                assert_eq!(code(&all, &Method::GET, path), Some(400), "{path}");
            }
        }
        for path in ["/v1/files/...", "/a..b/.c", "/%zz/%", "/100%", "/%25", "/a;b/..c", "/key/generate"] {
            assert!(!is_crooked(path), "{path}");
        }
    }

    #[test]
    fn further_paths_can_be_named() {
        let named = ["/key/info", "/api/*"].map(str::to_owned);
        let paths = Paths::new(&named).expect("paths");
        for (path, expected) in [
            ("/key/info", None),
            ("/key/info/x", Some(404)),
            ("/v1/key/info", Some(404)),
            ("/api/tags", None),
            ("/api/a/b", None),
            ("/api", Some(404)),
            ("/api/../key/generate", Some(400)),
        ] {
            assert_eq!(code(&paths, &Method::GET, path), expected, "{path}");
        }
        for bad in ["", "key", "*", "/a/*/b", "/a*", "/a?b", "/a/../b", "/a%2fb", "/./*"] {
            assert!(Paths::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_websocket_is_not_asked_for_elsewhere() {
        for (upgrade, refused) in [("websocket", true), ("h2c, WebSocket", true), ("h2c", false), ("TLS/1.0", false)] {
            let request = Request::get("/v1/files").header(UPGRADE, upgrade).body(()).expect("a request");
            assert_eq!(Paths::default().check(&request).is_err(), refused, "{upgrade}");
        }
    }
}
