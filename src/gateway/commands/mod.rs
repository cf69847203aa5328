//! What the program can do, one file each.

pub(super) mod check;
pub(super) mod codex;
pub(super) mod demo;
mod http;
pub(super) mod serve;
pub(super) mod store;
