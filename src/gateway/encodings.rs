use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING},
};
use tower_responses_core::{ApiError, ResponseBody};

/// What requests may be compressed with, as it stands in `accept-encoding`.
const KNOWN: &str = "gzip, deflate, br, zstd";

/// How the body of a request is encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    None,
    /// By one that is known, which the header now names as it is written usually.
    Known,
    /// By others, or by several.
    Unknown(String),
}

impl Encoding {
    /// Reads the header, and removes it where it says that there is no encoding.
    pub(super) fn read(headers: &mut HeaderMap) -> Self {
        let all = headers.get_all(CONTENT_ENCODING).iter();
        let all: Vec<_> = all.flat_map(|value| value.to_str().unwrap_or("?").split(',')).map(str::trim).collect();
        let mut named = all.iter().filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
        let Some(name) = named.next() else {
            headers.remove(CONTENT_ENCODING);
            return Self::None;
        };
        let known = match (name.to_ascii_lowercase().as_str(), named.next()) {
            ("gzip" | "x-gzip", None) => "gzip",
            ("deflate", None) => "deflate",
            ("br", None) => "br",
            ("zstd", None) => "zstd",
            _ => return Self::Unknown(all.join(", ")),
        };
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(known));
        Self::Known
    }
}

/// The response to a request whose encoding is not known.
pub(super) fn unsupported(encoding: &str) -> Response<ResponseBody> {
    let message = format!("unsupported content encoding '{encoding}': known are {KNOWN}");
    let error = ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).code("unsupported_media_type");
    let mut response = error.into_response();
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(KNOWN));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_known_or_none() {
        let unknown = |name: &str| Encoding::Unknown(name.to_owned());
        for (values, encoding, left) in [
            (&["gzip"][..], Encoding::Known, Some("gzip")),
            (&["X-GZIP"], Encoding::Known, Some("gzip")),
            (&["identity, ZSTD"], Encoding::Known, Some("zstd")),
            (&["identity"], Encoding::None, None),
            (&["", "Identity"], Encoding::None, None),
            (&["compress"], unknown("compress"), Some("compress")),
            (&["gzip, zstd"], unknown("gzip, zstd"), Some("gzip, zstd")),
            (&["gzip", "gzip"], unknown("gzip, gzip"), Some("gzip")),
        ] {
            let values = values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            for (name, value) in values {
                headers.append(name, value);
            }
            assert_eq!(Encoding::read(&mut headers), encoding);
            assert_eq!(headers.get(CONTENT_ENCODING).map(|value| value.to_str().expect("text")), left);
        }
    }
}
