use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use tower_service::Service;

/// Tries again, a few times, to make a connection that could not be made: nothing has been sent
/// yet. Waits longer each time, and never exactly as long as everybody else.
#[derive(Debug, Clone)]
pub(super) struct RetryConnect<C> {
    connector: C,
    retries: u32,
}

/// Before the first retry; doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(40);

impl<C> RetryConnect<C> {
    pub(super) fn new(connector: C, retries: u32) -> Self {
        Self { connector, retries }
    }
}

impl<C> Service<Uri> for RetryConnect<C>
where
    C: Service<Uri> + Clone + Send + 'static,
    C::Response: Send,
    C::Error: Send,
    C::Future: Send,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let clone = self.connector.clone();
        let mut connector = std::mem::replace(&mut self.connector, clone);
        let retries = self.retries;
        Box::pin(async move {
            let mut wait = FIRST_WAIT;
            for _ in 0..retries {
                match connector.call(uri.clone()).await {
                    Ok(connection) => return Ok(connection),
                    Err(_) => {
                        metrics::counter!("tower_responses_upstream_connect_retries_total").increment(1);
                        tokio::time::sleep(jitter(wait)).await;
                        wait *= 2;
                        std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
                    }
                }
            }
            connector.call(uri).await
        })
    }
}

/// Between half and all of `wait`.
fn jitter(wait: Duration) -> Duration {
    let mut byte = [128];
    // Without randomness everybody waits the same.
    let _ = getrandom::fill(&mut byte);
    wait / 2 + (wait / 2) * u32::from(byte[0]) / 255
}
