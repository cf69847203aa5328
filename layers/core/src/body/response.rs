use std::{
    cell::Cell,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::{Collect, downcast::downcast, measured};
use crate::{
    BoxBody, BoxError,
    json::{Measure, Object},
    sse::{EventFilter, EventStream},
};

/// The body of a response on its way to the client: bytes, a JSON object that some layer has
/// read, or a stream of events with the filters of the layers it came through.
///
/// As with [`RequestBody`](crate::RequestBody), a layer that is given one recognises it: a stack
/// splits a stream once and parses an object once.
pub struct ResponseBody {
    content: Content,
}

enum Content {
    Stream(BoxBody),
    Object(Box<Object>, Cell<Option<Measure>>),
    Bytes(Bytes),
    Events(Box<EventStream>),
}

impl ResponseBody {
    /// Takes any body, and a `ResponseBody` as it is.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match downcast::<Self, B>(body) {
            Ok(body) => body,
            Err(body) => Self { content: Content::Stream(body.map_err(Into::into).boxed_unsync()) },
        }
    }

    /// No bytes.
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// Sends the events of this body through `filter`, outside of the filters it has. No event
    /// may be larger than `max_event` bytes; a stream with a larger one breaks off.
    #[must_use]
    pub fn with_filter(self, filter: Box<dyn EventFilter>, max_event: usize) -> Self {
        Self { content: Content::Events(Box::new(self.into_events(max_event).with_filter(filter))) }
    }

    /// The events of this body, with the filters it has: for what sends them in another way than
    /// as a body. No event may be larger than `max_event` bytes, unless a filter is there already
    /// and has set the bound.
    pub fn into_events(self, max_event: usize) -> EventStream {
        match self.content {
            Content::Events(stream) => *stream,
            Content::Stream(body) => EventStream::new(body, max_event),
            _ => EventStream::new(self.boxed_unsync(), max_event),
        }
    }

    /// Whether a layer further in has read the body, and it is a JSON object.
    pub(crate) fn is_object(&self) -> bool {
        matches!(self.content, Content::Object(..))
    }

    /// The object, if a layer further in has read the body; else the body, to be collected.
    pub(crate) fn into_object(self, limit: usize) -> Result<Box<Object>, Collect> {
        match self.content {
            Content::Object(object, _) => Ok(object),
            Content::Stream(body) => Err(Collect::new(body, limit, false)),
            _ => Err(Collect::new(self.boxed_unsync(), limit, false)),
        }
    }
}

/// Without bytes.
impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self { content: Content::Bytes(bytes) }
    }
}

impl From<Object> for ResponseBody {
    fn from(object: Object) -> Self {
        Self { content: Content::Object(Box::new(object), Cell::default()) }
    }
}

impl From<EventStream> for ResponseBody {
    fn from(stream: EventStream) -> Self {
        Self { content: Content::Events(Box::new(stream)) }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Content::Object(object, measure) = &self.content {
            self.content = Content::Bytes(object.written(measured(object, measure)));
        }
        match &mut self.content {
            Content::Stream(body) => Pin::new(body).poll_frame(cx),
            Content::Events(stream) => Pin::new(&mut **stream).poll_frame(cx),
            Content::Bytes(bytes) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Bytes(_) | Content::Object(..) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Stream(body) => body.is_end_stream(),
            Content::Events(stream) => stream.is_end_stream(),
            Content::Bytes(bytes) => bytes.is_empty(),
            Content::Object(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Stream(body) => body.size_hint(),
            Content::Events(stream) => stream.size_hint(),
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Object(object, measure) => SizeHint::with_exact(measured(object, measure).length as u64),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.content {
            Content::Stream(_) => "ResponseBody(stream)",
            Content::Object(..) => "ResponseBody(object)",
            Content::Bytes(_) => "ResponseBody(bytes)",
            Content::Events(_) => "ResponseBody(events)",
        })
    }
}
