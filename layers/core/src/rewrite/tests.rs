use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use http::{Response, response::Parts};
use tower_responses_testing::{ScriptedBody, body_text};

use super::*;
use crate::{
    ResponseBody,
    sse::{Event, Events},
};

/// Lets an object go once it was asked three times.
struct Hold(u8);

impl EventFilter for Hold {
    fn event(&mut self, event: Event, next: &mut Events) {
        next.push(event);
    }
}

impl RewriteResponse for Hold {
    fn object(&mut self, _: &mut Parts, object: &mut Object) -> Result<(), ApiError> {
        object.set("seen", crate::json::Value::bool(true));
        Ok(())
    }

    fn text(&mut self, head: &mut Parts, text: Bytes) -> Bytes {
        head.headers.remove("content-length");
        [b"<", &text[..], b">"].concat().into()
    }

    fn poll_object(&mut self, cx: &mut Context<'_>, object: &mut Object) -> Poll<()> {
        if self.0 < 2 {
            self.0 += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        object.set("held", crate::json::Value::serialize(&self.0));
        Poll::Ready(())
    }
}

#[tokio::test]
async fn an_object_waits_for_what_it_was_told_to_wait_for() {
    let body = ScriptedBody::new().data(r#"{"id":1"#).pending().data("}");
    let response =
        Response::builder().header("content-type", "application/json").body(ResponseBody::new(body)).unwrap();
    let mut body = RewriteResponseBody::new(response, Hold(0), Limits::default());
    let mut asked = 0;
    let response = poll_fn(|cx| {
        asked += 1;
        body.poll(cx)
    })
    .await;
    assert_eq!(asked, 4, "once for the body, twice held");
    assert_eq!(body_text(response.into_body()).await, r#"{"id":1,"seen":true,"held":2}"#);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_shown_as_text() {
    for text in ["[1]", "no JSON", ""] {
        let body = ScriptedBody::new().data(text).pending();
        let response =
            Response::builder().header("content-type", "application/json").body(ResponseBody::new(body)).unwrap();
        let mut body = RewriteResponseBody::new(response, Hold(0), Limits::default());
        let response = poll_fn(|cx| body.poll(cx)).await;
        assert_eq!(body_text(response.into_body()).await, format!("<{text}>"));
    }
}
