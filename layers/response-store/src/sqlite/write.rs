//! Writing one response.

use std::borrow::Cow;

use rusqlite::OptionalExtension;

use super::{
    session::{Session, Statement},
    texts::encode,
    writer::Known,
};
use crate::{Record, StoreError, time::now};

pub(super) fn put(session: &mut Session<'_>, known: &mut Known, record: &Record) -> Result<(), StoreError> {
    let conversation = record.id.conversation().to_i64();
    let previous = match record.previous {
        None => {
            session.statement(Statement::InsertConversation)?.execute((conversation, record.owner.as_str(), now()))?;
            None
        }
        Some(previous) => {
            let updated = session
                .prepare_cached("UPDATE conversation SET last = ?3 WHERE id = ?1 AND owner = ?2")?
                .execute((conversation, record.owner.as_str(), now()))?;
            let key = session
                .prepare_cached("SELECT key FROM turn WHERE conversation = ?1 AND own = ?2")?
                .query_row((conversation, previous.own()), |row| row.get::<_, i64>(0))
                .optional()?;
            Some(key.filter(|_| updated == 1).ok_or_else(StoreError::previous_gone)?)
        }
    };
    let mut keys = Vec::with_capacity(record.shared.len());
    for shared in &record.shared {
        keys.push(known.texts.keep(session, shared)?);
    }
    let (body, part) = match known.parts.take(session, record)? {
        Some((rest, part)) => (Cow::Owned(rest), Some(part)),
        None => (Cow::Borrowed(&record.body[..]), None),
    };
    let insert = session.statement(Statement::InsertTurn)?;
    insert.execute((conversation, record.id.own(), previous, encode(&keys), &body[..], part))?;
    // Else SQLite has its copy of the body until the next one.
    insert.clear_bindings();
    let turn = session.last_insert_rowid();
    for item in &record.items {
        session.statement(Statement::InsertItem)?.execute((item.0, turn))?;
    }
    Ok(())
}
