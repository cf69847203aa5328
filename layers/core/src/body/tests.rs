use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower_responses_testing::ScriptedBody;

use super::*;
use crate::ApiError;

fn head(budget: Option<&BodyBudget>) -> http::request::Parts {
    let mut request = Request::new(());
    if let Some(budget) = budget {
        request.extensions_mut().insert(budget.clone());
    }
    request.into_parts().0
}

async fn read(body: ScriptedBody, budget: &BodyBudget) -> Result<Box<crate::json::Object>, ApiError> {
    RequestBody::new(body).read(&mut head(Some(budget)), 1 << 20).await.map_err(ApiError::from)
}

fn object_of(bytes: usize) -> String {
    format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8))
}

#[tokio::test]
async fn a_budget_is_taken_until_nobody_holds_a_part_of_the_body() {
    let budget = BodyBudget::new(250_000);
    for size in [100_000, 1_000] {
        let object = read(ScriptedBody::new().chunks_of(object_of(size), size), &budget).await.expect("one frame");
        let again = read(ScriptedBody::new().chunks_of(object_of(size), 999), &budget).await.expect("many frames");
        let held = if size > 16 << 10 { 2 * size } else { 0 };
        assert_eq!(budget.left(), 250_000 - held);
        let part = object.get("a").expect("a").clone();
        drop((object, again));
        assert_eq!(budget.left(), 250_000 - held / 2, "a part of the first is there");
        drop(part);
        assert_eq!(budget.left(), 250_000);
    }
}

#[tokio::test]
async fn a_request_for_which_nothing_is_left_gives_back_what_it_has() {
    let budget = BodyBudget::new(250_000);
    let first = read(ScriptedBody::new().data(object_of(200_000)), &budget).await.expect("there is room");
    for size in [100_000, 1_000] {
        let body = ScriptedBody::new().chunks_of(object_of(100_000), size);
        let watch = body.watch();
        let error = read(body, &budget).await.expect_err("no room");
        assert_eq!(error.status(), 503);
        assert_eq!(watch.frames(), 100_000 / size, "who writes before it reads has written all");
        assert_eq!(budget.left(), 50_000);
    }
    read(ScriptedBody::new().data(object_of(1_000)), &budget).await.expect("small ones are free");
    drop(first);
    read(ScriptedBody::new().data(object_of(100_000)), &budget).await.expect("there is room again");
}

/// Breaks off with an error for the client.
struct Late;

impl Body for Late {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        Poll::Ready(Some(Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "late"))))
    }
}

#[tokio::test]
async fn what_a_body_says_of_its_end_is_what_the_client_hears() {
    let read = RequestBody::new(Late).read(&mut head(None), 100);
    let error = read.await.map_err(ApiError::from).expect_err("it is late");
    assert_eq!((error.status(), error.message()), (StatusCode::REQUEST_TIMEOUT, "late"));
}

#[tokio::test]
async fn what_is_always_ready_gives_way() {
    let body = ScriptedBody::new().chunks_of(object_of(5 << 20), 64 << 10);
    let mut head = head(None);
    let mut read = Box::pin(RequestBody::new(body).read(&mut head, 10 << 20));
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        polls += 1;
        read.as_mut().poll(cx)
    })
    .await
    .expect("an object");
    assert!((4..=6).contains(&polls), "{polls}");
}

#[tokio::test]
async fn no_more_than_the_limit_is_passed_on() {
    for (size, frame) in [(1_000, 1_000), (1_000, 7), (1_001, 1_001), (1_001, 7), (5_000, 7), (70 << 20, 1 << 20)] {
        let mut body = RequestBody::new(ScriptedBody::new().chunks_of(vec![0; size], frame)).limit(1_000);
        let mut passed = 0;
        let ended = loop {
            match body.frame().await {
                Some(Ok(frame)) => passed += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        assert!(passed <= 1_000, "{passed}");
        match ended {
            Ok(()) => assert_eq!(passed, size),
            Err(error) => {
                assert!(size > 1_000);
                assert_eq!(error.downcast::<ApiError>().expect("what the client hears").status(), 413);
            }
        }
    }
}
