use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Request, header::UPGRADE};
use http_body::{Body, Frame};
use tower_responses_core::{ApiError, BodyBudget, BoxError, CollectError, ReadError, RequestBody, ReservedBytes};

use super::{ConfigError, config::LimitSettings};

/// How much is taken of the bodies of requests: of each, and of all that are held at once.
#[derive(Debug, Clone)]
pub(super) struct BodyLimits {
    each: usize,
    all: BodyBudget,
}

/// A body of fewer bytes is not worth to be counted.
const SMALL: u64 = 16 << 10;

/// What a decompressor takes for itself, beside what it has to remember of what it has written.
const DECOMPRESSOR: usize = 256 << 10;

/// By default so many of the largest requests are held at once.
const LARGEST_AT_ONCE: usize = 16;

impl BodyLimits {
    pub(super) fn new(settings: &LimitSettings, each: usize) -> Result<Self, ConfigError> {
        let all = settings.total_request_bytes.unwrap_or(each.saturating_mul(LARGEST_AT_ONCE));
        if all < each {
            return Err(ConfigError::new(format!(
                "limits.total_request_bytes: {all} is less than the {each} bytes that one request may have"
            )));
        }
        Ok(Self { each, all: BodyBudget::new(all) })
    }

    /// Makes a request that may be large, or that becomes a WebSocket, take of the budget of all.
    pub(super) fn apply(&self, request: &mut Request<RequestBody>, is_compressed: bool) {
        let is_small = request.body().size_hint().upper().is_some_and(|most| most <= SMALL);
        let is_upgrade = || request.method() == Method::GET && request.headers().contains_key(UPGRADE);
        if !is_small || is_compressed || is_upgrade() {
            request.extensions_mut().insert(self.all.clone());
        }
    }

    /// Bounds a body that is decompressed. The decompressor yields small pieces, each as it is asked
    /// for.
    pub(super) fn inflated<B>(&self, body: B) -> RequestBody
    where
        B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    {
        let decompressor = self.all.reserve(DECOMPRESSOR);
        RequestBody::new(Inflated { body, seen: 0, limit: self.each, decompressor })
    }
}

/// A body that comes out of a decompressor.
struct Inflated<B> {
    body: B,
    seen: usize,
    limit: usize,
    /// It may look back on as much as it has written.
    decompressor: Option<ReservedBytes>,
}

impl<B> Inflated<B> {
    fn check(&mut self, more: usize) -> Result<(), ApiError> {
        self.seen += more;
        if self.seen > self.limit {
            // The rest is not worth the work, and the client has mostly sent it already.
            return Err(ReadError::Body(CollectError::TooLarge { limit: self.limit }).into());
        }
        let looks_back = DECOMPRESSOR + self.seen;
        match self.decompressor.as_mut().is_some_and(|reserved| reserved.grow_to(looks_back)) {
            true => Ok(()),
            false => Err(BodyBudget::exhausted()),
        }
    }
}

impl<B> Body for Inflated<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.and_then(|frame| {
            self.check(frame.data_ref().map_or(0, Bytes::len))?;
            Ok(frame)
        });
        Poll::Ready(Some(frame))
    }
}
