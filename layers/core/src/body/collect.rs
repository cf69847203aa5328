use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::Body;

use super::{
    budget::{BodyBudget, ReservedBytes},
    count::{Count, Piece},
};
use crate::{ApiError, BoxBody, BoxError};

/// Why a body could not be read whole.
#[derive(Debug)]
pub enum CollectError {
    /// It is larger than this many bytes.
    TooLarge {
        /// The bytes that would have been taken.
        limit: usize,
    },
    /// It broke off. If the error is an [`ApiError`], that is what the client hears.
    Broken(BoxError),
}

impl CollectError {
    /// What the client hears, if the body itself has said so.
    pub(super) fn into_api_error(self) -> Result<ApiError, Self> {
        match self {
            Self::Broken(error) => error.downcast().map(|error| *error).map_err(Self::Broken),
            Self::TooLarge { .. } => Err(self),
        }
    }
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

/// A body that is always ready, such as one that is decompressed, gives way to others after so
/// many bytes.
const AT_ONCE: usize = 1 << 20;

/// What every request may hold, however little is left for all.
const FREE: usize = 16 << 10;

/// Reads a body whole, up to a limit. A body of one frame is not copied.
pub(crate) struct Collect {
    body: BoxBody,
    first: Bytes,
    rest: BytesMut,
    count: Count,
    /// What is held of the budget of all requests, if there is one.
    reserved: Option<ReservedBytes>,
}

impl Collect {
    /// With `discard`, what is over the limit is read and thrown away before the error comes.
    pub(crate) fn new(body: BoxBody, limit: usize, discard: bool) -> Self {
        let (first, rest, count) = (Bytes::new(), BytesMut::new(), Count::new(limit, discard));
        Self { body, first, rest, count, reserved: None }
    }

    /// What is held is taken from `reserved`, which has no bytes yet.
    pub(crate) fn reserving(self, reserved: Option<ReservedBytes>) -> Self {
        Self { reserved, ..self }
    }

    fn take(&mut self, data: Bytes) {
        let seen = self.count.seen();
        if let Some(reserved) = &mut self.reserved
            && seen > FREE
            && !reserved.grow_to(seen)
        {
            self.count.refuse();
            self.give_up();
            return;
        }
        if seen == data.len() {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            // Room that is not written to takes no memory.
            let expected = usize::try_from(self.body.size_hint().lower()).unwrap_or(0);
            self.rest.reserve(seen.saturating_add(expected).min(self.count.limit()));
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
    }

    fn give_up(&mut self) {
        self.first = Bytes::new();
        self.rest = BytesMut::new();
        self.reserved = None;
    }

    /// The whole body. What it has reserved stays so for as long as anybody holds a part of it.
    fn whole(&mut self) -> Bytes {
        let bytes = if self.rest.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            std::mem::take(&mut self.rest).freeze()
        };
        match self.reserved.take().filter(|reserved| reserved.bytes() > 0) {
            Some(reserved) => Bytes::from_owner(Held { bytes, _reserved: reserved }),
            None => bytes,
        }
    }

    /// What has come so far.
    pub(crate) fn so_far(&self) -> &[u8] {
        if self.rest.is_empty() { &self.first } else { &self.rest }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, CollectError>> {
        let begun = self.count.seen();
        loop {
            if self.count.seen() - begun > AT_ONCE {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None if self.count.is_over() => return Poll::Ready(Err(self.refusal())),
                None => return Poll::Ready(Ok(self.whole())),
                Some(Err(error)) => return Poll::Ready(Err(CollectError::Broken(error))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    match self.count.add(data.len()) {
                        Piece::Taken => self.take(data),
                        Piece::Discarded => self.give_up(),
                        Piece::Last => return Poll::Ready(Err(self.refusal())),
                    }
                }
            }
        }
    }

    fn refusal(&mut self) -> CollectError {
        self.give_up();
        if self.count.is_refused() {
            return CollectError::Broken(BodyBudget::exhausted().into());
        }
        CollectError::TooLarge { limit: self.count.limit() }
    }
}

/// A body and what it takes of the budget of all.
struct Held {
    bytes: Bytes,
    _reserved: ReservedBytes,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
