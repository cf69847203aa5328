use std::{
    convert::Infallible,
    future::{Ready, ready},
    time::Duration,
};

use http_body_util::BodyExt;
use tokio::time::Instant;
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

/// An answer that has to be at its end soon, and is not.
fn bounded(
    time: Duration,
) -> impl Fn(Request<RequestBody>) -> Ready<Result<Response<ScriptedBody>, Infallible>> + Clone {
    move |_| {
        let mut response = Response::new(ScriptedBody::new().data("x").hang());
        response.extensions_mut().insert(Deadline(Instant::now() + time));
        ready(Ok(response))
    }
}

#[tokio::test]
async fn a_place_comes_back_in_time_whoever_holds_the_body() {
    let service = InFlightLayer::new(2, 0).layer(service_fn(bounded(Duration::from_secs(2))));
    let mut first = service.clone().oneshot(request()).await.expect("infallible").into_body();
    assert!(first.frame().await.expect("a frame").is_ok());
    let sooner = InFlight { inner: service_fn(bounded(Duration::from_millis(100))), places: service.places.clone() };
    let second = sooner.oneshot(request()).await.expect("infallible");
    let full = || async { service.clone().oneshot(request()).await.expect("infallible").status() == 429 };
    assert!(full().await);
    tokio::time::sleep(Duration::from_millis(2000)).await;
    assert_eq!(service.places.free.available_permits(), 1, "the second is over");
    drop(second);
    tokio::time::sleep(Duration::from_millis(2000)).await;
    assert_eq!(service.places.free.available_permits(), 2, "the first is over");
    assert!(first.frame().await.expect("an error").is_err());
    assert!(!full().await);
}
