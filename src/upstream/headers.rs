use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        AUTHORIZATION, CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

/// Headers that speak of one connection, not of the message (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Mostly there is none, and to see that takes less than to look for each.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Whose credential the upstream gets to see.
#[derive(Clone, Default)]
pub(super) enum Credential {
    #[default]
    Clients,
    Ours(HeaderValue),
    None,
}

/// Where other APIs have their keys. A server that takes them may prefer them.
const OTHER_CREDENTIALS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

impl Credential {
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Clients => {
                // The first counts: whose a response is was read from it.
                if headers.len() > headers.keys_len()
                    && let Some(first) = headers.get(AUTHORIZATION).cloned()
                {
                    headers.insert(AUTHORIZATION, first);
                }
                return;
            }
            Self::Ours(value) => {
                headers.insert(AUTHORIZATION, value.clone());
            }
            Self::None => {
                headers.remove(AUTHORIZATION);
            }
        }
        if headers.keys().any(|name| OTHER_CREDENTIALS.contains(name)) {
            for name in &OTHER_CREDENTIALS {
                headers.remove(name);
            }
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clients => "Clients",
            Self::Ours(_) => "Ours(hidden)",
            Self::None => "None",
        })
    }
}

pub(super) fn prepare_request(headers: &mut HeaderMap, credential: &Credential) {
    remove_hop_by_hop(headers);
    credential.apply(headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_connection_header_names_goes_too() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("connection", "close, X-Hop"), ("x-hop", "1"), ("te", "trailers"), ("x-stays", "1")] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-stays"]);
    }

    #[test]
    fn there_is_never_more_than_one_credential() {
        let client = HeaderValue::from_static("Bearer client");
        let ours = HeaderValue::from_static("Bearer ours");
        let key = HeaderName::from_static("x-api-key");
        for (credential, expected, keeps_key) in [
            (Credential::Clients, Some(&client), true),
            (Credential::Ours(ours.clone()), Some(&ours), false),
            (Credential::None, None, false),
        ] {
            for times in 1..=3 {
                let mut headers =
                    HeaderMap::from_iter([(AUTHORIZATION, client.clone()), (key.clone(), client.clone())]);
                for _ in 1..times {
                    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer another"));
                }
                prepare_request(&mut headers, &credential);
                assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), Vec::from_iter(expected));
                assert_eq!(headers.contains_key(&key), keeps_key);
            }
            assert!(!format!("{credential:?}").contains("Bearer"));
        }
    }
}
