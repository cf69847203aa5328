use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::Body;

use crate::{BoxBody, BoxError};

/// Why a body could not be read whole.
#[derive(Debug)]
pub enum CollectError {
    /// It is larger than this many bytes.
    TooLarge {
        /// The bytes that would have been taken.
        limit: usize,
    },
    /// It broke off.
    Broken(BoxError),
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "the body is larger than {limit} bytes"),
            Self::Broken(error) => write!(f, "the body broke off: {error}"),
        }
    }
}

impl std::error::Error for CollectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLarge { .. } => None,
            Self::Broken(error) => Some(&**error),
        }
    }
}

/// A body that is too large is read on for so many times its limit, and for so many bytes at
/// least, so that a client which writes before it reads can see the answer.
const DISCARD: usize = 4;
const DISCARD_AT_LEAST: usize = 64 << 20;

/// Reads a body whole, up to a limit. A body of one frame is not copied.
pub(crate) struct Collect {
    body: BoxBody,
    first: Bytes,
    rest: BytesMut,
    limit: usize,
    discard: bool,
    seen: usize,
}

impl Collect {
    /// With `discard`, what is over the limit is read and thrown away before the error comes.
    pub(crate) fn new(body: BoxBody, limit: usize, discard: bool) -> Self {
        Self { body, first: Bytes::new(), rest: BytesMut::new(), limit, discard, seen: 0 }
    }

    fn take(&mut self, data: Bytes) {
        if self.seen == data.len() {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            let expected = usize::try_from(self.body.size_hint().lower()).unwrap_or(0);
            self.rest.reserve((self.seen + expected).min(self.limit));
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
    }

    /// What has come so far.
    pub(crate) fn so_far(&self) -> &[u8] {
        if self.rest.is_empty() { &self.first } else { &self.rest }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, CollectError>> {
        let too_large = CollectError::TooLarge { limit: self.limit };
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None if self.seen > self.limit => return Poll::Ready(Err(too_large)),
                None if self.rest.is_empty() => return Poll::Ready(Ok(std::mem::take(&mut self.first))),
                None => return Poll::Ready(Ok(std::mem::take(&mut self.rest).freeze())),
                Some(Err(error)) => return Poll::Ready(Err(CollectError::Broken(error))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.seen += data.len();
                    if self.seen <= self.limit {
                        self.take(data);
                        continue;
                    }
                    self.first = Bytes::new();
                    self.rest = BytesMut::new();
                    if !self.discard || self.seen > self.limit.saturating_mul(DISCARD).max(DISCARD_AT_LEAST) {
                        return Poll::Ready(Err(too_large));
                    }
                }
            }
        }
    }
}
