use std::{fmt, str::FromStr};

use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::shown;

/// Where an upstream is: a URL with or without `/v1` at its end.
///
/// Requests for `/v1/…` go to the same place either way. Where the URL has the `/v1`, requests
/// that come without it get it.
///
/// ```
/// use tower_responses::upstream::UpstreamUrl;
///
/// for url in ["http://host:8000", "http://host:8000/v1/", "http://host:8000/v1"] {
///     let url: UpstreamUrl = url.parse().unwrap();
///     assert_eq!(url.join(&"/v1/models?a=b".parse().unwrap()), "http://host:8000/v1/models?a=b");
/// }
/// let url: UpstreamUrl = "https://host/api/v1".parse().unwrap();
/// assert_eq!(url.join(&"/responses".parse().unwrap()), "https://host/api/v1/responses");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    scheme: Scheme,
    authority: Authority,
    /// Without `/v1` and without a slash at its end.
    prefix: String,
    versioned: bool,
}

impl UpstreamUrl {
    /// The URL that a request with this target goes to.
    pub fn join(&self, target: &Uri) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(self.path(target));
        // All three parts are there, which is all that can go wrong.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// What of that URL the upstream is asked for.
    pub(super) fn path(&self, target: &Uri) -> PathAndQuery {
        let path = target.path_and_query().map_or("/", PathAndQuery::as_str);
        let versioned = target.path() == "/v1" || target.path().starts_with("/v1/");
        let version = if self.versioned && !versioned { "/v1" } else { "" };
        let path = match (self.prefix.as_str(), version) {
            ("", "") => target.path_and_query().cloned(),
            (prefix, version) => PathAndQuery::from_maybe_shared(format!("{prefix}{version}{path}")).ok(),
        };
        path.unwrap_or_else(|| PathAndQuery::from_static("/"))
    }

    /// The value of `Host` in requests: without the port that goes without saying.
    pub(super) fn host(&self) -> Option<HeaderValue> {
        let default = if self.is_tls() { 443 } else { 80 };
        let host = match self.authority.port_u16() {
            Some(port) if port != default => self.authority.as_str(),
            _ => self.authority.host(),
        };
        HeaderValue::from_str(host).ok()
    }

    pub(super) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Host and port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl FromStr for UpstreamUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let bad = |why| BadUrl { url: shown::url(text), why };
        let uri: Uri = text.trim().parse().map_err(|_| bad("it cannot be parsed"))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.ok_or_else(|| bad("it has to begin with http:// or https://"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(bad("it has to begin with http:// or https://"));
        }
        let authority = parts.authority.ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("credentials do not belong into it"));
        }
        if parts.path_and_query.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err(bad("a query does not belong into it"));
        }
        let path = parts.path_and_query.as_ref().map_or("", |path| path.path()).trim_end_matches('/');
        if ["/v1/responses", "/v1/chat/completions", "/v1/models"].iter().any(|route| path.ends_with(route)) {
            return Err(bad("it ends with /v1 or before it"));
        }
        let (prefix, versioned) = path.strip_suffix("/v1").map_or((path, false), |prefix| (prefix, true));
        Ok(Self { scheme, authority, prefix: prefix.to_owned(), versioned })
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.versioned { "/v1" } else { "" };
        write!(f, "{}://{}{}{version}", self.scheme, self.authority, self.prefix)
    }
}

/// A URL that is none of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadUrl {
    /// Without what may be a secret in it.
    url: String,
    why: &'static str,
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not the URL of a server: {}", self.url, self.why)
    }
}

impl std::error::Error for BadUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_upstream_is_refused() {
        for text in [
            "",
            "host:8000",
            "ftp://host?key=secret",
            "/v1?secret",
            "http://user:secret@host",
            "user:secret@host",
            "http://host/v1?key=secret",
            "http://host/v1/responses",
            "http://host/api/v1/chat/completions/",
        ] {
            let error = text.parse::<UpstreamUrl>().expect_err(text);
            assert!(!format!("{error}{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn prefixes_stay() {
        let url: UpstreamUrl = "http://host/openai/v1".parse().expect("a URL");
        assert_eq!(url.to_string(), "http://host/openai/v1");
        assert_eq!(url.join(&Uri::from_static("/v1/responses")), "http://host/openai/v1/responses");
        assert_eq!(url.join(&Uri::from_static("/v10")), "http://host/openai/v1/v10");
        let url: UpstreamUrl = "http://host".parse().expect("a URL");
        assert_eq!(url.join(&Uri::from_static("/health")), "http://host/health");
    }

    #[test]
    fn the_host_is_named_without_its_usual_port() {
        for (url, host) in [
            ("http://host", "host"),
            ("http://host:80/v1", "host"),
            ("http://host:443", "host:443"),
            ("https://host:443", "host"),
            ("http://[::1]:8000/v1", "[::1]:8000"),
        ] {
            let url: UpstreamUrl = url.parse().expect("a URL");
            assert_eq!(url.host().expect("a host"), host);
        }
    }
}
