//! Whose pages may open a WebSocket.

use http::{
    HeaderMap,
    header::{HOST, ORIGIN},
};

/// The origins whose pages are served. Browsers let any page open a WebSocket to any server, also
/// to one on the user's own machine, and say only where the page is from. Programs say nothing.
#[derive(Debug, Clone)]
pub(crate) enum Origins {
    /// That of the server itself, and these.
    Own(Vec<Box<str>>),
    Any,
}

impl Origins {
    /// Adds an origin to those that are served.
    pub(crate) fn add(&mut self, origin: &str) {
        if let Self::Own(others) = self {
            others.push(origin.into());
        }
    }

    /// Returns whether a handshake with these headers is served.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Self::Own(others) = self else { return true };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        headers.get_all(ORIGIN).iter().all(|origin| {
            let Ok(origin) = origin.to_str() else { return false };
            let from = origin.split_once("://").map(|(_, from)| from);
            from.is_some() && from == host || others.iter().any(|other| **other == *origin)
        })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn allows(origins: &Origins, host: &str, from: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::try_from(host).unwrap());
        for origin in from {
            headers.append(ORIGIN, HeaderValue::from_static(origin));
        }
        origins.allow(&headers)
    }

    #[test]
    fn its_own_and_those_that_are_listed_are_served() {
        let mut origins = Origins::Own(Vec::new());
        origins.add("https://app.example");
        for from in [&[][..], &["http://gateway:80"], &["https://gateway:80"], &["https://app.example"]] {
            assert!(allows(&origins, "gateway:80", from), "{from:?}");
        }
        for from in [
            &["null"][..],
            &["http://gateway"],
            &["http://evil.example"],
            &["http://app.example"],
            &["https://app.example:443"],
            &["https://app.example.evil.example"],
            &["https://app.example", "http://evil.example"],
            &[""],
        ] {
            assert!(!allows(&origins, "gateway:80", from), "{from:?}");
        }
        assert!(allows(&Origins::Any, "gateway:80", &["null"]));
    }

    #[test]
    fn without_a_host_nothing_is_its_own() {
        let headers = HeaderMap::from_iter([(HeaderName::from_static("origin"), HeaderValue::from_static("null"))]);
        assert!(!Origins::Own(Vec::new()).allow(&headers));
    }
}
