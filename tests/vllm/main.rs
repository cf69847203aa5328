//! A real vLLM 0.32 behind the gateway, with a model that says what a test wants.
//!
//! `tests/vllm/run.sh` starts vLLM and runs these tests; they need `VLLM_URL`, and Codex (see
//! `tests/codex`). Each shows that something works through the gateway and fails without it.

// The entry in Cargo.toml:
//
// [[test]]
// name = "vllm"
// path = "tests/vllm/main.rs"
// required-features = ["gateway"]

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test reads what it likes, and fails by panicking"
)]

#[allow(dead_code, reason = "the tests of Codex use more of it")]
#[path = "../codex/codex.rs"]
mod codex;
#[path = "../codex/config.rs"]
mod config;
mod prompter;
mod requests;
#[allow(dead_code, reason = "the tests of Codex use more of it")]
#[path = "../codex/run.rs"]
mod run;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "the tests of Codex use more of it")]
#[path = "../codex/words.rs"]
mod words;
