//! The Redis store, on a real server and on a real Cluster.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tower_responses_response_store::{ResponseStore, StoreOptions, open_with};
use tower_responses_testing::servers;

/// Keys of its own for each test.
async fn open(url: &str, ttl: Duration) -> Arc<dyn ResponseStore> {
    let prefix = std::thread::current().name().unwrap().replace("::", "_");
    open_with(&format!("{url}?prefix={prefix}"), &StoreOptions::default().ttl(ttl)).await.unwrap()
}

mod single {
    use super::*;

    fn server() -> Option<&'static servers::Redis> {
        static SERVER: OnceLock<Option<servers::Redis>> = OnceLock::new();
        SERVER.get_or_init(servers::Redis::start).as_ref()
    }

    async fn store(ttl: Duration) -> Option<Arc<dyn ResponseStore>> {
        Some(open(&server()?.url(), ttl).await)
    }

    tower_responses_response_store::store_conformance!(store);
}

mod cluster {
    use super::*;

    fn server() -> Option<&'static servers::Cluster> {
        static SERVER: OnceLock<Option<servers::Cluster>> = OnceLock::new();
        SERVER.get_or_init(servers::Cluster::start).as_ref()
    }

    async fn store(ttl: Duration) -> Option<Arc<dyn ResponseStore>> {
        Some(open(&server()?.url(), ttl).await)
    }

    tower_responses_response_store::store_conformance!(store);
}
