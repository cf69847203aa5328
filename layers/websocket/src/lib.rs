//! A tower Layer that serves GET /v1/responses as a WebSocket.
