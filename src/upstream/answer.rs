use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING},
};
use tower_responses_core::ApiError;

/// The encodings that a request accepts.
#[derive(Debug)]
pub(super) struct Accepted {
    encodings: Vec<HeaderValue>,
}

impl Accepted {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        // Layers that read answers ask for none. To see that takes less than to look for it.
        if !headers.keys().any(|name| name == ACCEPT_ENCODING) {
            return Self { encodings: Vec::new() };
        }
        Self { encodings: headers.get_all(ACCEPT_ENCODING).iter().cloned().collect() }
    }

    /// Returns why an answer is not passed on: it switches to another protocol, or has an encoding
    /// that was not asked for.
    pub(super) fn refuse<B>(&self, answer: &Response<B>) -> Option<ApiError> {
        let refused = |message: String| Some(ApiError::new(StatusCode::BAD_GATEWAY, message).code("upstream_error"));
        if answer.status().is_informational() {
            return refused("the upstream switched to another protocol without being asked".to_owned());
        }
        let codings = answer.headers().get_all(CONTENT_ENCODING).iter();
        let mut codings = codings.flat_map(|value| value.to_str().unwrap_or("?").split(',')).map(str::trim);
        let coding = codings.find(|coding| !coding.is_empty() && !self.accepts(coding))?;
        refused(format!("the upstream encoded its answer as '{coding}' without being asked"))
    }

    fn accepts(&self, coding: &str) -> bool {
        if coding.eq_ignore_ascii_case("identity") {
            return true;
        }
        let mut any = false;
        let elements = self.encodings.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        for element in elements {
            let (name, weight) = element.split_once(';').unwrap_or((element, ""));
            let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            let is_accepted = weight != Some(0.0);
            match name.trim() {
                name if plain(name).eq_ignore_ascii_case(plain(coding)) => return is_accepted,
                "*" => any = is_accepted,
                _ => {}
            }
        }
        any
    }
}

/// The name without the `x-` that some codings once had.
fn plain(coding: &str) -> &str {
    match coding.split_at_checked(2) {
        Some((prefix, name)) if prefix.eq_ignore_ascii_case("x-") => name,
        _ => coding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(asked: &[&'static str], status: u16, encoding: Option<&'static str>) -> bool {
        let asked = asked.iter().map(|value| (ACCEPT_ENCODING, HeaderValue::from_static(value)));
        let mut answer = Response::builder().status(status);
        if let Some(encoding) = encoding {
            answer = answer.header(CONTENT_ENCODING, encoding);
        }
        Accepted::of(&HeaderMap::from_iter(asked)).refuse(&answer.body(()).expect("a response")).is_some()
    }

    #[test]
    fn only_what_was_asked_for_is_passed() {
        for asked in [&[][..], &["identity"], &["gzip;q=0"], &["*;q=0"], &["br, deflate"], &["*, gzip;q=0.0"]] {
            assert!(refused(asked, 200, Some("gzip")), "{asked:?}");
            assert!(!refused(asked, 200, None), "{asked:?}");
            assert!(!refused(asked, 200, Some("identity")), "{asked:?}");
        }
        for asked in [&["gzip"][..], &["br, GZIP;q=0.5"], &["*"], &["br", "zstd, x-gzip"]] {
            assert!(!refused(asked, 200, Some("gzip")), "{asked:?}");
            assert!(!refused(asked, 200, Some("X-Gzip")), "{asked:?}");
        }
        assert!(refused(&["gzip"], 200, Some("gzip, zstd")));
        assert!(refused(&["gzip"], 101, None));
    }
}
