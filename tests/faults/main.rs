//! What becomes of conversations when processes, servers, disks and the power fail: the gateway as
//! a process, on real stores.
//!
//! `TOWER_RESPONSES_FAULT_ROUNDS` says how often processes are killed and power is cut (5 without
//! it), `TOWER_RESPONSES_OUTAGE_SECONDS` how long a database is away (2). Each test prints its
//! figures.

#![allow(clippy::unwrap_used)]

mod client;
#[cfg(target_os = "linux")]
mod disk;
mod failover;
mod gateways;
mod kills;
mod leaving;
mod outage;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod upstream;

use support::Gateway;

/// How often.
fn rounds() -> usize {
    std::env::var("TOWER_RESPONSES_FAULT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}

/// A gateway that has to read the store for each turn.
fn gateway(upstream: &upstream::Upstream, store: &str) -> Gateway {
    gateway_with(upstream, store, &[], &[])
}

fn gateway_with(upstream: &upstream::Upstream, store: &str, args: &[&str], env: &[(&str, &str)]) -> Gateway {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/uncached.toml");
    let fixed = ["--upstream", upstream.url(), "--store", store, "--config", config];
    Gateway::start_with(&[&fixed, args].concat(), &[&[("RUST_LOG", "off")], env].concat())
}
