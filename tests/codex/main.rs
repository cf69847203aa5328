//! The real Codex CLI through the gateway, in front of an upstream that understands only functions.
//!
//! `tests/codex/setup.sh` installs Codex, each of the versions that it names; the newest is used unless
//! `CODEX_BIN` names another one. Without Codex these tests say that they were skipped, and fail where
//! `CI` or `TOWER_RESPONSES_REAL_CLIENTS` is set.
//! Nothing leaves the machine: Codex has a home of its own and a proxy that does not exist. The
//! names of tools, servers, files and models are drawn anew in each run.

// The entry in Cargo.toml:
//
// [[test]]
// name = "codex"
// path = "tests/codex/main.rs"
// required-features = ["gateway"]

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test reads what it likes, and fails by panicking"
)]

mod catalog;
mod codex;
mod config;
mod encoding;
mod readme;
mod run;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod tools;
mod words;
