//! Deleting responses, conversations and texts.

use deadpool_postgres::Pool;
use tokio_postgres::Row;

use super::client::{self, Client};
use crate::{
    Owner, Removed, ResponseId, StoreError,
    leaves::{Link, removable},
    time::{DAY, now},
};

/// How many conversations are removed in one transaction.
const STEP: i64 = 64;

pub(super) async fn delete(
    client: &mut Client,
    owner: &Owner,
    id: ResponseId,
    horizon: i64,
) -> Result<bool, StoreError> {
    let conversation = id.conversation().to_i64();
    let transaction = client.transaction().await?;
    // Whoever continues the conversation at this moment waits, or is waited for.
    let lock = "SELECT 1 FROM response_conversation WHERE id = $1 AND owner = $2 AND last > $3 FOR UPDATE";
    let mark = "UPDATE response_turn SET deleted = TRUE WHERE conversation = $1 AND own = $2 AND NOT deleted";
    let own = id.own().to_vec();
    if transaction.query_opt(lock, &[&conversation, &owner.as_str(), &horizon]).await?.is_none()
        || transaction.execute(mark, &[&conversation, &own]).await? == 0
    {
        return Ok(false);
    }
    let all = "SELECT own, previous, deleted FROM response_turn WHERE conversation = $1";
    let rows = transaction.query(all, &[&conversation]).await?;
    let all = rows.iter().map(link).collect::<Result<Vec<_>, _>>()?;
    let gone = removable(&all, &own[..]);
    for table in ["response_item", "response_turn"] {
        let delete = format!("DELETE FROM {table} WHERE conversation = $1 AND own = ANY ($2)");
        transaction.execute(&delete, &[&conversation, &gone]).await?;
    }
    transaction
        .execute(
            "DELETE FROM response_conversation WHERE id = $1
             AND NOT EXISTS (SELECT 1 FROM response_turn WHERE conversation = $1)",
            &[&conversation],
        )
        .await?;
    transaction.commit().await?;
    Ok(true)
}

fn link(row: &Row) -> Result<Link<&[u8]>, tokio_postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// Removes the conversations whose last turn was before `horizon`.
pub(super) async fn older(pool: &Pool, horizon: i64) -> Result<Removed, StoreError> {
    let select = "SELECT id FROM response_conversation WHERE last <= $1 LIMIT $2";
    let mut removed = Removed::default();
    loop {
        let mut client = client::get(pool).await?;
        let rows = client.query(select, &[&horizon, &STEP]).await?;
        let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
        if ids.is_empty() {
            return Ok(removed);
        }
        step(&mut client, &ids, horizon, &mut removed).await?;
    }
}

pub(super) async fn owned(pool: &Pool, owner: &Owner) -> Result<Removed, StoreError> {
    let select = "SELECT id FROM response_conversation WHERE owner = $1 LIMIT $2";
    let mut removed = Removed::default();
    loop {
        let mut client = client::get(pool).await?;
        let rows = client.query(select, &[&owner.as_str(), &STEP]).await?;
        let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
        if ids.is_empty() {
            return Ok(removed);
        }
        step(&mut client, &ids, i64::MAX, &mut removed).await?;
    }
}

async fn step(client: &mut Client, ids: &[i64], before: i64, removed: &mut Removed) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    let gone = transaction
        .query("DELETE FROM response_conversation WHERE id = ANY ($1) AND last <= $2 RETURNING id", &[&ids, &before])
        .await?;
    let gone = gone.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    transaction.execute("DELETE FROM response_item WHERE conversation = ANY ($1)", &[&gone]).await?;
    let turns = transaction.execute("DELETE FROM response_turn WHERE conversation = ANY ($1)", &[&gone]).await?;
    transaction.commit().await?;
    removed.conversations += gone.len() as u64;
    removed.responses += turns;
    Ok(())
}

/// Removes the texts that nothing refers to and that nobody has used since yesterday.
pub(super) async fn unused_texts(client: &Client) -> Result<(), StoreError> {
    let yesterday = now() / DAY - 1;
    client
        .execute(
            "DELETE FROM response_text WHERE used < $1
             AND digest NOT IN (SELECT unnest(shared) FROM response_turn)",
            &[&yesterday],
        )
        .await?;
    Ok(())
}
