//! What `tower-responses demo` shows, and the upstream that it needs for that.
//!
//! [`Upstream`] is a model server without a model. It is as strict as the strictest real one: it
//! knows `function` tools and four kinds of input items, keeps no state, and refuses all else.
//! Its answers have the shape of vLLM 0.32. [`run`] sends a few requests through a gateway in
//! front of it and prints what the client sent, what the upstream saw and what the client got.

// Nothing of a demo's bodies needs to be kept byte for byte.
#![allow(clippy::disallowed_methods, reason = "the demo plays the client and the upstream, not the gateway")]

mod client;
mod report;
mod steps;
mod upstream;

pub use self::{
    steps::{DemoError, run},
    upstream::{Call, Exchange, Item, Model, Turn, Upstream},
};

#[cfg(test)]
mod tests;
