//! Shared texts: which the file has, without asking it each time.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use crate::{
    Digest, Shared, StoreError,
    time::{DAY, now},
};

/// The texts that were used lately, by the thread that writes.
#[derive(Debug, Default)]
pub(super) struct KnownTexts(HashMap<Digest, Known>);

#[derive(Debug, Clone, Copy)]
struct Known {
    key: u32,
    day: i64,
}

/// More than these are forgotten, and asked for again.
const MAX_KNOWN: usize = 4096;

impl KnownTexts {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The number of the text, which is written if it is new. Once a day it is noted that it is
    /// still in use, so that nobody removes it at that moment.
    pub(super) fn keep(&mut self, connection: &Connection, shared: &Shared) -> Result<u32, StoreError> {
        let day = now() / DAY;
        if let Some(known) = self.0.get(&shared.digest()).filter(|known| known.day == day) {
            return Ok(known.key);
        }
        let key = connection
            .prepare_cached("UPDATE shared SET used = ?2 WHERE digest = ?1 RETURNING key")?
            .query_row((shared.digest(), day), |row| row.get::<_, i64>(0))
            .optional()?;
        let key =
            match key {
                Some(key) => key,
                None => {
                    connection
                        .prepare_cached("INSERT INTO shared (digest, used, text) VALUES (?1, ?2, ?3)")?
                        .execute((shared.digest(), day, &shared.text()[..]))?;
                    connection.last_insert_rowid()
                }
            };
        let key = u32::try_from(key).map_err(|_| StoreError::unavailable("too many shared texts"))?;
        if self.0.len() >= MAX_KNOWN {
            self.0.clear();
        }
        self.0.insert(shared.digest(), Known { key, day });
        Ok(key)
    }
}

/// The numbers as they stand in a row.
pub(super) fn encode(keys: &[u32]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.to_be_bytes()).collect()
}

/// The numbers in a row.
pub(super) fn decode(keys: &[u8]) -> impl Iterator<Item = u32> + '_ {
    keys.chunks_exact(4).map(|key| u32::from_be_bytes([key[0], key[1], key[2], key[3]]))
}
