//! `tower-responses codex`: what Codex needs to use a gateway.

mod home;
mod run;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use http::StatusCode;

use self::home::Home;
use super::http::{Server, say};
use crate::{
    BoxError,
    gateway::config::data_directory,
    json,
    model_catalog::{Catalog, ModelSettings, Settings, UpstreamModels},
};

#[derive(Debug, Args)]
#[command(after_help = ABOUT)]
pub(in crate::gateway) struct CodexArgs {
    /// The gateway, with or without /v1.
    #[arg(long, env = "TOWER_RESPONSES_GATEWAY", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    gateway: String,
    /// The model that Codex uses. Default: the first that the gateway offers.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The provider's name in the configuration.
    #[arg(long, default_value = "tower-responses", value_name = "NAME", value_parser = provider)]
    provider: String,
    /// Environment variable that holds the key which the gateway wants to see.
    #[arg(long, value_name = "VAR")]
    api_key_env: Option<String>,
    /// Let Codex use the WebSocket transport.
    #[arg(long)]
    websocket: bool,
    /// Print the configuration to standard output, to be kept in one of your own; the catalog that it
    /// names is written.
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "config", conflicts_with = "command")]
    print: Option<Print>,
    /// The folder to write to. Default: ./tower-responses-codex; with --print, codex/NAME in the
    /// platform's data directory, NAME being the provider's; with a command, one that is removed
    /// afterwards.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What Codex is to do, after `--`.
    #[arg(last = true, value_name = "CODEX ARGUMENTS")]
    command: Vec<std::ffi::OsString>,
}

const ABOUT: &str = "\
Codex needs a catalog to know what a model can do, and for a provider without a login it reads one \
only from a file. This writes that file, and a configuration that uses it, into a folder of their own. \
Your own configuration of Codex is neither read nor changed.

With arguments after -- Codex runs with that configuration, and its exit code is given on:

  tower-responses codex -- exec \"say hello\"

To keep it, as your only configuration or as a profile beside it:

  tower-responses codex --print > ~/.codex/config.toml
  tower-responses codex --print > ~/.codex/local.config.toml    # codex --profile local

The program is codex on the PATH, or what CODEX_BIN names.";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Print {
    /// What belongs into config.toml.
    Config,
    /// The catalog, and nothing is written.
    Catalog,
    /// The configuration, then the catalog.
    All,
}

/// Codex treats a provider of this name as OpenAI's own: it compresses requests and compacts with
/// a protocol that no model server speaks.
fn provider(name: &str) -> Result<String, String> {
    if name.eq_ignore_ascii_case("openai") {
        return Err("Codex expects of a provider called OpenAI what only OpenAI's own servers do".to_owned());
    }
    let legal = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if legal { Ok(name.to_owned()) } else { Err("letters, digits, - and _ only".to_owned()) }
}

pub(in crate::gateway) async fn run(args: CodexArgs) -> Result<ExitCode, BoxError> {
    let server = Server::new(&args.gateway, args.api_key_env.as_deref(), None, Duration::from_secs(15))?;
    let (catalog, model) = catalog(&server, args.model.as_deref()).await?;
    let home = Home {
        provider: args.provider,
        base_url: server.base_url(),
        model,
        api_key_env: args.api_key_env,
        websocket: args.websocket,
        catalog: catalog.catalog_json(),
    };
    if let Some(what) = args.print {
        print(&home, what, args.out)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.command.is_empty() {
        return run::run(&home, args.out, &args.command).await;
    }
    let written = home.write(&args.out.unwrap_or_else(|| PathBuf::from("tower-responses-codex")))?;
    let count = catalog.ids().count();
    say(&format!(
        "wrote {} and {} ({count} {})\n\nUse it as it is:\n\n  CODEX_HOME={} codex\n\n\
         or save this as ~/.codex/local.config.toml and run codex --profile local:\n\n{}",
        written.config.display(),
        written.catalog.display(),
        if count == 1 { "model" } else { "models" },
        home::shell_word(&written.folder),
        home.config(&written.catalog),
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints. A configuration that was printed names a catalog that is there.
fn print(home: &Home, what: Print, out: Option<PathBuf>) -> Result<(), BoxError> {
    let catalog = String::from_utf8_lossy(&home.catalog);
    if matches!(what, Print::Catalog) {
        return Ok(say(&format!("{catalog}\n"))?);
    }
    let folder = out.unwrap_or_else(|| data_directory().join("codex").join(&home.provider));
    let path = home.write_catalog(&folder)?;
    eprintln!("wrote {}, which the configuration names", path.display());
    let config = home.config(&path);
    say(&match what {
        Print::All => format!("# config.toml\n{config}\n# {}\n{catalog}\n", path.display()),
        _ => config,
    })?;
    Ok(())
}

/// What the gateway offers, and the model to be used.
async fn catalog(server: &Server, wanted: Option<&str>) -> Result<(Catalog, String), BoxError> {
    let answer = server.get("/v1/models").await?;
    if answer.unanswered.is_some() {
        let (url, why) = (server.url(), answer.reason());
        return Err(
            format!("no gateway answers at {url} ({why}): start one with serve, or name it with --gateway").into()
        );
    }
    if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let hint = "--api-key-env names the variable that holds its key";
        return Err(format!("the gateway at {} wants a key: {} ({hint})", server.url(), answer.reason()).into());
    }
    if !answer.status.is_success() {
        return Err(format!("the gateway at {} does not list its models: {}", server.url(), answer.reason()).into());
    }
    let list = UpstreamModels::parse(answer.body.clone())
        .map_err(|error| format!("what {} lists cannot be read: {error}", server.url()))?;
    let mut settings = Settings::new();
    if let Some(model) = wanted.filter(|model| !list.ids().any(|id| id == *model)) {
        // It may be served all the same: aliases can stand for all that begin alike.
        eprintln!("note: {} does not list '{model}'", server.url());
        settings = settings.with(model, ModelSettings::default());
    }
    let catalog = Catalog::build(Some(&list), [], &settings);
    let model = match wanted {
        Some(model) => model.to_owned(),
        None => first(&catalog).ok_or_else(|| format!("{} offers no models: name one with --model", server.url()))?,
    };
    Ok((catalog, model))
}

/// The model that Codex would offer first.
fn first(catalog: &Catalog) -> Option<String> {
    let offered = |id: &&str| {
        let entry = catalog.codex_entry(id);
        entry.is_some_and(|entry| entry.member_is("visibility", "list"))
    };
    let priority = |id: &&str| catalog.codex_entry(id)?.get("priority").and_then(json::Value::as_i64);
    catalog.ids().filter(offered).min_by_key(priority).or_else(|| catalog.ids().next()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
