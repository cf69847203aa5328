//! One connection, from its upgrade to its end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_responses_core::{ApiError, BoxError, RequestBody};
use tower_service::Service;

use crate::{
    connections::Place,
    conversation::Conversation,
    frame::{error_frame, idle_for_too_long},
    handshake::RequestHead,
    layer::Config,
    socket::{Close, Gone, Incoming, Socket},
};

/// How long the server has to hand over the connection after its 101.
const UPGRADING: Duration = Duration::from_secs(10);

/// What a connection is served with.
pub(crate) struct Connection<S> {
    pub(crate) inner: S,
    pub(crate) head: RequestHead,
    pub(crate) config: Arc<Config>,
    pub(crate) conversation: Conversation,
    /// The requests so far.
    pub(crate) requests: u64,
    place: Place,
}

impl<S> Connection<S> {
    pub(crate) fn new(inner: S, head: RequestHead, config: Arc<Config>, place: Place) -> Self {
        let conversation = Conversation::new(config.max_state);
        Self { inner, head, config, conversation, requests: 0, place }
    }
}

/// Serves a connection once the server has handed it over.
pub(crate) async fn serve<S, ResBody>(upgrade: OnUpgrade, connection: Connection<S>)
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    match tokio::time::timeout(UPGRADING, upgrade).await {
        Ok(Ok(io)) => {
            let socket = Socket::new(TokioIo::new(io), &connection.config).await;
            connection.run(socket).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a connection could not be upgraded"),
        Err(_) => tracing::debug!("a connection was not upgraded in time"),
    }
}

impl<S, ResBody> Connection<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    pub(crate) async fn run<T: AsyncRead + AsyncWrite + Unpin + Send>(mut self, socket: Socket<T>) {
        match self.serve_frames(socket).await {
            Ok((socket, why)) => Box::pin(socket.close(why)).await,
            Err(Gone) => tracing::debug!(requests = self.requests, "a WebSocket client has left"),
        }
    }

    /// Answers frame after frame, until the client goes or a reason to close comes up.
    async fn serve_frames<T: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        mut socket: Socket<T>,
    ) -> Result<(Socket<T>, Close), Gone> {
        loop {
            let incoming = tokio::select! {
                biased;
                () = self.place.ending() => return Ok((socket, Close::GoingAway)),
                incoming = tokio::time::timeout(self.config.idle_timeout, socket.next()) => incoming,
            };
            let Ok(incoming) = incoming else {
                let error = idle_for_too_long(self.config.idle_timeout.as_secs());
                socket.send_last(error_frame(&error)).await?;
                return Ok((socket, Close::Idle));
            };
            let (error, close) = match incoming? {
                Incoming::Text(text) => {
                    // Boxed, so that an idle connection takes no room for what an answer needs.
                    Box::pin(self.answer(&mut socket, text)).await?;
                    socket = Box::pin(socket.shrink()).await;
                    continue;
                }
                Incoming::Binary => {
                    let error = ApiError::bad_request("Binary frames are not understood: send JSON as text.");
                    (error.code("unsupported_frame"), None)
                }
                Incoming::TooLarge => {
                    let message = format!("The frame is larger than {} bytes.", self.config.max_frame);
                    let error = ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message).code("request_too_large");
                    (error, Some(Close::TooLarge))
                }
                Incoming::NotUtf8 => {
                    let error = ApiError::bad_request("The text of the frame is not UTF-8.").code("invalid_utf8");
                    (error, Some(Close::NotUtf8))
                }
                Incoming::Violation => return Ok((socket, Close::Violation)),
            };
            if let Some(close) = close {
                socket.send_last(error_frame(&error)).await?;
                return Ok((socket, close));
            }
            socket.send(error_frame(&error)).await?;
            socket.flush().await?;
        }
    }
}
