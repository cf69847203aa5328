use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use tower_service::Service;

/// Tries again, a few times, to make a connection that could not be made: nothing has been sent
/// yet. Waits longer each time, and never exactly as long as everybody else.
#[derive(Debug)]
pub(super) struct RetryConnect<C> {
    /// Shared: the client clones its connector for every request, and uses it for few.
    connector: Arc<C>,
    retries: u32,
}

impl<C> Clone for RetryConnect<C> {
    fn clone(&self) -> Self {
        Self { connector: Arc::clone(&self.connector), retries: self.retries }
    }
}

/// Before the first retry; doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(40);

impl<C> RetryConnect<C> {
    pub(super) fn new(connector: C, retries: u32) -> Self {
        Self { connector: Arc::new(connector), retries }
    }
}

impl<C> Service<Uri> for RetryConnect<C>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Send,
    C::Error: Send,
    C::Future: Send,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        // Asked for once a connection is wanted, of the clone that makes it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut connector = C::clone(&self.connector);
        let retries = self.retries;
        Box::pin(async move {
            let mut wait = FIRST_WAIT;
            for _ in 0..retries {
                poll_fn(|cx| connector.poll_ready(cx)).await?;
                match connector.call(uri.clone()).await {
                    Ok(connection) => return Ok(connection),
                    Err(_) => {
                        metrics::counter!("tower_responses_upstream_connect_retries_total").increment(1);
                        tokio::time::sleep(jitter(wait)).await;
                        wait *= 2;
                    }
                }
            }
            poll_fn(|cx| connector.poll_ready(cx)).await?;
            connector.call(uri).await
        })
    }
}

/// Between half and all of `wait`.
fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
