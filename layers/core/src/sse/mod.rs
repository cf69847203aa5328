//! Server-sent events: cut, looked at, changed where needed, and passed on.
//!
//! All of it is sans-IO but [`EventStream`], the body that runs [`EventFilter`]s over the body of
//! a response. Nothing is spawned and nothing is queued beyond the chunk at hand: a client that
//! reads slowly slows the upstream down, and one that leaves drops the upstream's body.
//!
//! ```
//! use tower_responses_core::sse::Event;
//!
//! let mut event = Event::from_text("event: ping\ndata: {\"type\":\"ping\",\"n\":1e0}\n\n".into());
//! assert_eq!(event.kind(), "ping");
//! event.object_mut().unwrap().set("name", "x");
//! assert_eq!(event.into_text(), "event: ping\ndata: {\"type\":\"ping\",\"n\":1e0,\"name\":\"x\"}\n\n");
//! ```

mod cut_calls;
mod event;
mod filter;
mod kind;
mod numbering;
mod output;
mod pipe;
mod splitter;
mod stream;

#[cfg(test)]
mod tests;

pub use self::{
    cut_calls::CutCalls,
    event::Event,
    filter::{EventFilter, Events, StreamEnd},
    pipe::Pipe,
    splitter::{EventTooLarge, Splitter},
    stream::EventStream,
};
