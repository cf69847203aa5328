//! Choosing a store by its URL.

use std::{sync::Arc, time::Duration};

use crate::{ResponseStore, StoreError, StoreErrorKind};

/// How long a conversation is kept after its last turn unless told otherwise: 30 days.
pub const DEFAULT_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a store is opened for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Reading and writing. What is not there yet is made: the default.
    #[default]
    Create,
    /// Reading and writing what is there.
    Existing,
    /// Reading what is there. What is not known by the version of this program is not read, and
    /// what is older is not brought to this version.
    ReadOnly,
}

/// What holds for a store of any kind.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// How long a conversation is kept after its last turn. [`Duration::MAX`] is for ever.
    pub ttl: Duration,
    /// How many bytes a store in memory may take. Others do not look at it.
    pub max_memory: usize,
    /// What it is opened for. Stores that have nothing to be made do not look at it.
    pub access: Access,
}

impl Default for StoreOptions {
    /// 30 days, 1 GiB.
    fn default() -> Self {
        Self { ttl: DEFAULT_TTL, max_memory: 1 << 30, access: Access::default() }
    }
}

impl StoreOptions {
    /// Keeps conversations so long after their last turn; with [`Duration::MAX`] for ever.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Opens it for this only.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Bounds a store in memory.
    #[must_use]
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = bytes;
        self
    }
}

/// What a program may have been built with.
const KINDS: [&str; 8] =
    ["memory", "sqlite", "postgres", "postgresql", "redis", "rediss", "redis-cluster", "rediss-cluster"];

/// Opens the store that `url` names, with default [options](StoreOptions).
///
/// | URL | feature | store |
/// |---|---|---|
/// | `memory` | `memory` | `MemoryStore` |
/// | `sqlite:PATH` | `sqlite` | `SqliteStore`; `?synchronous=full` at the end waits for the disk |
/// | `postgres://…` | `postgres` | `PostgresStore`; `?sslmode=require&sslrootcert=PATH` with `tls` |
/// | `redis://…`, `redis-cluster://HOST:PORT,…` | `redis` | `RedisStore`; `?prefix=NAME&wait=REPLICAS`; `rediss` for TLS, `?sslrootcert=PATH` |
///
/// # Errors
/// If the URL is of no known kind or of one that was not built in, and if the store cannot be
/// opened.
pub async fn open(url: &str) -> Result<Arc<dyn ResponseStore>, StoreError> {
    open_with(url, &StoreOptions::default()).await
}

/// As [`open`], with these options.
///
/// # Errors
/// As [`open`].
pub async fn open_with(url: &str, options: &StoreOptions) -> Result<Arc<dyn ResponseStore>, StoreError> {
    let _ = options;
    let scheme = url.split([':', '?']).next().unwrap_or_default();
    match scheme {
        #[cfg(feature = "memory")]
        "memory" => Ok(Arc::new(crate::MemoryStore::new(options.max_memory, options.ttl))),
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(open_sqlite(url, options).await?)),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let postgres = crate::PostgresOptions { store: options.clone(), ..crate::PostgresOptions::default() };
            Ok(Arc::new(crate::PostgresStore::open(url, postgres).await?))
        }
        #[cfg(feature = "redis")]
        "redis" | "rediss" | "redis-cluster" | "rediss-cluster" => {
            let (url, query) = url.split_once('?').unwrap_or((url, ""));
            let redis = crate::RedisOptions { store: options.clone(), ..crate::RedisOptions::default() };
            Ok(Arc::new(crate::RedisStore::open(url, redis.query(query)?).await?))
        }
        _ if KINDS.contains(&scheme) => {
            Err(refuse(format!("stores of the kind '{scheme}' are not built into this program")))
        }
        _ => Err(refuse(format!("'{scheme}' is no kind of store: use memory, sqlite:PATH, postgres://… or redis://…"))),
    }
}

#[cfg(feature = "sqlite")]
async fn open_sqlite(url: &str, options: &StoreOptions) -> Result<crate::SqliteStore, StoreError> {
    let path = url.strip_prefix("sqlite:").unwrap_or_default();
    let path = path.strip_prefix("//").unwrap_or(path);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut sqlite = crate::SqliteOptions { store: options.clone(), ..crate::SqliteOptions::default() };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        sqlite.synchronous = match pair {
            "synchronous=normal" => crate::Synchronous::Normal,
            "synchronous=full" => crate::Synchronous::Full,
            _ => {
                // What somebody calls a key may be one.
                let name = pair.split('=').next().unwrap_or_default();
                return Err(refuse(format!("'{name}=…' is no option of an SQLite store: use synchronous=normal|full")));
            }
        };
    }
    crate::SqliteStore::open(path, sqlite).await
}

fn refuse(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Configuration, message)
}
