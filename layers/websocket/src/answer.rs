//! The answer to one frame.

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};
use tower_responses_core::{
    ApiError, BoxError, RequestBody, ResponseBody,
    sse::{Event, EventStream},
};
use tower_service::Service;

use crate::{
    connection::Connection,
    frame::{Create, error_frame, error_frame_from},
    outcome::{End, Outcome},
    prewarm::Prewarm,
    socket::{Gone, Socket},
};

/// The most that is read of a response that is no stream.
const MAX_ERROR: usize = 1 << 20;
/// How long the end of a stream is waited for after its last event, so that the connection to the
/// upstream can be used again.
const LINGER: Duration = Duration::from_millis(250);

/// How a request ended, for the metrics.
#[derive(Debug, Clone, Copy)]
enum Ended {
    Completed,
    Failed,
    Refused,
    Prewarmed,
    Left,
}

impl Ended {
    fn count(self) {
        let outcome = match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Prewarmed => "prewarmed",
            Self::Left => "client_left",
        };
        metrics::counter!("tower_responses_websocket_requests_total", "outcome" => outcome).increment(1);
    }
}

impl<S, ResBody> Connection<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    /// Answers a text frame.
    pub(crate) async fn answer<T>(&mut self, socket: &mut Socket<T>, text: Bytes) -> Result<(), Gone>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let result = match Create::parse(text) {
            Ok(create) => self.create(socket, create).await,
            Err(error) => refuse(socket, error_frame(&error)).await,
        };
        result.inspect_err(|Gone| Ended::Left.count())?.count();
        socket.flush().await
    }

    async fn create<T>(&mut self, socket: &mut Socket<T>, mut create: Create) -> Result<Ended, Gone>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let previous = create.request.get("previous_response_id").cloned();
        let begun = match self.conversation.begin(&mut create) {
            Ok(begun) => begun,
            Err(error) => return refuse(socket, error_frame(&error)).await,
        };
        if create.prewarm {
            let Prewarm { id, events } = Prewarm::new(&create, previous);
            self.conversation.commit(begun, &Outcome::empty(&id));
            for event in events {
                socket.send(event).await?;
            }
            return Ok(Ended::Prewarmed);
        }
        self.requests += 1;
        let mut request = self.head.request(create.request.into(), self.requests);
        if let Some(map) = &self.config.map_request {
            let (mut head, body) = request.into_parts();
            map(&mut head);
            request = Request::from_parts(head, body);
        }
        let response = match socket.attend(call(self.inner.clone(), request)).await? {
            Ok(response) => response.map(ResponseBody::new),
            Err(Failed) => return refuse(socket, cut("the request could not be answered")).await,
        };
        if !is_stream(&response) {
            let frame = socket.attend(read_error(response)).await?;
            return refuse(socket, frame).await;
        }
        let mut events = response.into_body().into_events(self.config.max_event);
        let outcome = forward(socket, &mut events, Outcome::new(self.config.max_state)).await?;
        linger(socket, events, outcome.end() == Some(End::Error)).await?;
        let ended = if outcome.end() == Some(End::Kept) { Ended::Completed } else { Ended::Failed };
        self.conversation.commit(begun, &outcome);
        Ok(ended)
    }
}

async fn refuse<T>(socket: &mut Socket<T>, frame: Bytes) -> Result<Ended, Gone>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    socket.send(frame).await?;
    Ok(Ended::Refused)
}

/// The service inside has failed. Of its error nothing is asked, so that any will do.
struct Failed;

async fn call<S>(mut service: S, request: Request<RequestBody>) -> Result<S::Response, Failed>
where
    S: Service<Request<RequestBody>>,
{
    poll_fn(|cx| service.poll_ready(cx)).await.map_err(|_| Failed)?;
    service.call(request).await.map_err(|_| Failed)
}

fn is_stream(response: &Response<ResponseBody>) -> bool {
    let essence = |headers: &HeaderMap| {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        Some(kind.split(';').next()?.trim().eq_ignore_ascii_case("text/event-stream"))
    };
    response.status().is_success() && essence(response.headers()) == Some(true)
}

/// The error frame that a response which is no stream amounts to.
async fn read_error(response: Response<ResponseBody>) -> Bytes {
    let (head, body) = response.into_parts();
    if head.status.is_success() {
        let message = "the upstream did not answer with a stream of events";
        return error_frame(&ApiError::new(StatusCode::BAD_GATEWAY, message).code("upstream_error"));
    }
    let body = Limited::new(body, MAX_ERROR).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    error_frame_from(head.status, &head.headers, &body)
}

/// Sends events until one of them is the last.
async fn forward<T>(socket: &mut Socket<T>, events: &mut EventStream, mut outcome: Outcome) -> Result<Outcome, Gone>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    while outcome.end().is_none() {
        let event = match socket.attend(poll_fn(|cx| events.poll_event(cx))).await? {
            Some(Ok(event)) => event,
            // Over HTTP the client would see the stream end. Here it would wait.
            Some(Err(error)) => {
                tracing::debug!(%error, "an upstream's stream broke off");
                socket.send(cut("the upstream's stream broke off")).await?;
                break;
            }
            None => {
                socket.send(cut("the upstream's stream ended before the response did")).await?;
                break;
            }
        };
        outcome.event(&event);
        send(socket, event).await?;
    }
    Ok(outcome)
}

fn cut(message: &'static str) -> Bytes {
    error_frame(&ApiError::new(StatusCode::BAD_GATEWAY, message).code("upstream_error"))
}

/// Waits for the end of the stream. What comes after an `error` goes on as well: OpenAI sends
/// `response.failed` there.
async fn linger<T>(socket: &mut Socket<T>, mut events: EventStream, forwards: bool) -> Result<(), Gone>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let until = Instant::now() + LINGER;
    while let Ok(Some(Ok(event))) = socket.attend(timeout_at(until, poll_fn(|cx| events.poll_event(cx)))).await? {
        if forwards {
            send(socket, event).await?;
        }
    }
    Ok(())
}

/// Sends an event; `[DONE]` and comments are of SSE and stay.
async fn send<T>(socket: &mut Socket<T>, event: Event) -> Result<(), Gone>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let data = event.into_data();
    if data.trim_ascii_start().starts_with(b"{") { socket.send(data).await } else { Ok(()) }
}
