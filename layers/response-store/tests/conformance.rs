//! The stores that need no server.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use tower_responses_response_store::{ResponseStore, StoreOptions, open_with};

mod memory {
    use super::*;

    async fn store(ttl: Duration) -> Arc<dyn ResponseStore> {
        open_with("memory", &StoreOptions::default().ttl(ttl)).await.unwrap()
    }

    tower_responses_response_store::store_conformance!(store);
}

mod sqlite {
    use super::*;

    async fn store(ttl: Duration) -> Arc<dyn ResponseStore> {
        // The thread has the name of the test.
        let name = std::thread::current().name().unwrap().replace("::", "-");
        let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(std::fs::remove_dir_all(&directory));
        std::fs::create_dir_all(&directory).unwrap();
        let url = format!("sqlite:{}", directory.join("store.db").display());
        open_with(&url, &StoreOptions::default().ttl(ttl)).await.unwrap()
    }

    tower_responses_response_store::store_conformance!(store);
}
