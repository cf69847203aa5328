//! Parts of bodies that were written before the rest was known.

use std::{collections::HashMap, ops::Range};

use bytes::{BufMut, Bytes, BytesMut};
use rusqlite::{Connection, OptionalExtension};

use crate::{Record, ResponseId, StoreError, time};

/// The parts whose responses are still to come, by the thread that writes.
#[derive(Debug, Default)]
pub(super) struct KnownParts(HashMap<ResponseId, Known>);

#[derive(Debug)]
struct Known {
    key: i64,
    /// Where it stands in the body.
    place: Range<usize>,
}

/// With more than these all are forgotten: their responses are written as a whole.
const MAX_KNOWN: usize = 4096;

impl KnownParts {
    /// Writes the part of a body that is to come.
    pub(super) fn write(
        &mut self,
        connection: &Connection,
        id: ResponseId,
        place: usize,
        part: &[u8],
    ) -> Result<(), StoreError> {
        self.remove(connection, id)?;
        let start = i64::try_from(place).map_err(|_| StoreError::unavailable("a part of a response is too far off"))?;
        connection.prepare_cached("INSERT INTO part (day, place, text) VALUES (?1, ?2, ?3)")?.execute((
            time::now() / time::DAY,
            start,
            part,
        ))?;
        if self.0.len() >= MAX_KNOWN {
            self.0.clear();
        }
        self.0.insert(id, Known { key: connection.last_insert_rowid(), place: place..place + part.len() });
        Ok(())
    }

    /// Removes the part of a response that does not come.
    pub(super) fn remove(&mut self, connection: &Connection, id: ResponseId) -> Result<(), StoreError> {
        if let Some(known) = self.0.remove(&id) {
            connection.prepare_cached("DELETE FROM part WHERE key = ?1")?.execute((known.key,))?;
        }
        Ok(())
    }

    /// The body without the part that is written already, and the number of that one. `None` if all
    /// of it is to be written.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        record: &Record,
    ) -> Result<Option<(Vec<u8>, i64)>, StoreError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let Some(Known { key, place }) = self.0.remove(&record.id) else { return Ok(None) };
        let (Some(before), Some(after)) = (record.body.get(..place.start), record.body.get(place.end..)) else {
            return Ok(None);
        };
        // Another process may have taken it for one that nothing uses.
        let is_there =
            connection.prepare_cached("SELECT 1 FROM part WHERE key = ?1")?.query_row((key,), |_| Ok(())).optional()?;
        Ok(is_there.map(|()| ([before, after].concat(), key)))
    }
}

/// The body that `rest` is without the part of this number.
pub(super) fn complete(connection: &Connection, key: i64, rest: &[u8]) -> Result<Bytes, StoreError> {
    let missing = || StoreError::corrupt("a part of a response is missing");
    let mut select = connection.prepare_cached("SELECT place, text FROM part WHERE key = ?1")?;
    let mut rows = select.query((key,))?;
    let row = rows.next()?.ok_or_else(missing)?;
    let place = usize::try_from(row.get::<_, i64>(0)?).ok().filter(|place| *place <= rest.len());
    let (before, after) = rest.split_at(place.ok_or_else(missing)?);
    let part = row.get_ref(1)?.as_blob().map_err(|_| missing())?;
    let mut body = BytesMut::with_capacity(rest.len() + part.len());
    [before, part, after].into_iter().for_each(|text| body.put_slice(text));
    Ok(body.freeze())
}

/// Removes the parts from before this day whose responses never came.
pub(super) fn remove_unused(connection: &Connection, day: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM part WHERE day < ?1 AND NOT EXISTS (SELECT 1 FROM turn WHERE turn.part = part.key)",
        )?
        .execute((day,))?;
    Ok(())
}
