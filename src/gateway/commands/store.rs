use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};

use super::serve::retention;
use crate::{
    BoxError,
    gateway::{ConfigError, config::default_store},
    json::{Array, Object, Value},
    response_store::{self, Access, Owner, ResponseStore, StoreOptions, Stored, Turn},
};

#[derive(Debug, Args)]
pub(in crate::gateway) struct StoreArgs {
    /// sqlite:PATH, postgres://… or redis://…; default: where `serve` keeps responses.
    #[arg(long, env = "TOWER_RESPONSES_STORE", value_name = "URL", global = true)]
    store: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// How much is stored.
    Stats,
    /// Remove conversations whose last turn is so many days ago.
    Prune {
        /// Days since the last turn, or a part of one such as 0.5; 0 is for ever, and an error.
        #[arg(long, value_name = "DAYS")]
        older_than: f64,
    },
    /// Write stored responses as JSON lines.
    Export {
        /// Only those of this owner, as `owner` in the configuration names it.
        #[arg(long)]
        owner: Option<String>,
    },
    /// Remove all that belongs to an owner: also what clients have deleted and what was still part
    /// of conversations that went on.
    DeleteOwner {
        /// As `owner` in the configuration names it.
        owner: String,
    },
}

pub(in crate::gateway) async fn run(args: StoreArgs) -> Result<ExitCode, BoxError> {
    let store = open(args.store, &args.action).await?;
    match args.action {
        Action::Stats => {
            let stats = store.stats().await?;
            println!("conversations  {}", stats.conversations);
            println!("responses      {}", stats.responses);
            println!("bytes          {}", stats.bytes);
            println!("shared bytes   {}", stats.shared_bytes);
            if let Some(total) = stats.total_bytes {
                println!("bytes in all   {total}");
            }
        }
        Action::Prune { older_than } => {
            let age = retention("--older-than", older_than)?;
            if age == Duration::MAX {
                let message = "--older-than 0: nothing is older than for ever, and nothing was removed";
                return Err(ConfigError::new(message).into());
            }
            let removed = store.prune(age).await?;
            println!("removed {} conversations with {} responses", removed.conversations, removed.responses);
        }
        Action::Export { owner } => export(&store, owner.as_deref()).await?,
        Action::DeleteOwner { owner } => {
            let removed = store.delete_owner(&Owner::named(&owner)).await?;
            println!("removed {} conversations with {} responses", removed.conversations, removed.responses);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the store for what is to be done with it. There has to be one.
async fn open(url: Option<String>, action: &Action) -> Result<Arc<dyn ResponseStore>, BoxError> {
    let url = url.unwrap_or_else(default_store);
    if url == "none" {
        return Err(ConfigError::new("there is no store to look after").into());
    }
    let access = match action {
        Action::Stats | Action::Export { .. } => Access::ReadOnly,
        Action::Prune { .. } | Action::DeleteOwner { .. } => Access::Existing,
    };
    // How long the gateway keeps what is there is not known here, and nothing goes for its age alone.
    let options = StoreOptions::default().access(access).ttl(Duration::MAX);
    Ok(response_store::open_with(&url, &options).await?)
}

async fn export(store: &Arc<dyn ResponseStore>, owner: Option<&str>) -> Result<(), BoxError> {
    let owner = owner.map(Owner::named);
    let mut out = io::stdout().lock();
    let mut after = None;
    loop {
        let page = store.export(owner.as_ref(), after).await?;
        for stored in &page.records {
            out.write_all(&line(stored)?)?;
            out.write_all(b"\n")?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(out.flush()?),
        }
    }
}

/// The response as its client got it, with the items that its request brought.
fn line(stored: &Stored) -> Result<bytes::Bytes, BoxError> {
    let turn = Turn::decode(&stored.body)?;
    let mut line = Object::new();
    line.set("owner", stored.owner.as_str());
    line.set("response", stored.to_object()?);
    line.set("input", turn.input().iter().cloned().map(Value::from_text).collect::<Array>());
    Ok(line.text())
}
