//! Responses in Redis or Valkey.

mod admin;
mod connection;
mod parse;
mod scripts;
mod tls;

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::future::try_join_all;
use redis::FromRedisValue;

use self::{connection::Connection, scripts::Scripts};
use crate::{
    Conversation, History, ItemKey, Owner, Page, Place, Record, Removed, ResponseId, ResponseStore, Stats, StoreError,
    StoreErrorKind, StoreFuture, StoreOptions, Stored,
};

/// Keeps responses in Redis or Valkey, one server or a Cluster: the store for many gateways that
/// have no database.
///
/// A conversation is one hash, which expires as a whole and is evicted as a whole, and which a
/// Cluster keeps in one slot. A write and a history are one round trip each. Texts that repeat
/// are kept once per conversation.
///
/// **What survives** is the server's to say. Without persistence a restart loses everything; with
/// snapshots, what came after the last one; with `appendonly yes` and `appendfsync everysec`,
/// about a second, and nothing with `appendfsync always`. A replica that takes over lacks what
/// had not reached it: with [`RedisOptions::wait_replicas`] a response counts as stored only once
/// so many replicas have it. What is lost is lost by whole responses: its id gets the normal
/// `previous_response_not_found`, and no history is ever shorter than it was.
///
/// An item is found by its id for the time to live of the response it came with, and not longer
/// when its conversation goes on.
#[derive(Debug, Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    /// Another one if replicas are waited for: what comes behind a `WAIT` waits as well.
    writes: Connection,
    scripts: Scripts,
    options: RedisOptions,
}

/// How a Redis store is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RedisOptions {
    /// What holds for all stores.
    pub store: StoreOptions,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// How long one operation may take.
    pub timeout: Duration,
    /// How many replicas have to have a response before it counts as stored. Where there are
    /// fewer nothing is stored, which is known at once; one that hangs is waited for a tenth of
    /// [`timeout`](Self::timeout).
    pub wait_replicas: u32,
    /// A PEM file with who may sign the servers' certificates, in place of Mozilla's roots.
    pub roots: Option<PathBuf>,
}

impl Default for RedisOptions {
    /// `tower-responses`, five seconds, no waiting for replicas, Mozilla's roots.
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            prefix: "tower-responses".to_owned(),
            timeout: Duration::from_secs(5),
            wait_replicas: 0,
            roots: None,
        }
    }
}

/// What expires later than in a million years does not expire: servers count no further.
const LONGEST_TTL: i64 = 1_000_000 * 366 * 24 * 60 * 60 * 1000;

impl RedisOptions {
    /// Takes what stands behind the `?` of a URL: `prefix=NAME`, `wait=REPLICAS` and
    /// `sslrootcert=PATH`.
    pub(crate) fn query(mut self, query: &str) -> Result<Self, StoreError> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("prefix", prefix)) => prefix.clone_into(&mut self.prefix),
                Some(("wait", count)) if count.parse::<u32>().is_ok() => {
                    self.wait_replicas = count.parse().unwrap_or_default();
                }
                Some(("sslrootcert", path)) => self.roots = Some(path.into()),
                _ => {
                    return Err(StoreError::new(
                        StoreErrorKind::Configuration,
                        format!(
                            "'{}=…' is no option of a Redis store: use prefix=NAME, wait=REPLICAS or sslrootcert=PATH",
                            pair.split('=').next().unwrap_or_default()
                        ),
                    ));
                }
            }
        }
        Ok(self)
    }

    /// `None` is for ever.
    fn ttl_ms(&self) -> Option<i64> {
        i64::try_from(self.store.ttl.as_millis()).ok().filter(|ttl| *ttl <= LONGEST_TTL)
    }
}

impl RedisStore {
    /// Connects to `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, or to a Cluster by
    /// `redis-cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT]…`. To be called within a tokio
    /// runtime.
    ///
    /// With the feature `tls`, `rediss://` and `rediss-cluster://` speak TLS, and check the
    /// server's certificate against Mozilla's roots or [`RedisOptions::roots`].
    ///
    /// # Errors
    /// If the URL is none or no server answers.
    pub async fn open(url: &str, options: RedisOptions) -> Result<Self, StoreError> {
        let connection = within(options.timeout, Connection::open(url, &options)).await?;
        let writes = match options.wait_replicas {
            0 => connection.clone(),
            _ => within(options.timeout, Connection::open(url, &options)).await?,
        };
        Ok(Self { inner: Arc::new(Inner { connection, writes, scripts: Scripts::default(), options }) })
    }

    fn run<T, F, W>(&self, work: W) -> StoreFuture<T>
    where
        W: FnOnce(Arc<Inner>) -> F + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
        T: Send + 'static,
    {
        let inner = self.inner.clone();
        Box::pin(async move { within(inner.options.timeout, work(inner.clone())).await })
    }
}

fn too_few_replicas(wanted: u32) -> StoreError {
    StoreError::unavailable(format!("fewer than {wanted} replicas have the response"))
}

async fn within<T>(timeout: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::unavailable(format!("Redis has not answered within {timeout:?}"))),
    }
}

impl Inner {
    /// The braces keep all that belongs to a conversation in one slot.
    fn key(&self, conversation: Conversation) -> String {
        format!("{}:c:{{{conversation}}}", self.options.prefix)
    }

    fn item_key(&self, item: ItemKey) -> String {
        format!("{}:i:{:032x}", self.options.prefix, u128::from_be_bytes(item.0))
    }

    async fn put(&self, record: &Record) -> Result<(), StoreError> {
        let previous = record.previous.map(|previous| previous.own().to_vec()).unwrap_or_default();
        let mut meta = vec![b'0', u8::try_from(previous.len()).unwrap_or_default()];
        meta.extend_from_slice(&previous);
        record.shared.iter().for_each(|shared| meta.extend_from_slice(&shared.digest()));
        let (key, wanted) = (self.key(record.id.conversation()), self.options.wait_replicas);
        // What goes on has its texts most of the time; they are sent only if that is not so.
        let mut with_texts = record.previous.is_none();
        loop {
            let mut call = self.scripts.put.key(&key);
            call.arg(record.owner.as_str()).arg(&record.id.own()[..]).arg(&previous[..]).arg(&meta[..]);
            call.arg(&record.body[..]).arg(self.options.ttl_ms().unwrap_or_default()).arg(wanted);
            for shared in record.shared.iter().filter(|_| with_texts) {
                call.arg(&shared.digest()[..]).arg(&shared.text()[..]);
            }
            match self.writes.script::<i64>(&call).await? {
                1 => break,
                -1 if !with_texts => with_texts = true,
                -3 => return Err(too_few_replicas(wanted)),
                _ => return Err(StoreError::previous_gone()),
            }
        }
        self.index(record).await?;
        self.wait(&key).await
    }

    async fn index(&self, record: &Record) -> Result<(), StoreError> {
        let commands = record.items.iter().map(|item| {
            let mut set = redis::cmd("SET");
            set.arg(self.item_key(*item)).arg(&record.id.to_bytes()[..]);
            if let Some(ttl) = self.options.ttl_ms() {
                set.arg("PX").arg(ttl);
            }
            set
        });
        self.connection.all(commands.collect()).await
    }

    /// Waits until enough replicas have what was written on this connection to the server of `key`.
    async fn wait(&self, key: &str) -> Result<(), StoreError> {
        let wanted = self.options.wait_replicas;
        if wanted == 0 {
            return Ok(());
        }
        let patience = u64::try_from(self.options.timeout.as_millis() / 10).unwrap_or(500);
        let mut wait = redis::cmd("WAIT");
        wait.arg(wanted).arg(patience.max(1));
        let reached = self.writes.command_at(key, &wait).await?;
        if i64::from_redis_value(reached).unwrap_or(0) < i64::from(wanted) {
            return Err(too_few_replicas(wanted));
        }
        Ok(())
    }

    async fn history(&self, owner: &Owner, id: ResponseId) -> Result<Option<History>, StoreError> {
        let mut call = self.scripts.history.key(self.key(id.conversation()));
        call.arg(owner.as_str()).arg(&id.own()[..]);
        parse::history(id, self.connection.script(&call).await?)
    }

    async fn get(&self, owner: &Owner, id: ResponseId) -> Result<Option<Stored>, StoreError> {
        let mut call = self.scripts.get.key(self.key(id.conversation()));
        call.arg(owner.as_str()).arg(&id.own()[..]);
        parse::stored(owner, id, self.connection.script(&call).await?)
    }

    async fn exists(&self, owner: &Owner, id: ResponseId) -> Result<bool, StoreError> {
        let mut call = self.scripts.exists.key(self.key(id.conversation()));
        call.arg(owner.as_str()).arg(&id.own()[..]);
        Ok(self.connection.script::<i64>(&call).await? == 1)
    }

    async fn delete(&self, owner: &Owner, id: ResponseId) -> Result<bool, StoreError> {
        let mut call = self.scripts.delete.key(self.key(id.conversation()));
        call.arg(owner.as_str()).arg(&id.own()[..]);
        Ok(self.connection.script::<i64>(&call).await? == 1)
    }

    /// All are asked for at once, and then whether what was found is still there.
    async fn find_items(&self, owner: &Owner, items: &[ItemKey]) -> Result<Vec<Option<ResponseId>>, StoreError> {
        let ids = try_join_all(items.iter().map(async |item| {
            let mut get = redis::cmd("GET");
            get.arg(self.item_key(*item));
            self.connection.command::<Option<Vec<u8>>>(&get).await
        }));
        let id = |id: Option<Vec<u8>>| id.and_then(|id| id.try_into().ok()).map(ResponseId::from_bytes);
        let mut found: Vec<_> = ids.await?.into_iter().map(id).collect();
        let different: HashSet<_> = found.iter().flatten().copied().collect();
        let is_there = try_join_all(different.into_iter().map(async |id| {
            let is_there = self.exists(owner, id).await?;
            Ok::<_, StoreError>((id, is_there))
        }));
        let is_there: HashMap<_, _> = is_there.await?.into_iter().collect();
        found.iter_mut().for_each(|found| *found = found.filter(|id| is_there.get(id) == Some(&true)));
        Ok(found)
    }
}

impl ResponseStore for RedisStore {
    fn put(&self, record: Arc<Record>) -> StoreFuture<()> {
        self.run(async move |inner: Arc<Inner>| inner.put(&record).await)
    }

    fn history(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<History>> {
        let owner = owner.clone();
        self.run(async move |inner: Arc<Inner>| inner.history(&owner, id).await)
    }

    fn get(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<Stored>> {
        let owner = owner.clone();
        self.run(async move |inner: Arc<Inner>| inner.get(&owner, id).await)
    }

    fn exists(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        let owner = owner.clone();
        self.run(async move |inner: Arc<Inner>| inner.exists(&owner, id).await)
    }

    fn delete(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        let owner = owner.clone();
        self.run(async move |inner: Arc<Inner>| inner.delete(&owner, id).await)
    }

    fn find_items(&self, owner: &Owner, items: Vec<ItemKey>) -> StoreFuture<Vec<Option<ResponseId>>> {
        let owner = owner.clone();
        self.run(async move |inner: Arc<Inner>| inner.find_items(&owner, &items).await)
    }

    fn stats(&self) -> StoreFuture<Stats> {
        let inner = self.inner.clone();
        Box::pin(async move { inner.stats().await })
    }

    fn prune(&self, older_than: Duration) -> StoreFuture<Removed> {
        let inner = self.inner.clone();
        let older_than = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        Box::pin(async move { inner.remove("", older_than).await })
    }

    fn delete_owner(&self, owner: &Owner) -> StoreFuture<Removed> {
        let (inner, owner) = (self.inner.clone(), owner.clone());
        Box::pin(async move { inner.remove(owner.as_str(), 0).await })
    }

    fn export(&self, owner: Option<&Owner>, after: Option<Place>) -> StoreFuture<Page> {
        let (inner, owner) = (self.inner.clone(), owner.cloned());
        Box::pin(async move { inner.export(owner.as_ref(), after).await })
    }
}
