//! Deleting responses, conversations and texts.

use rusqlite::{Connection, OptionalExtension};

use super::{parts, read, writer::Known};
use crate::{
    Owner, Removed, ResponseId, StoreError, Turn,
    leaves::{Link, removable},
    time,
};

/// How many conversations are removed in one step.
pub(super) const STEP: usize = 16;

pub(super) fn delete(connection: &Connection, owner: &Owner, id: ResponseId, horizon: i64) -> Result<bool, StoreError> {
    let Some(key) = read::find(connection, owner, id, horizon)? else { return Ok(false) };
    connection.prepare_cached("UPDATE turn SET deleted = 1 WHERE key = ?1")?.execute((key,))?;
    let conversation = id.conversation().to_i64();
    let mut select = connection.prepare_cached("SELECT key, previous, deleted FROM turn WHERE conversation = ?1")?;
    let rows = select.query_map((conversation,), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let all: Vec<Link<i64>> = rows.collect::<Result<_, _>>()?;
    for key in removable(&all, key) {
        remove_items(connection, owner, key)?;
        connection.prepare_cached("DELETE FROM turn WHERE key = ?1")?.execute((key,))?;
    }
    connection
        .prepare_cached(
            "DELETE FROM conversation WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM turn WHERE conversation = ?1)",
        )?
        .execute((conversation,))?;
    Ok(true)
}

fn remove_items(connection: &Connection, owner: &Owner, key: i64) -> Result<(), StoreError> {
    // What cannot be read any more is not found by its items either.
    let Ok(turn) = read::body(connection, key).and_then(|body| Turn::decode(&body)) else { return Ok(()) };
    let mut delete = connection.prepare_cached("DELETE FROM item WHERE item = ?1 AND turn = ?2")?;
    for item in turn.item_keys(owner) {
        delete.execute((item.0, key))?;
    }
    Ok(())
}

/// Removes those of the conversations whose last turn still is not after `before`.
pub(super) fn conversations(connection: &Connection, ids: &[i64], before: i64) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    for id in ids {
        let owner = connection
            .prepare_cached("DELETE FROM conversation WHERE id = ?1 AND last <= ?2 RETURNING owner")?
            .query_row((id, before), |row| row.get::<_, String>(0))
            .optional()?;
        let Some(owner) = owner else { continue };
        let owner = Owner::from_stored(&owner);
        let mut select = connection.prepare_cached("SELECT key FROM turn WHERE conversation = ?1")?;
        let keys = select.query_map((id,), |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        for key in &keys {
            remove_items(connection, &owner, *key)?;
        }
        connection.prepare_cached("DELETE FROM turn WHERE conversation = ?1")?.execute((id,))?;
        removed.conversations += 1;
        removed.responses += keys.len() as u64;
    }
    Ok(removed)
}

/// Removes texts that were found to be unused, unless they have come to be used again, and parts
/// of responses that never came to be.
pub(super) fn unused(connection: &Connection, known: &mut Known, texts: &[i64]) -> Result<(), StoreError> {
    known.texts.forget();
    let yesterday = time::now() / time::DAY - 1;
    let mut delete = connection.prepare_cached("DELETE FROM shared WHERE key = ?1 AND used < ?2")?;
    for key in texts {
        delete.execute((key, yesterday))?;
    }
    parts::remove_unused(connection, yesterday)
}
