//! The layer between a real client and a real server, over real connections: each fixture with
//! its fix on and off, what every answer has to be, time, and a soak.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod cases;
mod requests;
mod rig;
mod sdk;
mod soak;
mod table;
mod truth;
