//! All connections that are open, to count them and to end them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::watch;

#[cfg(test)]
mod tests;

/// The open connections of a [`WebSocketLayer`](crate::WebSocketLayer).
///
/// A server forgets a connection once it is upgraded: it can neither wait for it nor end it. This
/// can.
///
/// ```no_run
/// # async fn run(layer: tower_responses_websocket::WebSocketLayer) {
/// let connections = layer.connections();
/// // … serve, until the process is told to end …
/// tokio::time::timeout(std::time::Duration::from_secs(30), connections.shutdown()).await.ok();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open: AtomicUsize,
    ending: watch::Sender<bool>,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { open: AtomicUsize::new(0), ending: watch::Sender::new(false) }))
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Ends all of them: no new one is taken, responses that are being made are sent to their
    /// end, then each is closed with 1001 (going away). Returns at once; see
    /// [`closed`](Self::closed).
    pub fn close(&self) {
        self.0.ending.send_replace(true);
    }

    /// Waits until none is open.
    pub async fn closed(&self) {
        self.0.ending.closed().await;
    }

    /// Ends all of them and waits for it: for as long as the longest response takes, so that
    /// callers have their own limit around it.
    pub async fn shutdown(&self) {
        self.close();
        self.closed().await;
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.0.ending.borrow()
    }

    /// Takes a place among at most `limit`.
    pub(crate) fn enter(&self, limit: usize) -> Option<Place> {
        let more = |open| (open < limit).then_some(open + 1);
        self.0.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        metrics::gauge!("tower_responses_websocket_connections").increment(1.0);
        metrics::counter!("tower_responses_websocket_connections_total").increment(1);
        Some(Place { ending: self.0.ending.subscribe(), all: self.0.clone() })
    }
}

/// The place of one connection, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    ending: watch::Receiver<bool>,
    all: Arc<Inner>,
}

impl Place {
    /// Waits until all connections are to end.
    pub(crate) async fn ending(&mut self) {
        // The sender is held beside the receiver.
        let _ = self.ending.wait_for(|ending| *ending).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.open.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("tower_responses_websocket_connections").decrement(1.0);
    }
}
