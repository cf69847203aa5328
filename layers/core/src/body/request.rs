use std::{
    cell::Cell,
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT},
    request::Parts,
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::{BodyBudget, Collect, CollectError, ElementError, downcast::downcast, limited::Limited, measured};
use crate::{
    ApiError, BoxBody, BoxError,
    create::is_create,
    json::{Measure, NotOpened, Object, Opening},
};

/// The body of a request on its way to the upstream: bytes, until a layer wants to read it; then
/// a JSON object, for that layer and all further in; then bytes again.
///
/// Layers take a `Request<B>` of any body and pass a `Request<RequestBody>` on. One that is given
/// a `RequestBody` recognises it, so a stack parses a request once and writes it once. Where
/// something boxes the body between two layers (axum does at each `Route`), the inner one parses
/// again: that costs time, is counted as `tower_responses_request_parsed_again_total`, and gives
/// the same result.
///
/// An object that nobody changed leaves as the bytes that came.
pub struct RequestBody {
    content: Content,
}

enum Content {
    Stream(BoxBody),
    /// Boxed, since a request is moved by every layer it comes through.
    Object(Box<Object>, Cell<Option<Measure>>),
    Frames(VecDeque<Bytes>),
}

impl RequestBody {
    /// Takes any body, and a `RequestBody` as it is.
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

    /// The parsed object, if a layer has read the body and nobody has begun to send it.
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        match &mut self.content {
            Content::Object(object, measure) => {
                measure.take();
                Some(object)
            }
            _ => None,
        }
    }

    /// The parsed object, if a layer further out has read the body; else the body as it was.
    ///
    /// # Errors
    /// The body, if nobody has read it or somebody has begun to send it.
    pub fn into_object(self) -> Result<Box<Object>, Self> {
        match self.content {
            Content::Object(object, _) => Ok(object),
            content => Err(Self { content }),
        }
    }

    /// Whether its bytes are still to come from somebody: a body that nobody has read.
    pub fn is_stream(&self) -> bool {
        matches!(&self.content, Content::Stream(body) if !body.is_end_stream())
    }

    /// The same body once more, sharing its bytes; `None` for a [stream](Self::is_stream).
    ///
    /// Of an object the bytes are written for it, after which it is none any more.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::{BodyExt, Full};
    /// use tower_responses_core::{RequestBody, json::Object};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let object = Object::parse(Bytes::from(r#"{"input":"hi"}"#)).unwrap();
    /// let mut body = RequestBody::from(object);
    /// let again = body.try_clone().unwrap();
    /// for body in [body, again] {
    ///     assert_eq!(body.collect().await.unwrap().to_bytes(), r#"{"input":"hi"}"#);
    /// }
    /// assert!(RequestBody::new(Full::from("{}")).try_clone().is_none());
    /// # }
    /// ```
    pub fn try_clone(&mut self) -> Option<Self> {
        if let Content::Object(object, measure) = &self.content {
            self.content = Content::Frames(object.frames(measured(object, measure)));
        }
        match &self.content {
            Content::Frames(frames) => Some(Self { content: Content::Frames(frames.clone()) }),
            Content::Stream(body) if body.is_end_stream() => Some(Self::empty()),
            Content::Stream(_) | Content::Object(..) => None,
        }
    }

    /// Bounds a body that nobody has read and that is passed on: one of more than `limit` bytes
    /// breaks off with an [`ApiError`] of 413.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        match self.content {
            Content::Stream(body) if body.size_hint().upper().is_none_or(|most| most > limit as u64) => {
                Self { content: Content::Stream(Limited::new(body, limit).boxed_unsync()) }
            }
            content => Self { content },
        }
    }

    /// Reads the body as a JSON object; at once if it has been read already.
    ///
    /// `head` tells what the body claims to be, and notes that it was parsed ([`BodyUse`]). Its
    /// `content-length` is removed, since an object may change its length: what sends the body
    /// takes its exact length from [`Body::size_hint`]. If it has a [`BodyBudget`], what is held of
    /// the body is taken from that.
    ///
    /// Of members that bear the same name the last counts, everywhere in the body. The `input` and
    /// the `tools` of a `POST …/responses` have to hold objects: with anything else it is refused, as
    /// any server would.
    pub fn read(self, head: &mut Parts, limit: usize) -> ReadObject {
        let body = match self.content {
            Content::Object(object, _) => return ReadObject::done(Ok(object)),
            Content::Stream(body) => body,
            Content::Frames(_) => self.boxed_unsync(),
        };
        if let Some(refused) = refuse(&head.headers, limit) {
            return ReadObject::done(Err(refused));
        }
        head.headers.remove(CONTENT_LENGTH);
        let uses = head.extensions.get_or_insert_default::<BodyUse>();
        uses.parsed += 1;
        if uses.parsed > 1 {
            metrics::counter!("tower_responses_request_parsed_again_total").increment(1);
            tracing::debug!(times = uses.parsed, "a request body was boxed between two layers and is parsed again");
        }
        let reserved = head.extensions.get::<BodyBudget>().and_then(|budget| budget.reserve(0));
        // Elsewhere `input` may be texts or tokens.
        let opening = opening(is_create(&head.method, head.uri.path()));
        let collect = Collect::new(body, limit, true).reserving(reserved);
        ReadObject { state: ReadState::Reading(collect, Box::new(opening)) }
    }

    /// What [`read`](Self::read) makes of the body of a `POST …/responses` that is there already, for
    /// what gets requests in another way than as bodies: frames of a WebSocket.
    ///
    /// # Errors
    /// Where `text` is no JSON object, or where its `input` or `tools` hold what is no object.
    pub fn parse(text: Bytes) -> Result<Object, ReadError> {
        opening(true).finish(text).map_err(ReadError::from)
    }
}

/// Most of a request is in these, and whoever reads requests reads them.
fn opening(of_objects: bool) -> Opening {
    Opening::new(&["input", "tools"], of_objects)
}

/// How often the body of a request was parsed, as an extension of the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BodyUse {
    /// 1 in a stack that is composed as it should be.
    pub parsed: u32,
}

/// What the headers alone rule out.
fn refuse(headers: &HeaderMap, limit: usize) -> Option<ReadError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(kind) = text(CONTENT_TYPE) {
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence != "application/json" && essence != "text/json" && !essence.ends_with("+json") {
            return Some(ReadError::ContentType(essence));
        }
    }
    if let Some(coding) = text(CONTENT_ENCODING)
        && !coding.eq_ignore_ascii_case("identity")
    {
        return Some(ReadError::ContentEncoding(coding.to_owned()));
    }
    // A client that waits for "100 Continue" has sent nothing yet; any other has to be read to
    // the end before it looks at an answer.
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    (length > Some(limit) && headers.contains_key(EXPECT)).then_some(ReadError::Body(CollectError::TooLarge { limit }))
}

/// Without bytes.
impl Default for RequestBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self { content: Content::Frames((!bytes.is_empty()).then_some(bytes).into_iter().collect()) }
    }
}

impl From<Object> for RequestBody {
    fn from(object: Object) -> Self {
        Self::from(Box::new(object))
    }
}

impl From<Box<Object>> for RequestBody {
    fn from(object: Box<Object>) -> Self {
        Self { content: Content::Object(object, Cell::default()) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Content::Object(object, measure) = &self.content {
            self.content = Content::Frames(object.frames(measured(object, measure)));
        }
        match &mut self.content {
            Content::Stream(body) => Pin::new(body).poll_frame(cx),
            Content::Frames(frames) => Poll::Ready(frames.pop_front().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Object(..) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Stream(body) => body.is_end_stream(),
            Content::Frames(frames) => frames.is_empty(),
            Content::Object(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Stream(body) => body.size_hint(),
            Content::Frames(frames) => SizeHint::with_exact(frames.iter().map(|frame| frame.len() as u64).sum()),
            Content::Object(object, measure) => SizeHint::with_exact(measured(object, measure).length as u64),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.content {
            Content::Stream(_) => "RequestBody(stream)",
            Content::Object(..) => "RequestBody(object)",
            Content::Frames(_) => "RequestBody(frames)",
        })
    }
}

/// Future of [`RequestBody::read`].
pub struct ReadObject {
    state: ReadState,
}

enum ReadState {
    Reading(Collect, Box<Opening>),
    Done(Option<Result<Box<Object>, ReadError>>),
}

impl ReadObject {
    fn done(result: Result<Box<Object>, ReadError>) -> Self {
        Self { state: ReadState::Done(Some(result)) }
    }
}

impl Future for ReadObject {
    type Output = Result<Box<Object>, ReadError>;

    /// # Panics
    /// If polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            ReadState::Reading(collect, opening) => {
                let Poll::Ready(text) = collect.poll(cx) else {
                    // There is time: the rest is still on its way.
                    opening.look(collect.so_far());
                    return Poll::Pending;
                };
                let ReadState::Reading(_, opening) = std::mem::replace(&mut self.state, ReadState::Done(None)) else {
                    unreachable!("it was reading")
                };
                Poll::Ready(match text {
                    Ok(text) => opening.finish(text).map(Box::new).map_err(ReadError::from),
                    Err(error) => Err(ReadError::Body(error)),
                })
            }
            ReadState::Done(result) => Poll::Ready(result.take().expect("polled after it was ready")),
        }
    }
}

impl fmt::Debug for ReadObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadObject").finish_non_exhaustive()
    }
}

/// Why a request body could not be read as a JSON object.
#[derive(Debug)]
pub enum ReadError {
    /// Its `content-type` is another.
    ContentType(String),
    /// It is compressed, and nothing further out has decompressed it.
    ContentEncoding(String),
    /// It is too large or broke off.
    Body(CollectError),
    /// It is no JSON, or no object.
    Syntax(crate::json::SyntaxError),
    /// It has far more members than anybody writes.
    TooManyMembers,
    /// An element of its `input` or of its `tools` is not taken.
    Element(ElementError),
}

impl From<NotOpened> for ReadError {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::Syntax(error) => Self::Syntax(error),
            NotOpened::Dense => Self::TooManyMembers,
            NotOpened::Element(list, refused) => Self::Element(ElementError::new(list, refused)),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentType(kind) => {
                write!(f, "unsupported content type '{kind}': the body has to be application/json")
            }
            Self::ContentEncoding(coding) => write!(f, "unsupported content encoding '{coding}'"),
            Self::Body(error) => fmt::Display::fmt(error, f),
            Self::Syntax(error) => write!(f, "the body could not be parsed as a JSON object: {error}"),
            Self::TooManyMembers => f.write_str("the body has too many properties"),
            Self::Element(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        let error = match error {
            ReadError::Body(error) => match error.into_api_error() {
                Ok(error) => return error,
                Err(error) => ReadError::Body(error),
            },
            error => error,
        };
        let message = error.to_string();
        match error {
            ReadError::ContentType(_) | ReadError::ContentEncoding(_) => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).code("unsupported_media_type")
            }
            ReadError::Body(CollectError::TooLarge { .. }) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, message).code("request_too_large")
            }
            ReadError::Body(CollectError::Broken(_)) => Self::bad_request(message).code("incomplete_body"),
            ReadError::Syntax(_) => Self::bad_request(message).code("invalid_json"),
            ReadError::TooManyMembers => Self::bad_request(message).code("object_above_max_properties"),
            ReadError::Element(error) => error.into(),
        }
    }
}
