//! Writing one response.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension};

use super::{texts::encode, writer::Known};
use crate::{Record, StoreError, time::now};

pub(super) fn put(connection: &Connection, known: &mut Known, record: &Record) -> Result<(), StoreError> {
    let conversation = record.id.conversation().to_i64();
    let previous =
        match record.previous {
            None => {
                connection
                    .prepare_cached("INSERT INTO conversation (id, owner, last) VALUES (?1, ?2, ?3)")?
                    .execute((conversation, record.owner.as_str(), now()))?;
                None
            }
            Some(previous) => {
                let updated = connection
                    .prepare_cached("UPDATE conversation SET last = ?3 WHERE id = ?1 AND owner = ?2")?
                    .execute((conversation, record.owner.as_str(), now()))?;
                let key = connection
                    .prepare_cached("SELECT key FROM turn WHERE conversation = ?1 AND own = ?2")?
                    .query_row((conversation, previous.own()), |row| row.get::<_, i64>(0))
                    .optional()?;
                Some(key.filter(|_| updated == 1).ok_or_else(StoreError::previous_gone)?)
            }
        };
    let mut keys = Vec::with_capacity(record.shared.len());
    for shared in &record.shared {
        keys.push(known.texts.keep(connection, shared)?);
    }
    let (body, part) = match known.parts.take(connection, record)? {
        Some((rest, part)) => (Cow::Owned(rest), Some(part)),
        None => (Cow::Borrowed(&record.body[..]), None),
    };
    connection
        .prepare_cached(
            "INSERT INTO turn (conversation, own, previous, deleted, shared, body, part)
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)",
        )?
        .execute((conversation, record.id.own(), previous, encode(&keys), &body[..], part))?;
    let turn = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO item (item, turn) VALUES (?1, ?2)")?;
    for item in &record.items {
        insert.execute((item.0, turn))?;
    }
    Ok(())
}
