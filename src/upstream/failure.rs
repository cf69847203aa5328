use std::{error::Error, io, time::Duration};

use http::StatusCode;
use tower_responses_core::ApiError;

/// What a client hears of an upstream that gave no answer.
pub(super) fn no_answer(error: &hyper_util::client::legacy::Error) -> ApiError {
    tracing::warn!(error = %chain(error), "the upstream gave no answer");
    if error.is_connect() {
        let timed_out = sources(error).any(|source| {
            source.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        });
        let (status, message) = if timed_out {
            (StatusCode::GATEWAY_TIMEOUT, "the connection to the upstream could not be made in time")
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
