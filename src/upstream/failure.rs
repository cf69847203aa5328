use std::{error::Error, io, time::Duration};

use http::StatusCode;
use tower_responses_core::ApiError;

use super::roots::refusal;

/// What a client hears of an upstream that gave no answer.
pub(super) fn no_answer(error: &hyper_util::client::legacy::Error) -> ApiError {
    tracing::warn!(error = %chain(error), "the upstream gave no answer");
    if error.is_connect() {
        let causes = || sources(error).filter_map(|source| source.downcast_ref::<io::Error>());
        let (status, message) = if causes().any(|cause| cause.kind() == io::ErrorKind::TimedOut) {
            (StatusCode::GATEWAY_TIMEOUT, "the connection to the upstream could not be made in time")
        } else if causes().any(|cause| matches!(refusal(cause), Some(rustls::Error::InvalidCertificate(_)))) {
            (StatusCode::BAD_GATEWAY, "the upstream's certificate is not trusted here")
        } else {
            (StatusCode::BAD_GATEWAY, "the upstream could not be reached")
        };
        return ApiError::new(status, message).code("upstream_unreachable");
    }
    ApiError::new(StatusCode::BAD_GATEWAY, "the upstream closed the connection without an answer")
        .code("upstream_error")
}

pub(super) fn too_slow(limit: Duration) -> ApiError {
    let message = format!("the upstream has not begun to answer within {} seconds", limit.as_secs_f32());
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, message).code("upstream_timeout")
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn chain(error: &(dyn Error + 'static)) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
