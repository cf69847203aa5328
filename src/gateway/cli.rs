use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::commands;
use crate::BoxError;

/// Makes a function-only model server serve Codex, the OpenAI SDKs and agents.
#[derive(Debug, Parser)]
#[command(name = "tower-responses", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(Box<ServeArgs>),
    /// Show in ten seconds what the gateway does, with an upstream of its own.
    Demo(commands::demo::DemoArgs),
    /// Write what Codex needs to use a gateway, or run Codex with it.
    Codex(commands::codex::CodexArgs),
    /// Say what an upstream understands, and what the gateway will do about the rest.
    Check(commands::check::CheckArgs),
    /// Look after stored responses.
    Store(commands::store::StoreArgs),
}

/// Every flag can also be set in the environment and in the configuration file. A flag wins over
/// the environment, the environment over the file.
#[derive(Debug, Default, Args)]
pub(super) struct ServeArgs {
    /// Configuration file (TOML).
    #[arg(long, env = "TOWER_RESPONSES_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The model server, with or without /v1. Without one a built-in demo upstream answers.
    #[arg(long, env = "TOWER_RESPONSES_UPSTREAM", value_name = "URL")]
    pub(super) upstream: Option<String>,
    /// Where to listen; port 0 takes a free one. Default: 127.0.0.1:8080.
    #[arg(long, env = "TOWER_RESPONSES_LISTEN", value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Where to answer /ready and /metrics, to everybody who can reach it; there alone, then.
    /// Default: where it listens, with --api-key-env to those who show a key.
    #[arg(long, env = "TOWER_RESPONSES_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub(super) admin_listen: Option<String>,
    /// Where responses are kept: memory, sqlite:PATH, postgres://…, redis://… or none.
    /// Default: SQLite in the platform's data directory.
    #[arg(long, env = "TOWER_RESPONSES_STORE", value_name = "URL")]
    pub(super) store: Option<String>,
    /// Responses at once that are finished and kept after their clients have left; those beyond
    /// are cancelled and not kept. Default: 0.
    #[arg(long, env = "TOWER_RESPONSES_FINISH_ABANDONED", value_name = "N")]
    pub(super) finish_abandoned: Option<usize>,
    /// Another name for a model; may be repeated. NAME may end with * to stand for all that begin so.
    #[arg(long = "alias", env = "TOWER_RESPONSES_ALIASES", value_name = "NAME=TARGET", value_delimiter = ',')]
    pub(super) aliases: Vec<String>,
    /// The model of requests that name none.
    #[arg(long, env = "TOWER_RESPONSES_DEFAULT_MODEL", value_name = "MODEL")]
    pub(super) default_model: Option<String>,
    /// Environment variable that holds the key for the upstream.
    #[arg(long, env = "TOWER_RESPONSES_UPSTREAM_API_KEY_ENV", value_name = "VAR")]
    pub(super) upstream_api_key_env: Option<String>,
    /// PEM file of the authorities that may have signed the upstream's certificate.
    /// Default: those that the system trusts, or that SSL_CERT_FILE names.
    #[arg(long, env = "TOWER_RESPONSES_UPSTREAM_CA_FILE", value_name = "FILE")]
    pub(super) upstream_ca_file: Option<PathBuf>,
    /// Environment variable that holds a key which clients have to show; may be repeated.
    #[arg(long = "api-key-env", env = "TOWER_RESPONSES_API_KEY_ENV", value_name = "VAR", value_delimiter = ',')]
    pub(super) api_key_env: Vec<String>,
    /// Never send the client's Authorization header to the upstream.
    #[arg(long)]
    pub(super) drop_authorization: bool,
    /// Seconds of silence after which clients get a sign of life; 0 switches it off. Default: 15.
    #[arg(long, env = "TOWER_RESPONSES_HEARTBEAT", value_name = "SECONDS")]
    pub(super) heartbeat: Option<f64>,
    /// What is known of the upstream: vllm, generic or none. Default: vllm.
    #[arg(long, env = "TOWER_RESPONSES_PROFILE", value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Requests that may be in flight at once; those beyond wait, and beyond the queue get 429.
    #[arg(long, env = "TOWER_RESPONSES_MAX_IN_FLIGHT", value_name = "N")]
    pub(super) max_in_flight: Option<usize>,
    /// Connections at once; some more get an answer to /health. Default: 10,000, or what half of the
    /// files that may be open allow. What else is bounded: [limits] of the configuration file.
    #[arg(long, env = "TOWER_RESPONSES_MAX_CONNECTIONS", value_name = "N")]
    pub(super) max_connections: Option<usize>,
    /// Allow pages of this origin (* for all) in browsers, over HTTP and over WebSockets; may be
    /// repeated.
    #[arg(long = "cors", env = "TOWER_RESPONSES_CORS", value_name = "ORIGIN", value_delimiter = ',')]
    pub(super) cors: Vec<String>,
    /// Answer requests for this host (* for any); may be repeated. On loopback without --api-key-env
    /// only those for localhost and the address are answered unless this names others: the name of
    /// any web site can be made to lead to loopback. Elsewhere, and with keys, all hosts are
    /// answered unless this names some. Origins are looked at where hosts are: those of allowed
    /// hosts and of --cors may ask.
    #[arg(long = "allow-host", env = "TOWER_RESPONSES_ALLOWED_HOSTS", value_name = "NAME", value_delimiter = ',')]
    pub(super) allowed_hosts: Vec<String>,
    /// Answer WebSocket handshakes with 426, which sends Codex to HTTP.
    #[arg(long)]
    pub(super) no_websocket: bool,
    /// How to log: text or json. What is logged: RUST_LOG, "info" without it.
    #[arg(long, env = "TOWER_RESPONSES_LOG_FORMAT", value_name = "FORMAT")]
    pub(super) log_format: Option<String>,
    /// Print the effective configuration without its secrets, and end.
    #[arg(long)]
    pub(super) print_config: bool,
}

impl Cli {
    /// Reads the arguments of the process. The help names variables of the environment and does not
    /// show their values, which may be secrets.
    pub(super) fn read() -> Self {
        let read = Self::from_arg_matches(&hide_values(Self::command()).get_matches());
        read.unwrap_or_else(|error| error.exit())
    }

    pub(super) async fn run(self) -> Result<ExitCode, BoxError> {
        match self.command {
            Command::Serve(args) => commands::serve::run(*args).await,
            Command::Demo(args) => commands::demo::run(args).await,
            Command::Codex(args) => commands::codex::run(args).await,
            Command::Check(args) => commands::check::run(args).await,
            Command::Store(args) => commands::store::run(args).await,
        }
    }
}

fn hide_values(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(hide_values)
}
