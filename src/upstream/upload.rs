use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::LengthLimitError;
use tower_responses_core::{ApiError, BoxError, RequestBody};

use super::failure::sources;

/// The body of a request that is still arriving. If it breaks off, the request fails by a fault of
/// the client and not of the upstream.
pub(super) struct Upload {
    body: RequestBody,
    fault: Fault,
}

/// Why an [`Upload`] broke off, once it has.
#[derive(Debug, Clone, Default)]
pub(super) struct Fault(Arc<OnceLock<ApiError>>);

impl Fault {
    pub(super) fn get(&self) -> Option<&ApiError> {
        self.0.get()
    }
}

impl Upload {
    /// Wraps a body that is still arriving. One that is here cannot break off.
    pub(super) fn follow(body: RequestBody) -> (RequestBody, Option<Fault>) {
        if !body.is_stream() {
            return (body, None);
        }
        let fault = Fault::default();
        (RequestBody::new(Self { body, fault: fault.clone() }), Some(fault))
    }
}

/// Returns what the client gets: the error that broke the body off, if it is one for clients.
fn to_error(error: &BoxError) -> ApiError {
    if let Some(said) = sources(&**error).find_map(|source| source.downcast_ref::<ApiError>()) {
        return said.clone();
    }
    if sources(&**error).any(|source| source.is::<LengthLimitError>()) {
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").code("request_too_large");
    }
    ApiError::bad_request(format!("the body broke off: {error}")).code("incomplete_body")
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(error))) = &frame {
            tracing::debug!(error = &**error as &dyn std::error::Error, "the body of a request broke off");
            self.fault.0.get_or_init(|| to_error(error));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
