//! The gateway: the whole stack in front of an upstream, as a program.

mod access;
mod admin;
mod cli;
mod commands;
mod config;
mod connection_service;
mod cors;
mod exchange_log;
mod figures;
mod in_flight;
mod log_format;
mod log_writer;
mod model_lists;
mod protocols;
mod routes;
mod server;
mod service;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

pub use self::{
    config::{ConfigError, Settings},
    server::{Server, Shutdown},
    service::{Gateway, build},
};

/// Runs the program with the arguments it was started with.
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(cli.run()).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
