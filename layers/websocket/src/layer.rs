use std::{fmt, sync::Arc, time::Duration};

use http::request::Parts;
use tower_layer::Layer;

use crate::{Connections, WebSocket, origins::Origins};

/// Serves `GET …/responses` as a WebSocket; see the [crate].
///
/// ```
/// use std::time::Duration;
/// use tower_responses_websocket::WebSocketLayer;
///
/// let layer = WebSocketLayer::new().idle_timeout(Duration::from_secs(60)).max_connections(100);
/// let connections = layer.connections();
/// assert_eq!(connections.open(), 0);
/// ```
#[derive(Debug, Clone)]
pub struct WebSocketLayer {
    config: Arc<Config>,
    connections: Connections,
}

type MapRequest = Arc<dyn Fn(&mut Parts) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) enabled: bool,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_frame: usize,
    pub(crate) max_pipelined: usize,
    pub(crate) max_state: usize,
    pub(crate) max_event: usize,
    pub(crate) origins: Origins,
    pub(crate) map_request: Option<MapRequest>,
}

impl WebSocketLayer {
    /// Serves WebSockets.
    pub fn new() -> Self {
        let config = Config {
            enabled: true,
            idle_timeout: Duration::from_secs(600),
            max_connections: 10_000,
            max_frame: 64 << 20,
            max_pipelined: 8,
            max_state: 64 << 20,
            max_event: 64 << 20,
            origins: Origins::Own(Vec::new()),
            map_request: None,
        };
        Self { config: Arc::new(config), connections: Connections::new() }
    }

    /// Serves none: `GET …/responses` is answered with 426, after which Codex uses HTTP for the
    /// rest of its session. (After 404 or 405 it would try again, and warn its user.)
    pub fn disabled() -> Self {
        Self::new().set(|config| config.enabled = false)
    }

    /// How long a connection may be without a request before it is told
    /// `websocket_connection_limit_reached` and closed: 10 minutes. Pings do not count.
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.set(|config| config.idle_timeout = timeout)
    }

    /// How many connections may be open at a time: 10,000. Over it a handshake is answered with 503.
    #[must_use]
    pub fn max_connections(self, connections: usize) -> Self {
        self.set(|config| config.max_connections = connections)
    }

    /// The largest frame of a client, and the largest message of several frames, in bytes: 64 MiB.
    /// A larger one is answered with an error frame of status 413, and the connection is closed
    /// with 1009.
    #[must_use]
    pub fn max_frame(self, bytes: usize) -> Self {
        self.set(|config| config.max_frame = bytes)
    }

    /// How many frames are read ahead while one is answered: 8, and no more bytes of them than one
    /// frame may have. Beyond that the client's sending is held up.
    #[must_use]
    pub fn max_pipelined(self, frames: usize) -> Self {
        self.set(|config| config.max_pipelined = frames.max(1))
    }

    /// How many bytes of input and output a connection keeps, to go on from: 64 MiB.
    #[must_use]
    pub fn max_state(self, bytes: usize) -> Self {
        self.set(|config| config.max_state = bytes)
    }

    /// The largest event that is read from a stream which no layer further in has split, in bytes:
    /// 64 MiB.
    #[must_use]
    pub fn max_event(self, bytes: usize) -> Self {
        self.set(|config| config.max_event = bytes)
    }

    /// Serves the pages of these origins as well (`https://app.example`).
    ///
    /// A handshake with an `origin` that is neither one of them nor the `host` it is sent to is
    /// answered with 403, since browsers let any page connect to a gateway on its user's machine.
    /// Programs send no `origin`, and are served.
    ///
    /// ```
    /// use tower_responses_websocket::WebSocketLayer;
    ///
    /// let layer = WebSocketLayer::new().allow_origins(["https://app.example", "http://localhost:3000"]);
    /// ```
    #[must_use]
    pub fn allow_origins<I>(self, origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.set(|config| origins.into_iter().for_each(|origin| config.origins.add(origin.as_ref())))
    }

    /// Serves the pages of all origins.
    #[must_use]
    pub fn any_origin(self) -> Self {
        self.set(|config| config.origins = Origins::Any)
    }

    /// Changes the head of each request that goes inward. It has the path, the headers and the
    /// extensions of the handshake, and an `x-request-id` of its own if the handshake has one.
    #[must_use]
    pub fn map_request(self, map: impl Fn(&mut Parts) + Send + Sync + 'static) -> Self {
        self.set(|config| config.map_request = Some(Arc::new(map)))
    }

    /// The open connections, to be waited for and ended.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    #[cfg(test)]
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    fn set(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl Default for WebSocketLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for WebSocketLayer {
    type Service = WebSocket<S>;

    fn layer(&self, inner: S) -> WebSocket<S> {
        WebSocket::new(inner, self.config.clone(), self.connections.clone())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("enabled", &self.enabled)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_connections", &self.max_connections)
            .field("max_frame", &self.max_frame)
            .field("max_pipelined", &self.max_pipelined)
            .field("max_state", &self.max_state)
            .field("max_event", &self.max_event)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}
