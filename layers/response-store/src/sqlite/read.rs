//! Reading.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{parts, texts};
use crate::{
    Conversation, Digest, History, ItemKey, Owner, Page, Place, ResponseId, Shared, Stats, StoreError, Stored, time,
};

/// The number of the response, if it is there for this owner.
pub(super) fn find(
    connection: &Connection,
    owner: &Owner,
    id: ResponseId,
    horizon: i64,
) -> Result<Option<i64>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT turn.key FROM turn JOIN conversation ON conversation.id = turn.conversation
         WHERE turn.conversation = ?1 AND turn.own = ?2 AND NOT turn.deleted
           AND conversation.owner = ?3 AND conversation.last > ?4",
    )?;
    let key = select
        .query_row((id.conversation().to_i64(), id.own(), owner.as_str(), horizon), |row| row.get(0))
        .optional()?;
    Ok(key)
}

/// A row of `turn`.
struct Turn {
    id: ResponseId,
    previous: Option<i64>,
    shared: Vec<u8>,
    body: Bytes,
}

impl Turn {
    const COLUMNS: &str = "SELECT conversation, own, previous, shared, body, part FROM turn WHERE key = ?1";

    fn read(connection: &Connection, key: i64) -> Result<Self, StoreError> {
        let of = |row: &Row<'_>| {
            let id = ResponseId::from_parts(Conversation::from_i64(row.get(0)?), row.get(1)?);
            let (previous, shared) = (row.get(2)?, row.get(3)?);
            Ok((Self { id, previous, shared, body: row.get::<_, Vec<u8>>(4)?.into() }, row.get::<_, Option<i64>>(5)?))
        };
        let turn = connection.prepare_cached(Self::COLUMNS)?.query_row((key,), of).optional()?;
        let (mut turn, part) = turn.ok_or_else(|| StoreError::corrupt("a response that others continue is missing"))?;
        if let Some(part) = part {
            turn.body = parts::complete(connection, part, &turn.body)?;
        }
        Ok(turn)
    }
}

/// What the turn adds.
pub(super) fn body(connection: &Connection, key: i64) -> Result<Bytes, StoreError> {
    Turn::read(connection, key).map(|turn| turn.body)
}

pub(super) fn history(
    connection: &Connection,
    owner: &Owner,
    id: ResponseId,
    horizon: i64,
) -> Result<Option<History>, StoreError> {
    // One state of the file for all that is read.
    let _snapshot = connection.unchecked_transaction()?;
    let Some(key) = find(connection, owner, id, horizon)? else { return Ok(None) };
    let tip = Turn::read(connection, key)?;
    let shared = read_texts(connection, &tip.shared)?;
    let mut links = vec![(tip.id, tip.body)];
    let (mut key, mut previous) = (key, tip.previous);
    while let Some(next) = previous {
        let turn = Turn::read(connection, next)?;
        if turn.id.conversation() != id.conversation() || next >= key {
            return Err(StoreError::corrupt("a response continues one of another conversation"));
        }
        links.push((turn.id, turn.body));
        (key, previous) = (next, turn.previous);
    }
    links.reverse();
    Ok(Some(History { links, shared }))
}

fn read_texts(connection: &Connection, keys: &[u8]) -> Result<Vec<Shared>, StoreError> {
    let mut select = connection.prepare_cached("SELECT digest, text FROM shared WHERE key = ?1")?;
    let mut texts = Vec::new();
    for key in texts::decode(keys) {
        let text =
            select.query_row((key,), |row| Ok((row.get::<_, Digest>(0)?, row.get::<_, Vec<u8>>(1)?))).optional()?;
        let (digest, text) = text.ok_or_else(|| StoreError::corrupt("a shared text is missing"))?;
        texts.push(Shared::verify(digest, text.into())?);
    }
    Ok(texts)
}

fn to_stored(connection: &Connection, owner: &Owner, turn: Turn) -> Result<Stored, StoreError> {
    let previous = match turn.previous {
        None => None,
        Some(key) => {
            let own = connection
                .prepare_cached("SELECT own FROM turn WHERE key = ?1")?
                .query_row((key,), |row| row.get(0))
                .optional()?
                .ok_or_else(|| StoreError::corrupt("a response that others continue is missing"))?;
            Some(ResponseId::from_parts(turn.id.conversation(), own))
        }
    };
    let shared = read_texts(connection, &turn.shared)?;
    Ok(Stored { id: turn.id, previous, owner: owner.clone(), body: turn.body, shared })
}

pub(super) fn get(
    connection: &Connection,
    owner: &Owner,
    id: ResponseId,
    horizon: i64,
) -> Result<Option<Stored>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let Some(key) = find(connection, owner, id, horizon)? else { return Ok(None) };
    to_stored(connection, owner, Turn::read(connection, key)?).map(Some)
}

pub(super) fn find_items(
    connection: &Connection,
    owner: &Owner,
    items: &[ItemKey],
    horizon: i64,
) -> Result<Vec<Option<ResponseId>>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let mut select = connection.prepare_cached(
        "SELECT turn.conversation, turn.own FROM item
         JOIN turn ON turn.key = item.turn
         JOIN conversation ON conversation.id = turn.conversation
         WHERE item.item = ?1 AND NOT turn.deleted AND conversation.owner = ?2 AND conversation.last > ?3
         ORDER BY item.turn DESC LIMIT 1",
    )?;
    let id = |row: &Row<'_>| Ok(ResponseId::from_parts(Conversation::from_i64(row.get(0)?), row.get(1)?));
    let mut find = |item: &ItemKey| Ok(select.query_row((item.0, owner.as_str(), horizon), id).optional()?);
    items.iter().map(&mut find).collect()
}

pub(super) fn stats(connection: &Connection) -> Result<Stats, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let number = |sql: &str| {
        let number = connection.query_row(sql, [], |row| row.get::<_, i64>(0))?;
        Ok::<_, StoreError>(u64::try_from(number).unwrap_or_default())
    };
    Ok(Stats {
        conversations: number("SELECT count(*) FROM conversation")?,
        responses: number("SELECT count(*) FROM turn")?,
        bytes: number("SELECT coalesce(sum(length(body)), 0) FROM turn")?
            + number("SELECT coalesce(sum(length(text)), 0) FROM part")?,
        shared_bytes: number("SELECT coalesce(sum(length(text)), 0) FROM shared")?,
        total_bytes: Some(number("PRAGMA page_count")? * number("PRAGMA page_size")?),
    })
}

fn numbers(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<i64>, StoreError> {
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map(params, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The conversations whose last turn was before `horizon`.
pub(super) fn older(connection: &Connection, horizon: i64) -> Result<Vec<i64>, StoreError> {
    numbers(connection, "SELECT id FROM conversation WHERE last <= ?1", (horizon,))
}

pub(super) fn owned(connection: &Connection, owner: &Owner) -> Result<Vec<i64>, StoreError> {
    numbers(connection, "SELECT id FROM conversation WHERE owner = ?1", (owner.as_str(),))
}

/// The texts that nothing refers to and that nobody has used since yesterday.
pub(super) fn unused_texts(connection: &Connection) -> Result<Vec<i64>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let yesterday = time::now() / time::DAY - 1;
    let old = numbers(connection, "SELECT key FROM shared WHERE used < ?1", (yesterday,))?;
    if old.is_empty() {
        return Ok(old);
    }
    let mut unused: std::collections::HashSet<_> = old.into_iter().collect();
    let mut select = connection.prepare("SELECT shared FROM turn")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let keys = row.get_ref(0)?.as_blob().unwrap_or_default();
        for key in texts::decode(keys) {
            unused.remove(&i64::from(key));
        }
    }
    Ok(unused.into_iter().collect())
}

/// How many rows are looked at for one page.
const PAGE: i64 = 64;

pub(super) fn export(
    connection: &Connection,
    owner: Option<&Owner>,
    after: Option<&Place>,
    horizon: i64,
) -> Result<Page, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let after = after.and_then(|place| place.0.as_ref().try_into().ok()).map_or(0, i64::from_be_bytes);
    let mut select = connection.prepare_cached(
        "SELECT turn.key, turn.deleted, conversation.owner, conversation.last
         FROM turn JOIN conversation ON conversation.id = turn.conversation
         WHERE turn.key > ?1 ORDER BY turn.key LIMIT ?2",
    )?;
    let rows = select.query_map((after, PAGE), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    })?;
    let mut page = Page::default();
    for row in rows {
        let (key, deleted, whose, last) = row?;
        page.next = Some(Place(Bytes::copy_from_slice(&key.to_be_bytes())));
        if !deleted && last > horizon && owner.is_none_or(|owner| owner.as_str() == whose) {
            let turn = Turn::read(connection, key)?;
            page.records.push(to_stored(connection, &Owner::from_stored(&whose), turn)?);
        }
    }
    Ok(page)
}
