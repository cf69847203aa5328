//! How connections end, and what they hold up until then.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::SinkExt;
use http::Response;
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};
use tower_responses_core::ResponseBody;
use tower_responses_testing::{ScriptedBody, Watch, sse, sse_response};
use tower_responses_websocket::WebSocketLayer;

use crate::common::*;

type Watches = Arc<Mutex<Vec<Watch>>>;

/// An upstream that says one thing and then nothing more; tells what became of its bodies.
fn silent() -> (impl Fn(&Json, usize) -> Response<ResponseBody> + Clone + Send + Sync + 'static, Watches) {
    let watches = Arc::new(Mutex::new(Vec::new()));
    let seen = watches.clone();
    let answer = move |_: &Json, _: usize| {
        let body = ScriptedBody::new().data(sse(&[json!({"type": "response.created"})])).hang();
        seen.lock().unwrap().push(body.watch());
        sse_response(ResponseBody::new(body))
    };
    (answer, watches)
}

async fn dropped_soon(watches: &Mutex<Vec<Watch>>, what: &str) {
    let begun = Instant::now();
    until(what, || watches.lock().unwrap().iter().all(Watch::is_dropped)).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{what}: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call_of_the_upstream() {
    for (what, pipelined) in [("close frame", 0), ("no goodbye", 0), ("reset", 0), ("no goodbye", 20), ("reset", 20)] {
        let (answer, watches) = silent();
        let server = serve(WebSocketLayer::new().max_pipelined(2), answer).await;
        let mut client = Client::new(&server).await;
        client.send(&create(json!({"input": "x"}))).await;
        assert_eq!(client.event().await["type"], "response.created");
        for _ in 0..pipelined {
            client.send(&create(json!({"input": "y".repeat(1000)}))).await;
        }
        match what {
            "close frame" => client.socket.close(None).await.unwrap(),
            "reset" => client.socket.get_ref().set_zero_linger().unwrap(),
            _ => {}
        }
        drop(client);
        dropped_soon(&watches, &format!("{what}, {pipelined} frames more")).await;
        until("no connection is left", || server.connections.open() == 0).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_ends_the_call_as_well() {
    // An inner service that never answers.
    struct Dropped(Arc<Mutex<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }
    let dropped = Arc::new(Mutex::new(false));
    let seen = dropped.clone();
    let never = tower::service_fn(move |_: http::Request<tower_responses_core::RequestBody>| {
        let guard = Dropped(seen.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<Response<ResponseBody>, std::convert::Infallible>>().await
        }
    });
    let server = serve_with(WebSocketLayer::new(), never, Seen::default()).await;
    let mut client = Client::new(&server).await;
    client.send(&create(json!({"input": "x"}))).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!*dropped.lock().unwrap());
    drop(client);
    until("the call is dropped", || *dropped.lock().unwrap()).await;
}

#[tokio::test]
async fn pings_are_answered_also_while_the_upstream_is_silent() {
    let (answer, _) = silent();
    let server = serve(WebSocketLayer::new(), answer).await;
    let mut client = Client::new(&server).await;
    client.raw(Message::Ping("idle".into())).await;
    assert_eq!(client.next().await.unwrap(), Message::Pong("idle".into()));
    client.send(&create(json!({"input": "x"}))).await;
    client.event().await;
    client.send(&create(json!({"input": "waits"}))).await;
    client.raw(Message::Ping("busy".into())).await;
    assert_eq!(client.next().await.unwrap(), Message::Pong("busy".into()));
}

#[tokio::test]
async fn an_idle_connection_is_told_and_closed() {
    let server = serve(WebSocketLayer::new().idle_timeout(Duration::from_secs(1)), answers).await;
    let mut client = Client::new(&server).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.ask(&create(json!({"input": "x"}))).await;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.raw(Message::Ping(Bytes::new())).await;
    assert_eq!(code(&client.event().await), (400, "websocket_connection_limit_reached"));
    let elapsed = begun.elapsed().as_secs_f64();
    assert!((0.9..1.5).contains(&elapsed), "pings are no requests: {elapsed}");
    assert_eq!(client.closed().await, Some(CloseCode::Normal));
    assert!(client.next().await.is_none());
    until("no connection is left", || server.connections.open() == 0).await;
}

#[tokio::test]
async fn a_busy_connection_is_not_idle() {
    let body = || ScriptedBody::new().data(sse(&[json!({"type": "response.created"})])).hang();
    let server = serve(WebSocketLayer::new().idle_timeout(Duration::from_millis(100)), move |_: &Json, _| {
        sse_response(ResponseBody::new(body()))
    })
    .await;
    let mut client = Client::new(&server).await;
    client.send(&create(json!({"input": "x"}))).await;
    client.event().await;
    let waited = tokio::time::timeout(Duration::from_millis(400), client.event()).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn shutdown_lets_responses_end_and_closes_with_1001() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let answer = move |_: &Json, number: usize| {
        let mut wait = wait.clone();
        let rest = futures_util::stream::once(async move {
            wait.wait_for(|go| *go).await.unwrap();
            Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from(said(number, "late"))))
        });
        let rest = http_body_util::StreamBody::new(rest);
        sse_response(ResponseBody::new(rest))
    };
    let server = serve(WebSocketLayer::new(), answer).await;
    let (mut busy, mut idle) = (Client::new(&server).await, Client::new(&server).await);
    busy.send(&create(json!({"input": "x"}))).await;
    until("the request is there", || server.seen.bodies().len() == 1).await;
    busy.send(&create(json!({"input": "not begun"}))).await;

    let connections = server.connections.clone();
    let shutdown = tokio::spawn(async move { connections.shutdown().await });
    assert_eq!(idle.closed().await, Some(CloseCode::Away));
    assert!(idle.next().await.is_none());
    assert!(Client::with(&server, &[]).await.is_err(), "no new ones are taken");
    assert!(!shutdown.is_finished());

    go.send(true).unwrap();
    assert_eq!(busy.answer().await.pop().unwrap()["type"], "response.completed");
    assert_eq!(busy.closed().await, Some(CloseCode::Away));
    assert!(busy.next().await.is_none());
    tokio::time::timeout(SOON, shutdown).await.unwrap().unwrap();
    assert_eq!((server.connections.open(), server.seen.bodies().len()), (0, 1));
}

#[tokio::test]
async fn shutdown_without_connections_is_at_once() {
    let layer = WebSocketLayer::new();
    tokio::time::timeout(SOON, layer.connections().shutdown()).await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_holds_up_the_upstream() {
    // 64 MB in chunks of 64 KB, of which nobody reads any.
    let chunk = Bytes::from(sse(&[json!({"type": "a", "delta": "x".repeat(1000)})]).repeat(64));
    let watch = Arc::new(Mutex::new(None::<Watch>));
    let seen = watch.clone();
    let answer = move |_: &Json, _: usize| {
        let body = (0..1000).fold(ScriptedBody::new(), |body, _| body.data(chunk.clone()));
        let body = body.data(said(1, "end"));
        *seen.lock().unwrap() = Some(body.watch());
        sse_response(ResponseBody::new(body))
    };
    let server = serve(WebSocketLayer::new(), answer).await;
    let mut client = Client::new(&server).await;
    client.send(&create(json!({"input": "x"}))).await;
    let frames = || watch.lock().unwrap().as_ref().map_or(0, Watch::frames);
    until("the answer has begun", || frames() > 0).await;
    let mut before = 0;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if before == frames() {
            break;
        }
        before = frames();
    }
    // What the sockets of the system hold is not ours.
    assert!(before < 400, "{before} of 1000 chunks were taken");
    let begun = Instant::now();
    let events = client.answer().await;
    assert_eq!(events.len(), 64_000 + 4, "nothing is lost ({:?})", begun.elapsed());
}

#[tokio::test]
async fn a_client_that_only_writes_is_held_up() {
    let (answer, _) = silent();
    let server = serve(WebSocketLayer::new().max_pipelined(4), answer).await;
    let mut client = Client::new(&server).await;
    let frame = create(json!({"input": "x".repeat(1 << 20)})).to_string();
    let mut sent = 0;
    while sent < 200
        && tokio::time::timeout(Duration::from_millis(500), client.socket.send(Message::text(frame.clone())))
            .await
            .is_ok()
    {
        sent += 1;
    }
    assert!(sent < 60, "{sent} MiB were taken");
}
