//! Connections, and what their errors mean.

use deadpool_postgres::{
    Config, CreatePoolError, ManagerConfig, Pool, PoolConfig, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use tokio_postgres::{Error, error::SqlState};

use super::{PostgresOptions, tls};
use crate::{StoreError, StoreErrorKind};

pub(super) type Client = deadpool_postgres::Object;

pub(super) fn pool(url: &str, options: &PostgresOptions) -> Result<Pool, StoreError> {
    let refuse = |error: CreatePoolError| {
        StoreError::new(StoreErrorKind::Configuration, "the PostgreSQL store cannot be configured").with_source(error)
    };
    let mut pool = PoolConfig::new(options.connections.max(1));
    pool.timeouts =
        Timeouts { wait: Some(options.timeout), create: Some(options.timeout), recycle: Some(options.timeout) };
    let (url, roots) = tls::take_roots(url);
    let config = Config {
        url: Some(url),
        application_name: Some("tower-responses".to_owned()),
        manager: Some(ManagerConfig { recycling_method: RecyclingMethod::Fast }),
        pool: Some(pool),
        ..Config::default()
    };
    config.create_pool(Some(Runtime::Tokio1), tls::connector(roots.as_deref())?).map_err(refuse)
}

pub(super) async fn get(pool: &Pool) -> Result<Client, StoreError> {
    Ok(pool.get().await?)
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        Self::unavailable("no connection to PostgreSQL").with_source(error)
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let corrupt = [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED];
        if error.code().is_some_and(|code| corrupt.contains(code)) {
            return Self::corrupt("PostgreSQL").with_source(error);
        }
        Self::unavailable("PostgreSQL").with_source(error)
    }
}
