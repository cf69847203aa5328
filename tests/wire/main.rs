//! What stands on the wire between a client and the gateway, which is a process of its own.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod browsers;
mod events;
mod pings;
#[path = "../support/mod.rs"]
mod support;
