//! The tables, and how they came to be.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::{Access, StoreError, StoreErrorKind};

/// Each brings the tables from the version of its place to the next. They are never changed, only
/// added to.
const MIGRATIONS: [&str; 1] = ["CREATE TABLE response_conversation (
         id BIGINT PRIMARY KEY,
         owner TEXT NOT NULL,
         last BIGINT NOT NULL
     );
     CREATE TABLE response_turn (
         conversation BIGINT NOT NULL,
         own BYTEA NOT NULL,
         previous BYTEA,
         deleted BOOLEAN NOT NULL,
         shared BYTEA[] NOT NULL,
         body BYTEA NOT NULL,
         PRIMARY KEY (conversation, own)
     );
     CREATE TABLE response_text (
         digest BYTEA PRIMARY KEY,
         used BIGINT NOT NULL,
         text BYTEA NOT NULL
     );
     CREATE TABLE response_item (
         item BYTEA NOT NULL,
         at BIGINT NOT NULL,
         conversation BIGINT NOT NULL,
         own BYTEA NOT NULL,
         PRIMARY KEY (item, at, conversation, own)
     );
     CREATE INDEX response_item_turn ON response_item (conversation, own);"];

/// How often to try again when another gateway makes the tables at the same moment.
const ATTEMPTS: u32 = 10;

pub(super) async fn open(client: &tokio_postgres::Client, access: Access) -> Result<(), StoreError> {
    let version = match access {
        Access::Create => return migrate(client).await,
        Access::Existing | Access::ReadOnly => version(client).await?,
    };
    let refuse = |words: String| Err(StoreError::new(StoreErrorKind::Configuration, words));
    match version {
        None => refuse("there is no store in the database".to_owned()),
        Some(version) if version == MIGRATIONS.len() => Ok(()),
        Some(_) if access == Access::Existing => migrate(client).await,
        Some(older) => refuse(format!(
            "the store has version {older}: once `serve` has opened it, it has version {} and can be read",
            MIGRATIONS.len()
        )),
    }
}

/// The version of the tables, if there are any.
async fn version(client: &tokio_postgres::Client) -> Result<Option<usize>, StoreError> {
    match client.query_opt(VERSION, &[]).await {
        Ok(row) => row.map(|row| known(row.get(0))).transpose(),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const VERSION: &str = "SELECT version FROM response_schema WHERE id = 1";

async fn migrate(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    let mut attempt = 1;
    loop {
        match try_migrate(client).await {
            Err(Failure::Raced(_)) if attempt < ATTEMPTS => {
                client.batch_execute("ROLLBACK").await?;
                tokio::time::sleep(Duration::from_millis(50) * attempt).await;
                attempt += 1;
            }
            Err(Failure::Raced(error)) => return Err(error.into()),
            Err(Failure::Other(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
}

enum Failure {
    /// Another was there first.
    Raced(tokio_postgres::Error),
    Other(StoreError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let raced = [
            SqlState::UNIQUE_VIOLATION,
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_OBJECT,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        if error.code().is_some_and(|code| raced.contains(code)) {
            Self::Raced(error)
        } else {
            Self::Other(error.into())
        }
    }
}

async fn try_migrate(client: &tokio_postgres::Client) -> Result<(), Failure> {
    // A user who may not make tables can use those that are there.
    if let Ok(row) = client.query_one(VERSION, &[]).await
        && known(row.get(0)).map_err(Failure::Other)? == MIGRATIONS.len()
    {
        return Ok(());
    }
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS response_schema (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)")
        .await?;
    client.batch_execute("INSERT INTO response_schema (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING").await?;
    client.batch_execute("BEGIN").await?;
    let row = client.query_one("SELECT version FROM response_schema WHERE id = 1 FOR UPDATE", &[]).await?;
    for migration in &MIGRATIONS[known(row.get(0)).map_err(Failure::Other)?..] {
        client.batch_execute(migration).await?;
    }
    let version = i64::try_from(MIGRATIONS.len()).unwrap_or_default();
    client.execute("UPDATE response_schema SET version = $1 WHERE id = 1", &[&version]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

fn known(version: i64) -> Result<usize, StoreError> {
    usize::try_from(version).ok().filter(|version| *version <= MIGRATIONS.len()).ok_or_else(|| {
        StoreError::new(
            StoreErrorKind::Configuration,
            format!(
                "the store has version {version} and this program knows versions up to {}: use a newer program",
                MIGRATIONS.len()
            ),
        )
    })
}
