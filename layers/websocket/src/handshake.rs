//! The handshake: who gets a WebSocket, who does not, and what is taken from it for the requests.

use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT,
        SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tower_responses_core::{ApiError, RequestBody, ResponseBody};

use crate::origins::Origins;

#[cfg(test)]
mod tests;

/// Whether this asks for what a WebSocket is served at: `GET …/responses`.
pub(crate) fn is_for_us(method: &Method, path: &str) -> bool {
    method == Method::GET && path.trim_end_matches('/').rsplit('/').next() == Some("responses")
}

/// The value of `sec-websocket-accept`, if the request may be upgraded.
pub(crate) fn accept(head: &Parts, origins: &Origins) -> Result<HeaderValue, ApiError> {
    let headers = &head.headers;
    if !lists(headers, &CONNECTION, "upgrade") || !lists(headers, &UPGRADE, "websocket") {
        return Err(upgrade_required("GET is answered here for WebSocket clients. Use POST, or ask for an upgrade."));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(upgrade_required("Only version 13 of the WebSocket protocol is understood."));
    }
    if !origins.allow(headers) {
        let message = "WebSockets of pages from this origin are not served.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, message).code("origin_not_allowed"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| ApiError::bad_request("The handshake has no valid sec-websocket-key."))?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| ApiError::bad_request("The handshake has no valid sec-websocket-key."))
}

/// 426. Codex then uses HTTP for the rest of its session; after any other status it tries again.
pub(crate) fn upgrade_required(message: &'static str) -> ApiError {
    ApiError::new(StatusCode::UPGRADE_REQUIRED, message).code("upgrade_required")
}

/// The response to a handshake that was refused.
pub(crate) fn refusal(error: ApiError, version: Version) -> Response<ResponseBody> {
    let mut response = error.into_response();
    if response.status() == StatusCode::UPGRADE_REQUIRED {
        let headers = response.headers_mut();
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if version == Version::HTTP_11 {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
    }
    response
}

/// The response to a handshake that was taken. Extensions (permessage-deflate) are declined by
/// not naming them.
pub(crate) fn switching(accept: HeaderValue) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut tokens = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    tokens.any(|found| found.trim().eq_ignore_ascii_case(token))
}

/// Says only something about the connection, or about a body that the handshake does not have.
const NOT_INWARD: [HeaderName; 11] = [
    CONNECTION,
    UPGRADE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    EXPECT,
    // Events are read here.
    ACCEPT_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The same headers in memory of their own: as they come they are slices of the buffer that the
/// server has read the handshake into, and would keep it for as long as the connection lasts.
fn own_values(headers: &HeaderMap) -> HeaderMap {
    let text: Bytes = headers.values().flat_map(|value| value.as_bytes()).copied().collect();
    let mut own = HeaderMap::with_capacity(headers.keys_len());
    let mut start = 0;
    for (name, value) in headers {
        let end = start + value.len();
        let mut copy = HeaderValue::from_maybe_shared(text.slice(start..end)).unwrap_or_else(|_| value.clone());
        copy.set_sensitive(value.is_sensitive());
        own.append(name, copy);
        start = end;
    }
    own
}

/// The same for the URI.
fn own_uri(uri: &Uri) -> Uri {
    uri.to_string().parse().unwrap_or_else(|_| uri.clone())
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The head of the requests that the frames of a connection become.
#[derive(Debug)]
pub(crate) struct RequestHead {
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
}

impl RequestHead {
    /// Takes over what the handshake says of the client; its `OnUpgrade` has been taken out.
    pub(crate) fn new(handshake: Parts) -> Self {
        let Parts { uri, mut headers, extensions, .. } = handshake;
        let named: Vec<_> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse::<HeaderName>().ok())
            .collect();
        let websocket = headers.keys().filter(|name| name.as_str().starts_with("sec-websocket-")).cloned();
        for name in websocket.collect::<Vec<_>>().iter().chain(&named).chain(&NOT_INWARD) {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        Self { uri: own_uri(&uri), headers: own_values(&headers), extensions }
    }

    /// The request number `number` of the connection. If the handshake has an `x-request-id`, each
    /// request gets one of its own from it.
    pub(crate) fn request(&self, body: RequestBody, number: u64) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        *request.extensions_mut() = self.extensions.clone();
        if let Some(id) = request.headers_mut().get_mut(REQUEST_ID) {
            let own = [id.as_bytes(), b"-", number.to_string().as_bytes()].concat();
            if let Ok(own) = HeaderValue::from_bytes(&own) {
                *id = own;
            }
        }
        request
    }
}
