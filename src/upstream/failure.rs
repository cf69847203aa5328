use std::{error::Error, io, time::Duration};

use http::{HeaderValue, StatusCode};
use tower_responses_core::{ApiError, BoxError};

use super::{UpstreamUrl, roots::refusal};

/// Who was asked, and for which request.
pub(super) struct Asked<'a> {
    pub(super) upstream: &'a UpstreamUrl,
    pub(super) request_id: Option<&'a HeaderValue>,
}

impl Asked<'_> {
    fn warn(&self, error: &str) {
        let request_id = self.request_id.and_then(|id| id.to_str().ok());
        tracing::warn!(upstream = %self.upstream, request_id, error, "the upstream gave no answer");
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// There is no connection.
    Unreachable(BoxError),
    /// There was one.
    Broken(BoxError),
}

impl From<hyper_util::client::legacy::Error> for NoAnswer {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        if error.is_connect() { Self::Unreachable(error.into()) } else { Self::Broken(error.into()) }
    }
}

impl NoAnswer {
    /// What the client hears of it, and the operator.
    pub(super) fn to_error(&self, asked: &Asked<'_>) -> ApiError {
        let (Self::Unreachable(error) | Self::Broken(error)) = self;
        // The request's own body has broken off, and has said why.
        if let Some(error) = sources(&**error).find_map(|source| source.downcast_ref::<ApiError>()) {
            return error.clone();
        }
        asked.warn(&chain(&**error));
        if matches!(self, Self::Broken(_)) {
            return ApiError::new(StatusCode::BAD_GATEWAY, "the upstream closed the connection without an answer")
                .code("upstream_error");
        }
        let causes = || sources(&**error).filter_map(|source| source.downcast_ref::<io::Error>());
        let (status, message) = if causes().any(|cause| cause.kind() == io::ErrorKind::TimedOut) {
            (StatusCode::GATEWAY_TIMEOUT, "the connection to the upstream could not be made in time")
        } else if causes().any(|cause| matches!(refusal(cause), Some(rustls::Error::InvalidCertificate(_)))) {
            (StatusCode::BAD_GATEWAY, "the upstream's certificate is not trusted here")
        } else {
            (StatusCode::BAD_GATEWAY, "the upstream could not be reached")
        };
        ApiError::new(status, message).code("upstream_unreachable")
    }
}

pub(super) fn too_slow(limit: Duration, asked: &Asked<'_>) -> ApiError {
    let message = format!("the upstream has not begun to answer within {} seconds", limit.as_secs_f32());
    asked.warn(&message);
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, message).code("upstream_timeout")
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn chain(error: &(dyn Error + 'static)) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
