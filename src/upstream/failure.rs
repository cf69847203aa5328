use std::{error::Error, io, time::Duration};

use http::{HeaderValue, Response, StatusCode};
use tower_responses_core::{ApiError, BoxError, ResponseBody};

use super::{UpstreamUrl, roots::refusal};

/// Who was asked, and for which request.
pub(super) struct Call<'a> {
    pub(super) upstream: &'a UpstreamUrl,
    pub(super) request_id: Option<&'a HeaderValue>,
}

impl Call<'_> {
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

/// Stands in the extensions of an error response that no server sent, and says why it did not.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "read by the program"))]
pub(crate) enum Unanswered {
    /// There is no connection.
    Unreachable(String),
    /// There was one.
    Broken(String),
}

impl NoAnswer {
    /// What the client hears of it, and the operator.
    pub(super) fn into_response(self, call: &Call<'_>) -> Response<ResponseBody> {
        let mut response = self.to_error(call).into_response();
        response.extensions_mut().insert(match self {
            Self::Unreachable(error) => Unanswered::Unreachable(chain(&*error)),
            Self::Broken(error) => Unanswered::Broken(chain(&*error)),
        });
        response
    }

    fn to_error(&self, call: &Call<'_>) -> ApiError {
        let (Self::Unreachable(error) | Self::Broken(error)) = self;
        call.warn(&chain(&**error));
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

pub(super) fn too_slow(limit: Duration, call: &Call<'_>) -> ApiError {
    let message = format!("the upstream has not begun to answer within {} seconds", limit.as_secs_f32());
    call.warn(&message);
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, message).code("upstream_timeout")
}

pub(super) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn chain(error: &(dyn Error + 'static)) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
