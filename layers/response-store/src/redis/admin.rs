//! What operators ask: all of it looks at every conversation, one by one.

use std::collections::HashSet;

use redis::{FromRedisValue, Value};

use super::Inner;
use crate::{Conversation, Owner, Page, Place, Removed, ResponseId, Stats, StoreError};

impl Inner {
    /// The conversations there are, each once.
    async fn conversations(&self) -> Result<Vec<Conversation>, StoreError> {
        let start = format!("{}:c:{{", self.options.prefix);
        let pattern = format!("{start}*");
        let mut found = HashSet::new();
        for node in self.connection.primaries().await? {
            let mut cursor = "0".to_owned();
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
                let answer = self.connection.ask(&node, &scan).await?;
                let (next, keys) =
                    <(String, Vec<String>)>::from_redis_value(answer).map_err(redis::RedisError::from)?;
                let conversation = |key: &String| {
                    let digits = key.strip_prefix(&start)?.strip_suffix('}')?;
                    u64::from_str_radix(digits, 16).ok().map(|bits| Conversation::from_i64(bits.cast_signed()))
                };
                found.extend(keys.iter().filter_map(conversation));
                cursor = next;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    pub(super) async fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        for conversation in self.conversations().await? {
            let call = self.scripts.size.key(self.key(conversation));
            let (responses, bytes, shared): (u64, u64, u64) = self.connection.script(&call).await?;
            stats.conversations += u64::from(responses > 0);
            stats.responses += responses;
            stats.bytes += bytes;
            stats.shared_bytes += shared;
        }
        Ok(stats)
    }

    /// Removes what belongs to the owner (or to anybody) and was continued last at least so many
    /// milliseconds ago.
    pub(super) async fn remove(&self, owner: &str, older_than: i64) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        for conversation in self.conversations().await? {
            let mut call = self.scripts.remove.key(self.key(conversation));
            call.arg(owner).arg(older_than).arg(self.options.ttl_ms().unwrap_or_default());
            if let Ok(responses) = u64::try_from(self.connection.script::<i64>(&call).await?) {
                removed.conversations += 1;
                removed.responses += responses;
            }
        }
        Ok(removed)
    }

    /// A page is a conversation; the place holds those that are still to come.
    pub(super) async fn export(&self, owner: Option<&Owner>, after: Option<Place>) -> Result<Page, StoreError> {
        let mut rest = match after {
            Some(place) => place.0,
            None => {
                let all = self.conversations().await?;
                all.iter().flat_map(|conversation| conversation.to_i64().to_be_bytes()).collect::<Vec<_>>().into()
            }
        };
        if rest.len() < 8 {
            return Ok(Page::default());
        }
        let next = rest.split_to(8);
        let conversation = Conversation::from_i64(next.as_ref().try_into().map_or(0, i64::from_be_bytes));
        let mut page = Page { records: Vec::new(), next: (!rest.is_empty()).then_some(Place(rest)) };
        let key = self.key(conversation);
        let mut get = redis::cmd("HGET");
        get.arg(&key).arg("o");
        let Some(whose) = self.connection.command::<Option<String>>(&get).await? else { return Ok(page) };
        let whose = Owner::from_stored(&whose);
        if owner.is_some_and(|owner| *owner != whose) {
            return Ok(page);
        }
        let mut keys = redis::cmd("HKEYS");
        keys.arg(&key);
        for field in self.connection.command::<Vec<Value>>(&keys).await? {
            let Value::BulkString(field) = field else { continue };
            let own = field.strip_prefix(b"m").and_then(|own| own.try_into().ok());
            if let Some(own) = own {
                let id = ResponseId::from_parts(conversation, own);
                page.records.extend(self.get(&whose, id).await?);
            }
        }
        Ok(page)
    }
}
