//! tower Layers that make any function-only model server serve the clients people really use.

#[cfg(feature = "upstream")]
pub mod upstream;

pub use tower_responses_core::*;
