use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tower_responses_core::{ApiError, BoxError, RequestBody};

use super::{activity::Activity, patience::Patience};

/// The body of a request on its way from a client. It breaks off when the client takes too long,
/// with what the client is to hear.
pub(super) struct ClientBody {
    body: Incoming,
    /// For pieces that have come. Time in which nobody asks for more does not count.
    waited: Duration,
    patience: Patience,
    activity: Arc<Activity>,
}

impl ClientBody {
    pub(super) fn request_body(body: Incoming, activity: &Arc<Activity>) -> RequestBody {
        if body.is_end_stream() {
            return RequestBody::empty();
        }
        let (waited, patience, activity) = (Duration::ZERO, Patience::default(), activity.clone());
        RequestBody::new(Self { body, waited, patience, activity })
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<ApiError> {
        let idle = self.activity.limits.body_idle_timeout;
        let left = self.activity.limits.body_total_timeout.map(|total| total.saturating_sub(self.waited));
        let limit = idle.into_iter().chain(left).min();
        ready!(self.patience.poll(cx, limit, &self.activity));
        let waited = self.patience.end();
        Poll::Ready(match limit {
            Some(limit) if waited >= limit => {
                let all = if idle == Some(limit) { idle } else { self.activity.limits.body_total_timeout };
                let message = format!(
                    "the body of the request has not come within {} seconds",
                    all.unwrap_or_default().as_secs_f32()
                );
                ApiError::new(StatusCode::REQUEST_TIMEOUT, message).code("request_timeout")
            }
            _ => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the gateway ends, and the request has not come")
                .code("shutting_down"),
        })
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let waited = self.patience.end();
            self.waited += waited;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let late = ready!(self.poll_late(cx));
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
