//! Refuses what the pages of other sites can make a browser send.
//!
//! Who listens on loopback and asks for no key trusts those who are on the machine, and a browser
//! that is there speaks for any page that it shows. A page can send a request without asking
//! before, and it can have a name of its own that leads to 127.0.0.1 (DNS rebinding), so that all
//! of the gateway is its own site. Its name then stands in `Host`, and its origin in `Origin`.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{Either, Ready, ready};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, HOST, ORIGIN},
};
use tower_layer::Layer;
use tower_responses_core::{ApiError, ResponseBody, rewrite::is_create_request};
use tower_service::Service;

/// Refuses requests for hosts and of origins that are not allowed, and those that make a response
/// and have no content type.
#[derive(Debug, Clone, Default)]
pub(super) struct CrossSiteLayer {
    allowed: Option<Arc<Allowed>>,
}

/// The hosts that requests may be for, and the origins that they may come from.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// Beside those of loopback.
    hosts: Vec<String>,
    /// Beside those of hosts that are allowed.
    origins: Vec<String>,
}

impl CrossSiteLayer {
    /// Checks hosts and origins as well.
    pub(super) fn new(allowed: Allowed) -> Self {
        Self { allowed: Some(Arc::new(allowed)) }
    }
}

impl Allowed {
    /// Allows requests for this host, at any port; `*` stands for all.
    pub(super) fn host(mut self, name: &str) -> Self {
        let name = host_of(name).unwrap_or(name);
        self.hosts.push(name.to_owned());
        self
    }

    /// Allows requests for the address.
    pub(super) fn address(mut self, address: SocketAddr) -> Self {
        self.hosts.push(match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        self
    }

    /// Allows requests of pages of this origin; `*` stands for all.
    pub(super) fn origin(mut self, origin: &str) -> Self {
        self.origins.push(origin.to_owned());
        self
    }

    fn check<B>(&self, request: &Request<B>) -> Result<(), ApiError> {
        // A tunnel is for another host by nature. It is refused further in.
        if request.method() == Method::CONNECT {
            return Ok(());
        }
        // HTTP/2 has `:authority`, and HTTP/1 may have whole URLs. Only programs leave out the host,
        // as HTTP/1.0 lets them: a browser always sends it.
        if let Some(authority) = request.uri().authority()
            && !self.has_host(authority.as_str())
        {
            return Err(host_not_allowed(authority.as_str()));
        }
        for (name, value) in request.headers() {
            if name == HOST && !self.has_host(text(value)) {
                return Err(host_not_allowed(text(value)));
            }
            if name == ORIGIN && !self.has_origin(text(value)) {
                return Err(origin_not_allowed(text(value)));
            }
        }
        Ok(())
    }

    fn has_host(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        is_loopback(host) || self.hosts.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(host))
    }

    fn has_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == "*" || allowed == origin)
            || origin.split_once("://").is_some_and(|(_, authority)| self.has_host(authority))
    }
}

fn host_not_allowed(host: &str) -> ApiError {
    tracing::info!(host, "a request for a host that is not allowed was refused");
    let message =
        format!("requests for the host '{}' are not answered here: --allow-host allows a name", shorten(host));
    ApiError::new(StatusCode::FORBIDDEN, message).code("host_not_allowed")
}

fn origin_not_allowed(origin: &str) -> ApiError {
    tracing::info!(origin, "a request of an origin that is not allowed was refused");
    let message = format!("pages of {} may not ask here: --cors allows an origin", shorten(origin));
    ApiError::new(StatusCode::FORBIDDEN, message).code("origin_not_allowed")
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}

fn shorten(text: &str) -> &str {
    text.get(..100).unwrap_or(text)
}

/// Returns the host of `HOST[:PORT]`, without the dot that a full name may end with; `None` if the
/// text is something else.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(address) => address.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty() && !host.contains(['@', '/'])).then_some(host)
}

/// Returns whether a host is this machine, whatever name server is asked (RFC 6761, 6.3).
fn is_loopback(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    }
    if host.starts_with("127.") {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    const NAME: &str = "localhost";
    let Some(at) = host.len().checked_sub(NAME.len()) else { return false };
    host.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(NAME)) && (at == 0 || host[..at].ends_with('.'))
}

/// Refuses to make a response of a body without a content type: a browser sends such a body (a
/// `Blob` without a type) to any site without asking it before.
fn check_type<B>(request: &Request<B>) -> Result<(), ApiError> {
    if is_create_request(request) && !request.headers().keys().any(|name| name == CONTENT_TYPE) {
        let message = "a request that makes a response has to have the content type application/json";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).code("unsupported_media_type"));
    }
    Ok(())
}

impl<S> Layer<S> for CrossSiteLayer {
    type Service = CrossSite<S>;

    fn layer(&self, inner: S) -> CrossSite<S> {
        CrossSite { inner, allowed: self.allowed.clone() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct CrossSite<S> {
    inner: S,
    allowed: Option<Arc<Allowed>>,
}

impl<S, B> Service<Request<B>> for CrossSite<S>
where
    S: Service<Request<B>, Response = Response<ResponseBody>, Error = Infallible>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<ResponseBody>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let checked = self.allowed.as_ref().map_or(Ok(()), |allowed| allowed.check(&request));
        match checked.and_then(|()| check_type(&request)) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(error) => Either::Right(ready(Ok(error.into_response()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_cut_out() {
        for (authority, host) in [
            ("localhost", Some("localhost")),
            ("localhost:8080", Some("localhost")),
            ("localhost.:8080", Some("localhost")),
            ("[::1]", Some("[::1]")),
            ("[::1]:80", Some("[::1]")),
            ("a:", Some("a")),
            ("", None),
            (":80", None),
            (".", None),
            ("[::1", None),
            ("[::1]x", None),
            ("::1", None),
            ("a:b", None),
            ("a:80:80", None),
            ("user@localhost", None),
            ("localhost/x", None),
        ] {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn loopback_is_known_by_its_names() {
        for host in [
            "localhost",
            "LocalHost",
            "a.localhost",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example",
            "notlocalhost",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::2]",
            "ölocalhost",
            "local",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn origins_are_those_of_the_list_and_of_allowed_hosts() {
        let allowed = Allowed::default().host("box.lan").origin("https://app.example");
        for origin in [
            "https://app.example",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "https://BOX.lan",
            "tauri://localhost",
        ] {
            assert!(allowed.has_origin(origin), "{origin}");
        }
        for origin in [
            "https://app.example:444",
            "http://app.example",
            "https://evil.example",
            "null",
            "",
            "file://",
            "http://localhost.evil.example",
            "https://app.example.evil.example",
        ] {
            assert!(!allowed.has_origin(origin), "{origin}");
        }
        assert!(Allowed::default().origin("*").has_origin("null"));
    }

    #[test]
    fn the_address_counts_and_whatever_is_named() {
        let allowed = Allowed::default().address(([10, 0, 0, 7], 80).into()).host("box.lan:8080").host("[fd00::1]");
        for host in ["10.0.0.7:9", "box.lan", "BOX.LAN.:1", "[fd00::1]:80", "localhost"] {
            assert!(allowed.has_host(host), "{host}");
        }
        assert!(!allowed.has_host("10.0.0.8"));
        assert!(Allowed::default().host("*").has_host("whoever.example"));
    }
}
