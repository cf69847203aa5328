//! How both programs are started. What they are about stands in `server_app.rs` and
//! `proxy_filter.rs`.

use std::thread;

use clap::Parser;
use pingora_core::server::{Server, configuration::ServerConf};
use tower_responses::upstream::UpstreamUrl;
use tracing_subscriber::EnvFilter;

/// The command line of both programs.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// The model server, with or without `/v1` at the end.
    #[arg(long, value_name = "URL")]
    pub upstream: UpstreamUrl,
}

/// Reads the command line, sends logs to standard error, and makes a pingora server without
/// services.
pub fn start() -> (Options, Server) {
    let options = Options::parse();
    // `RUST_LOG` says how much. Pingora's own records come through the `log` facade.
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).init();

    let conf = ServerConf {
        threads: thread::available_parallelism().map_or(1, Into::into),
        // After SIGTERM: no new connections at once, and this long for the answers under way.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(30),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    (options, server)
}
