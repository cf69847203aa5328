use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};

use super::serve::open_store;
use crate::{
    BoxError,
    gateway::{ConfigError, Settings},
    json::{Array, Object, Value},
    response_store::{Owner, ResponseStore, Stored, Turn},
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
        /// Days since the last turn.
        #[arg(long, value_name = "DAYS")]
        older_than: f64,
    },
    /// Write stored responses as JSON lines.
    Export {
        /// Only those of this owner, as `owner` in the configuration names it.
        #[arg(long)]
        owner: Option<String>,
    },
    /// Remove all that belongs to an owner.
    DeleteOwner {
        /// As `owner` in the configuration names it.
        owner: String,
    },
}

pub(in crate::gateway) async fn run(args: StoreArgs) -> Result<ExitCode, BoxError> {
    let settings = Settings { store: args.store, ..Settings::default() };
    let url = settings.store_url()?;
    let store =
        open_store(&settings, &url).await?.ok_or_else(|| ConfigError::new("there is no store to look after"))?;
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
            let age = Duration::try_from_secs_f64(older_than * 86_400.0)
                .map_err(|_| ConfigError::new(format!("{older_than} is no number of days")))?;
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
