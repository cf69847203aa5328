use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{
    CollectError, ReadError,
    count::{Count, Piece},
};
use crate::{ApiError, BoxBody, BoxError};

/// A body of which no more than so many bytes are passed on. One that is larger ends with an
/// [`ApiError`], once the rest of it has been read and thrown away.
pub(super) struct Limited {
    body: BoxBody,
    count: Count,
}

impl Limited {
    pub(super) fn new(body: BoxBody, limit: usize) -> Self {
        Self { body, count: Count::new(limit, true) }
    }

    fn too_large(&self) -> BoxError {
        ApiError::from(ReadError::Body(CollectError::TooLarge { limit: self.count.limit() })).into()
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(self.count.is_over().then(|| Err(self.too_large())));
            };
            let piece = match &frame {
                Ok(frame) => self.count.add(frame.data_ref().map_or(0, Bytes::len)),
                Err(_) => Piece::Taken,
            };
            match piece {
                Piece::Taken => return Poll::Ready(Some(frame)),
                Piece::Discarded => {}
                Piece::Last => return Poll::Ready(Some(Err(self.too_large()))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.count.is_over() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
