use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::serve::Running;
use crate::{
    BoxError,
    demo::{self, Model, Upstream},
    gateway::{Settings, config::UpstreamSettings},
};

#[derive(Debug, Args)]
pub(in crate::gateway) struct DemoArgs {
    /// Leave the gateway and its upstream running, to be tried by hand.
    #[arg(long)]
    keep: bool,
    /// Where the gateway listens.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: String,
}

pub(in crate::gateway) async fn run(args: DemoArgs) -> Result<ExitCode, BoxError> {
    let upstream = Upstream::start(tokio::net::TcpListener::bind("127.0.0.1:0").await?, Model::obedient())?;
    let settings = Settings {
        listen: Some(args.listen),
        store: Some("memory".to_owned()),
        upstream: UpstreamSettings { url: Some(upstream.url()), ..UpstreamSettings::default() },
        ..Settings::default()
    };
    let running = Running::start(&settings).await?;
    let base = format!("http://{}", running.address);
    let result = demo::run(&base, &upstream, std::io::stdout()).await;
    if args.keep {
        println!("\nThe gateway stays at {base}, its upstream at {}. End it with Ctrl-C.", upstream.url());
        tokio::signal::ctrl_c().await?;
    }
    running.end(Duration::from_secs(2)).await;
    result?;
    Ok(ExitCode::SUCCESS)
}
