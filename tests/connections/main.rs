//! Clients that are slow, silent, too many or too large, over real sockets. Each is got rid of, and
//! nobody else notices.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod bodies;
mod ending;
mod passed_on;
mod raw;
mod readers;
mod said;
#[path = "../support/mod.rs"]
mod support;
mod timeouts;
