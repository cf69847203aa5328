//! The gateway: the whole stack in front of an upstream, as a program.

mod access;
mod admin;
mod body_limits;
mod cli;
mod commands;
mod config;
mod cors;
mod cross_site;
mod encodings;
mod exchange_log;
mod figures;
mod in_flight;
mod log_format;
mod log_writer;
mod model_lists;
mod passed_on;
mod paths;
mod routes;
mod server;
mod service;
mod telemetry;

use std::process::ExitCode;

pub use self::{
    config::{ConfigError, Settings},
    server::{ConnectionLimits, Server, Shutdown},
    service::{Gateway, build},
};

/// Runs the program with the arguments it was started with.
pub fn main() -> ExitCode {
    let cli = cli::Cli::read();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(cli.run()).unwrap_or_else(|error| {
        eprintln!("error: {}", crate::shown::text(&error.to_string()));
        ExitCode::FAILURE
    })
}
