//! Responses in PostgreSQL.

mod client;
mod read;
mod remove;
mod schema;
mod tls;
mod upkeep;
mod write;

use std::{future::Future, sync::Arc, time::Duration};

use deadpool_postgres::Pool;

use self::{client::Client, upkeep::Upkeep, write::KnownTexts};
use crate::{
    Access, History, ItemKey, Owner, Page, Place, Record, Removed, ResponseId, ResponseStore, Stats, StoreError,
    StoreFuture, StoreOptions, Stored, time::horizon,
};

/// Keeps responses in PostgreSQL: the store for many gateways.
///
/// The statements are those that distributed databases which speak PostgreSQL's protocol know as
/// well. A write is one transaction in one round trip, a history one round trip. What survives
/// what is the server's to say: with its default `synchronous_commit = on`, all that was stored
/// is on its disk.
///
/// Connections are pooled and made anew when they break. While the server is away each request
/// fails at once or after [`PostgresOptions::timeout`]; when it is back nothing needs a restart.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    shared: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: Pool,
    known: KnownTexts,
    ttl: Duration,
    timeout: Duration,
    /// `None` if the tables are only read.
    _upkeep: Option<Upkeep>,
}

/// How a PostgreSQL store is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// What holds for all stores.
    pub store: StoreOptions,
    /// How many connections there are at most.
    pub connections: usize,
    /// How long one operation may take, with the wait for a connection.
    pub timeout: Duration,
    /// How often what has expired is looked for.
    pub upkeep: Duration,
}

impl Default for PostgresOptions {
    /// 16 connections, five seconds, every ten minutes.
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            connections: 16,
            timeout: Duration::from_secs(5),
            upkeep: Duration::from_secs(600),
        }
    }
}

impl PostgresStore {
    /// Connects to the server that `url` (`postgres://USER:PASSWORD@HOST:PORT/DATABASE`) names,
    /// and makes or migrates the tables there, if [`Access`](crate::Access) does not say otherwise.
    /// To be called within a tokio runtime.
    ///
    /// With the feature `tls`, `?sslmode=require` asks for TLS (otherwise it is used if the
    /// server has it); the server's certificate is always checked, against Mozilla's roots or
    /// those of the file that `&sslrootcert=PATH` names.
    ///
    /// # Errors
    /// If the URL is none, the server cannot be reached, or its tables are of a newer version.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let pool = client::pool(url, &options)?;
        let StoreOptions { ttl, access, .. } = options.store;
        within(options.timeout, async { schema::open(&*client::get(&pool).await?, access).await }).await?;
        let upkeep = (access != Access::ReadOnly).then(|| Upkeep::start(pool.clone(), ttl, options.upkeep));
        let inner = Inner { pool, known: KnownTexts::default(), ttl, timeout: options.timeout, _upkeep: upkeep };
        Ok(Self { shared: Arc::new(inner) })
    }

    fn run<T, F, W>(&self, work: W) -> StoreFuture<T>
    where
        W: FnOnce(Client, Arc<Inner>) -> F + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
        T: Send + 'static,
    {
        let inner = self.shared.clone();
        Box::pin(async move {
            let timeout = inner.timeout;
            within(timeout, async { work(client::get(&inner.pool).await?, inner.clone()).await }).await
        })
    }
}

async fn within<T>(timeout: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::unavailable(format!("PostgreSQL has not answered within {timeout:?}"))),
    }
}

impl ResponseStore for PostgresStore {
    fn put(&self, record: Arc<Record>) -> StoreFuture<()> {
        self.run(async move |client, inner: Arc<Inner>| write::put(&client, &inner.known, &record).await)
    }

    fn history(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<History>> {
        let owner = owner.clone();
        self.run(async move |client, inner: Arc<Inner>| read::history(&client, &owner, id, horizon(inner.ttl)).await)
    }

    fn get(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<Stored>> {
        let owner = owner.clone();
        self.run(async move |client, inner: Arc<Inner>| read::get(&client, &owner, id, horizon(inner.ttl)).await)
    }

    fn exists(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        let owner = owner.clone();
        self.run(async move |client, inner: Arc<Inner>| read::exists(&client, &owner, id, horizon(inner.ttl)).await)
    }

    fn delete(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        let owner = owner.clone();
        self.run(async move |mut client, inner: Arc<Inner>| {
            remove::delete(&mut client, &owner, id, horizon(inner.ttl)).await
        })
    }

    fn find_items(&self, owner: &Owner, items: Vec<ItemKey>) -> StoreFuture<Vec<Option<ResponseId>>> {
        let owner = owner.clone();
        self.run(async move |client, inner: Arc<Inner>| {
            read::find_items(&client, &owner, &items, horizon(inner.ttl)).await
        })
    }

    fn stats(&self) -> StoreFuture<Stats> {
        self.run(async move |client, _| read::stats(&client).await)
    }

    fn prune(&self, older_than: Duration) -> StoreFuture<Removed> {
        let pool = self.shared.pool.clone();
        Box::pin(async move {
            let removed = remove::older(&pool, horizon(older_than)).await?;
            remove::unused_texts(&client::get(&pool).await?).await?;
            Ok(removed)
        })
    }

    fn delete_owner(&self, owner: &Owner) -> StoreFuture<Removed> {
        let (pool, owner) = (self.shared.pool.clone(), owner.clone());
        Box::pin(async move { remove::owned(&pool, &owner).await })
    }

    fn export(&self, owner: Option<&Owner>, after: Option<Place>) -> StoreFuture<Page> {
        let owner = owner.cloned();
        self.run(async move |client, inner: Arc<Inner>| {
            read::export(&client, owner.as_ref(), after.as_ref(), horizon(inner.ttl)).await
        })
    }
}
