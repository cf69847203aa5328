use std::convert::Infallible;

use tower::{ServiceExt, service_fn};
use tower_responses_testing::ScriptedBody;

use super::*;

async fn endless(_: Request<RequestBody>) -> Result<Response<ScriptedBody>, Infallible> {
    Ok(Response::new(ScriptedBody::new().data("x").hang()))
}

/// Whether a future is pending after it was polled once.
async fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

fn request() -> Request<RequestBody> {
    Request::new(RequestBody::empty())
}

#[tokio::test]
async fn places_are_held_by_bodies_and_the_queue_is_bounded() {
    let service = InFlightLayer::new(1, 1).layer(service_fn(endless));
    let first = service.clone().oneshot(request()).await.expect("infallible");
    assert_eq!(first.status(), 200);

    let mut second = Box::pin(service.clone().oneshot(request()));
    assert!(waits(&mut second).await, "the second waits");

    let third = service.clone().oneshot(request()).await.expect("infallible");
    assert_eq!(third.status(), 429);
    assert!(third.headers().contains_key("retry-after"));

    drop(first);
    assert_eq!(second.await.expect("infallible").status(), 200, "its turn comes when the first body is gone");
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_the_queue() {
    let service = InFlightLayer::new(1, 1).layer(service_fn(endless));
    let first = service.clone().oneshot(request()).await.expect("infallible");
    let mut second = Box::pin(service.clone().oneshot(request()));
    assert!(waits(&mut second).await);
    drop(second);
    let mut third = Box::pin(service.clone().oneshot(request()));
    assert!(waits(&mut third).await, "there is a place in the queue again");
    drop(first);
    assert_eq!(third.await.expect("infallible").status(), 200);
}
