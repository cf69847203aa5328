use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_util::future::Either;
use tower::{ServiceExt, util::Oneshot};
use tower_service::Service;

/// A tower service as hyper calls it for the requests of one connection.
///
/// hyper shares its services where tower's are borrowed. A clone for each request is the usual way
/// out; here the one that is there is called wherever it is ready, which ours always is, and only
/// else a clone waits.
pub(super) struct ConnectionService<S> {
    service: Mutex<S>,
}

impl<S> ConnectionService<S> {
    pub(super) fn new(service: S) -> Self {
        Self { service: Mutex::new(service) }
    }
}

impl<S, R> hyper::service::Service<R> for ConnectionService<S>
where
    S: Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Pin<Box<Oneshot<S, R>>>>;

    fn call(&self, request: R) -> Self::Future {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Either::Left(service.call(request)),
            // Its clone says what is wrong, or waits with a waker that wakes.
            Poll::Ready(Err(_)) | Poll::Pending => Either::Right(Box::pin(service.clone().oneshot(request))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::{Ready, ready},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use hyper::service::Service as _;

    use super::*;

    /// Is ready at every `every`th look, and answers how often it was cloned.
    struct Counting {
        every: usize,
        looks: usize,
        clones: Arc<AtomicUsize>,
    }

    impl Clone for Counting {
        fn clone(&self) -> Self {
            self.clones.fetch_add(1, Ordering::Relaxed);
            Self { clones: self.clones.clone(), ..*self }
        }
    }

    impl Service<()> for Counting {
        type Response = usize;
        type Error = Infallible;
        type Future = Ready<Result<usize, Infallible>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.looks += 1;
            if self.looks.is_multiple_of(self.every) {
                return Poll::Ready(Ok(()));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }

        fn call(&mut self, (): ()) -> Self::Future {
            ready(Ok(self.clones.load(Ordering::Relaxed)))
        }
    }

    #[tokio::test]
    async fn a_service_that_is_ready_is_not_cloned() {
        let service = ConnectionService::new(Counting { every: 1, looks: 0, clones: Arc::default() });
        for _ in 0..3 {
            assert_eq!(service.call(()).await, Ok(0));
        }
    }

    #[tokio::test]
    async fn one_that_is_not_is_waited_for() {
        let service = ConnectionService::new(Counting { every: 3, looks: 0, clones: Arc::default() });
        assert_eq!(service.call(()).await, Ok(1));
    }
}
