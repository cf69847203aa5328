//! `tower-responses check`: what an upstream understands, and what the gateway does about the
//! rest.

mod probe;
mod refusal;
mod report;
mod stream;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;

use super::http::{Server, say};
use crate::BoxError;

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(in crate::gateway) struct CheckArgs {
    /// The model server, with or without /v1.
    #[arg(long, env = "TOWER_RESPONSES_UPSTREAM", value_name = "URL")]
    upstream: String,
    /// The model that is asked. Default: the first that the upstream lists.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Environment variable that holds the key for the upstream.
    #[arg(long, env = "TOWER_RESPONSES_UPSTREAM_API_KEY_ENV", value_name = "VAR")]
    upstream_api_key_env: Option<String>,
    /// PEM file of the authorities that may have signed the upstream's certificate.
    #[arg(long, env = "TOWER_RESPONSES_UPSTREAM_CA_FILE", value_name = "FILE")]
    upstream_ca_file: Option<PathBuf>,
    /// Seconds that each question may take.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "Exit code: 0 if the upstream is usable through the gateway, 1 if something is broken that the gateway \
    cannot make good, 2 if the upstream cannot be reached.";

pub(in crate::gateway) async fn run(args: CheckArgs) -> Result<ExitCode, BoxError> {
    let (key, authorities) = (args.upstream_api_key_env.as_deref(), args.upstream_ca_file.as_deref());
    let server = Server::new(&args.upstream, key, authorities, Duration::from_secs(args.timeout))?;
    let report = probe::all(&server, args.model).await?;
    say(&if args.json { format!("{:#}\n", report.to_json()) } else { report.to_string() })?;
    Ok(report.exit_code())
}
