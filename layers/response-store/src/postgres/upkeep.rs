//! The task that removes what has expired.

use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tokio::task::JoinHandle;

use super::{client, remove};
use crate::{StoreError, time::horizon};

/// Ends the task when dropped.
#[derive(Debug)]
pub(super) struct Upkeep {
    task: JoinHandle<()>,
}

/// How often texts are looked for that nothing uses.
const TEXTS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Upkeep {
    pub(super) fn start(pool: Pool, ttl: Duration, every: Duration) -> Self {
        Self { task: tokio::spawn(serve(pool, ttl, every)) }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(pool: Pool, ttl: Duration, every: Duration) {
    let mut texts = Instant::now();
    loop {
        tokio::time::sleep(every).await;
        match remove::older(&pool, horizon(ttl)).await {
            Ok(removed) => {
                metrics::counter!("tower_responses_store_expired_conversations_total").increment(removed.conversations)
            }
            Err(error) => tracing::warn!(%error, "expired conversations could not be removed"),
        }
        if texts.elapsed() >= TEXTS_EVERY {
            texts = Instant::now();
            if let Err(error) = remove_texts(&pool).await {
                tracing::warn!(%error, "unused texts could not be removed");
            }
        }
    }
}

async fn remove_texts(pool: &Pool) -> Result<(), StoreError> {
    remove::unused_texts(&client::get(pool).await?).await
}
