//! Reading.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::future::try_join;
use tokio_postgres::Row;

use super::client::Client;
use crate::{
    Conversation, Digest, History, ItemKey, Owner, Page, Place, ResponseId, Shared, Stats, StoreError, Stored,
};

/// Whether `turn` is there for the owner `$3`, at the horizon `$4`.
macro_rules! live {
    () => {
        "NOT turn.deleted AND EXISTS (SELECT 1 FROM response_conversation AS c
             WHERE c.id = turn.conversation AND c.owner = $3 AND c.last > $4)"
    };
}

const EXISTS: &str =
    concat!("SELECT 1 FROM response_turn AS turn WHERE turn.conversation = $1 AND turn.own = $2 AND ", live!());

const HISTORY: &str = concat!(
    "WITH RECURSIVE chain (own, previous, depth) AS (
         SELECT turn.own, turn.previous, 0 FROM response_turn AS turn
         WHERE turn.conversation = $1 AND turn.own = $2 AND ",
    live!(),
    "    UNION ALL
         SELECT turn.own, turn.previous, chain.depth + 1 FROM chain
         JOIN response_turn AS turn ON turn.conversation = $1 AND turn.own = chain.previous
     )
     SELECT turn.own, turn.previous, turn.body, CASE WHEN chain.depth = 0 THEN turn.shared END
     FROM chain JOIN response_turn AS turn ON turn.conversation = $1 AND turn.own = chain.own
     ORDER BY chain.depth DESC"
);

const GET: &str = concat!(
    "SELECT turn.own, turn.previous, turn.body, turn.shared FROM response_turn AS turn
     WHERE turn.conversation = $1 AND turn.own = $2 AND ",
    live!()
);

const TEXTS: &str = "SELECT text.digest, text.text FROM response_turn AS turn
     JOIN response_text AS text ON text.digest = ANY (turn.shared)
     WHERE turn.conversation = $1 AND turn.own = $2";

/// Of a response that was kept with an item often only the newest is looked at.
const ITEMS: &str = "SELECT wanted.place, found.conversation, found.own
     FROM unnest($1::BYTEA[]) WITH ORDINALITY AS wanted (item, place)
     JOIN LATERAL (
         SELECT item.conversation, item.own FROM response_item AS item
         JOIN response_conversation AS c ON c.id = item.conversation
         JOIN response_turn AS turn ON turn.conversation = item.conversation AND turn.own = item.own
         WHERE item.item = wanted.item AND c.owner = $2 AND c.last > $3 AND NOT turn.deleted
         ORDER BY item.at DESC LIMIT 1
     ) AS found ON TRUE";

pub(super) async fn exists(client: &Client, owner: &Owner, id: ResponseId, horizon: i64) -> Result<bool, StoreError> {
    Ok(!rows(client, EXISTS, owner, id, horizon).await?.is_empty())
}

async fn rows(client: &Client, sql: &str, owner: &Owner, id: ResponseId, horizon: i64) -> Result<Vec<Row>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    let (conversation, own) = (id.conversation().to_i64(), id.own());
    Ok(client.query(&statement, &[&conversation, &&own[..], &owner.as_str(), &horizon]).await?)
}

async fn texts(client: &Client, id: ResponseId) -> Result<HashMap<Vec<u8>, Bytes>, StoreError> {
    let statement = client.prepare_cached(TEXTS).await?;
    let rows = client.query(&statement, &[&id.conversation().to_i64(), &&id.own()[..]]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, Bytes::copy_from_slice(row.try_get(1)?)))).collect()
}

fn shared(digests: Vec<Vec<u8>>, texts: &HashMap<Vec<u8>, Bytes>) -> Result<Vec<Shared>, StoreError> {
    let missing = || StoreError::corrupt("a shared text is missing");
    let text = |digest: Vec<u8>| {
        let text = texts.get(&digest).ok_or_else(missing)?;
        Shared::verify(Digest::try_from(digest).map_err(|_| missing())?, text.clone())
    };
    digests.into_iter().map(text).collect()
}

fn own(bytes: &[u8]) -> Result<[u8; 16], StoreError> {
    bytes.try_into().map_err(|_| StoreError::corrupt("an id in the store is none"))
}

/// Chain and texts are asked for at once.
pub(super) async fn history(
    client: &Client,
    owner: &Owner,
    id: ResponseId,
    horizon: i64,
) -> Result<Option<History>, StoreError> {
    let (rows, texts) = try_join(rows(client, HISTORY, owner, id, horizon), texts(client, id)).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let shared = shared(last.try_get::<_, Option<_>>(3)?.unwrap_or_default(), &texts)?;
    let mut links = Vec::with_capacity(rows.len());
    let mut before: Option<[u8; 16]> = None;
    for row in &rows {
        let previous = row.try_get::<_, Option<&[u8]>>(1)?.map(own).transpose()?;
        if previous != before {
            return Err(StoreError::corrupt("a response that others continue is missing"));
        }
        let link = own(row.try_get(0)?)?;
        before = Some(link);
        links.push((ResponseId::from_parts(id.conversation(), link), Bytes::copy_from_slice(row.try_get(2)?)));
    }
    Ok(Some(History { links, shared }))
}

pub(super) async fn get(
    client: &Client,
    owner: &Owner,
    id: ResponseId,
    horizon: i64,
) -> Result<Option<Stored>, StoreError> {
    let (rows, texts) = try_join(rows(client, GET, owner, id, horizon), texts(client, id)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let previous = row.try_get::<_, Option<&[u8]>>(1)?.map(own).transpose()?;
    Ok(Some(Stored {
        id,
        previous: previous.map(|own| ResponseId::from_parts(id.conversation(), own)),
        owner: owner.clone(),
        body: Bytes::copy_from_slice(row.try_get(2)?),
        shared: shared(row.try_get(3)?, &texts)?,
    }))
}

pub(super) async fn find_items(
    client: &Client,
    owner: &Owner,
    items: &[ItemKey],
    horizon: i64,
) -> Result<Vec<Option<ResponseId>>, StoreError> {
    let statement = client.prepare_cached(ITEMS).await?;
    let keys: Vec<_> = items.iter().map(|item| &item.0[..]).collect();
    let mut found = vec![None; items.len()];
    for row in client.query(&statement, &[&keys, &owner.as_str(), &horizon]).await? {
        let place = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX);
        let id = ResponseId::from_parts(Conversation::from_i64(row.try_get(1)?), own(row.try_get(2)?)?);
        if let Some(found) = found.get_mut(place) {
            *found = Some(id);
        }
    }
    Ok(found)
}

pub(super) async fn stats(client: &Client) -> Result<Stats, StoreError> {
    let row = client
        .query_one(
            "SELECT (SELECT count(*) FROM response_conversation),
                    (SELECT count(*) FROM response_turn),
                    (SELECT coalesce(sum(length(body)), 0) FROM response_turn)::BIGINT,
                    (SELECT coalesce(sum(length(text)), 0) FROM response_text)::BIGINT",
            &[],
        )
        .await?;
    let number = |at| Ok::<_, StoreError>(u64::try_from(row.try_get::<_, i64>(at)?).unwrap_or_default());
    Ok(Stats {
        conversations: number(0)?,
        responses: number(1)?,
        bytes: number(2)?,
        shared_bytes: number(3)?,
        total_bytes: None,
    })
}

/// How many rows are looked at for one page.
const PAGE: i64 = 64;

const EXPORT: &str = "SELECT turn.conversation, turn.own, turn.deleted, c.owner
     FROM response_turn AS turn JOIN response_conversation AS c ON c.id = turn.conversation
     WHERE (turn.conversation, turn.own) > ($1, $2) AND c.last > $3 AND ($4::TEXT IS NULL OR c.owner = $4)
     ORDER BY turn.conversation, turn.own LIMIT $5";

pub(super) async fn export(
    client: &Client,
    owner: Option<&Owner>,
    after: Option<&Place>,
    horizon: i64,
) -> Result<Page, StoreError> {
    let place = after.and_then(|place| place.0.as_ref().try_into().ok()).map(ResponseId::from_bytes);
    let (conversation, from) = match place {
        Some(place) => (place.conversation().to_i64(), place.own().to_vec()),
        None => (i64::MIN, Vec::new()),
    };
    let owner = owner.map(Owner::as_str);
    let rows = client.query(EXPORT, &[&conversation, &from, &horizon, &owner, &PAGE]).await?;
    let mut page = Page::default();
    for row in rows {
        let id = ResponseId::from_parts(Conversation::from_i64(row.try_get(0)?), own(row.try_get(1)?)?);
        page.next = Some(Place(Bytes::copy_from_slice(&id.to_bytes())));
        let owner = Owner::from_stored(row.try_get(3)?);
        if !row.try_get::<_, bool>(2)? {
            page.records.extend(get(client, &owner, id, horizon).await?);
        }
    }
    Ok(page)
}
