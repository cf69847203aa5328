//! The layer between a real client and a real server, over real connections: each fixture with
//! its fix on and off, what every answer has to be, and time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod cases;
mod failing;
mod lines;
mod requests;
mod reuse;
mod rig;
mod sdk;
mod table;
mod truth;
