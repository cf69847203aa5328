use std::{sync::Arc, time::Duration};

use tower_layer::Layer;
use tower_responses_core::rewrite::Limits;

use crate::{ResponseStore, ResponseStoreService, keeper::Keeper};

/// Serves `previous_response_id` from a store, in front of an upstream that keeps nothing.
///
/// See the [crate documentation](crate).
#[derive(Debug, Clone)]
pub struct ResponseStoreLayer {
    config: Arc<Config>,
}

#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) limits: Limits,
    pub(crate) inherit_tools: bool,
}

/// What the cache holds unless another number is given: 64 MiB.
const CACHE_BYTES: usize = 64 << 20;

/// How long a cached conversation is continued without asking the store whether it still is there.
const TRUSTED: Duration = Duration::from_secs(60);

impl ResponseStoreLayer {
    /// Keeps responses in `store`, with a cache of 64 MiB before it unless it is in memory itself.
    pub fn new(store: Arc<dyn ResponseStore>) -> Self {
        Self::with_cache(store, CACHE_BYTES, TRUSTED)
    }

    /// As [`new`](Self::new), with a cache of this many bytes; 0 is none. What was stored or read
    /// longer ago than `trusted` is continued only after the store has said that it is still
    /// there: for so long, a response that another process has deleted can still be continued
    /// here.
    pub fn with_cache(store: Arc<dyn ResponseStore>, cache_bytes: usize, trusted: Duration) -> Self {
        Self::of(Some(Arc::new(Keeper::new(store, cache_bytes, trusted))))
    }

    /// Keeps nothing: responses get ids of ours and say `store: false`, and a
    /// `previous_response_id` is answered with 400.
    pub fn disabled() -> Self {
        Self::of(None)
    }

    fn of(keeper: Option<Arc<Keeper>>) -> Self {
        Self { config: Arc::new(Config { keeper, limits: Limits::default(), inherit_tools: true }) }
    }

    /// Sets the bounds of what is held in memory of one exchange.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.config).limits = limits;
        self
    }

    /// Whether a request that continues another and has no `tools` gets those of the other, and
    /// its `tool_choice` unless that forces a call. OpenAI does not do this; it is on here, since
    /// a model that has called a tool is lost without it.
    #[must_use]
    pub fn inherit_tools(mut self, inherit: bool) -> Self {
        Arc::make_mut(&mut self.config).inherit_tools = inherit;
        self
    }
}

impl<S> Layer<S> for ResponseStoreLayer {
    type Service = ResponseStoreService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ResponseStoreService { inner, config: self.config.clone() }
    }
}
