//! Writing one response.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use futures_util::future::join4;

use super::client::Client;
use crate::{
    Digest, Record, Shared, StoreError,
    time::{DAY, now},
};

/// The shared texts that the server is known to have, with the day on which it was told that they
/// are in use: so it is not sent them again.
#[derive(Debug, Default)]
pub(super) struct KnownTexts(Mutex<HashMap<Digest, i64>>);

/// More than these are forgotten.
const MAX_KNOWN: usize = 4096;

impl KnownTexts {
    fn unknown<'a>(&self, shared: &'a [Shared], day: i64) -> Vec<&'a Shared> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.iter().filter(|shared| known.get(&shared.digest()) != Some(&day)).collect()
    }

    fn learn(&self, shared: &[&Shared], day: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + shared.len() > MAX_KNOWN {
            known.clear();
        }
        known.extend(shared.iter().map(|shared| (shared.digest(), day)));
    }
}

const TEXT: &str = "INSERT INTO response_text (digest, used, text) VALUES ($1, $2, $3)
     ON CONFLICT (digest) DO UPDATE SET used = excluded.used WHERE response_text.used < excluded.used";

const ROOT: &str = "INSERT INTO response_conversation (id, owner, last) VALUES ($1, $2, $3)";

const TOUCH: &str = "UPDATE response_conversation SET last = $3 WHERE id = $1 AND owner = $2";

/// Writes nothing if the conversation is another's or the previous turn has gone.
const TURN: &str = "WITH turn AS (
         INSERT INTO response_turn (conversation, own, previous, deleted, shared, body)
         SELECT $1, $2, $3, FALSE, $4, $5
         WHERE EXISTS (SELECT 1 FROM response_conversation WHERE id = $1 AND owner = $6)
           AND ($3::BYTEA IS NULL OR EXISTS (SELECT 1 FROM response_turn WHERE conversation = $1 AND own = $3))
         RETURNING conversation, own
     ), items AS (
         INSERT INTO response_item (item, at, conversation, own)
         SELECT item, $8, turn.conversation, turn.own FROM turn, unnest($7::BYTEA[]) AS item
     )
     SELECT count(*) FROM turn";

/// All statements go out at once and are answered at once.
pub(super) async fn put(client: &Client, known: &KnownTexts, record: &Record) -> Result<(), StoreError> {
    let (moment, day) = (now(), now() / DAY);
    let unknown = known.unknown(&record.shared, day);
    if !unknown.is_empty() {
        let text = client.prepare_cached(TEXT).await?;
        // In one order for everybody, or two who write the same could wait for each other.
        let mut sorted = unknown.clone();
        sorted.sort_by_key(|shared| shared.digest());
        for shared in sorted {
            client.execute(&text, &[&&shared.digest()[..], &day, &&shared.text()[..]]).await?;
        }
        known.learn(&unknown, day);
    }

    let conversation = record.id.conversation().to_i64();
    let head = client.prepare_cached(if record.previous.is_some() { TOUCH } else { ROOT }).await?;
    let turn = client.prepare_cached(TURN).await?;
    let own = record.id.own();
    let previous = record.previous.map(|previous| previous.own().to_vec());
    let digests: Vec<_> = record.shared.iter().map(|shared| shared.digest().to_vec()).collect();
    let items: Vec<_> = record.items.iter().map(|item| &item.0[..]).collect();
    let owner = record.owner.as_str();
    let head_params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&conversation, &owner, &moment];
    let body = &record.body[..];
    let own = &own[..];
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
        [&conversation, &own, &previous, &digests, &body, &owner, &items, &moment];
    let (begun, touched, written, committed) = join4(
        client.batch_execute("BEGIN"),
        client.execute(&head, &head_params),
        client.query_one(&turn, &params),
        client.batch_execute("COMMIT"),
    )
    .await;
    begun?;
    touched?;
    let written: i64 = written?.get(0);
    committed?;
    if written == 1 { Ok(()) } else { Err(StoreError::previous_gone()) }
}
