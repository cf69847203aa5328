//! The layer in a real server, with clients that speak the protocol themselves.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod axum_server;
mod common;
mod frames;
mod handshake;
mod lifecycle;
mod state;
