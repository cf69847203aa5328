//! Bodies that do not come, come too slowly, or hold too much.

use std::time::{Duration, Instant};

use futures_util::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use crate::raw::{Configured, Counting, Raw, SOON, head};

const PATHS: [&str; 2] = ["/v1/responses", "/v1/chat/completions"];

fn assert_late(answer: &(u16, Value)) {
    let error = &answer.1["error"];
    assert_eq!((answer.0, &error["code"], &error["param"]), (408, &json!("request_timeout"), &json!(null)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("has not come"), "{error}");
    assert_eq!(error["type"], "invalid_request_error");
}

async fn gateway(limits: &str) -> (Configured, Counting) {
    let upstream = Counting::start().await;
    let config = format!("[upstream]\nurl = \"http://{}\"\n[limits]\n{limits}\n", upstream.address);
    (Configured::start(&config, &[]), upstream)
}

/// Half a body, or a whole one that is compressed but for its end.
#[tokio::test]
async fn a_body_that_stalls_is_answered_for() {
    let (gateway, _upstream) = gateway("body_idle_timeout = 1").await;
    let object = format!("{{\"a\":\"{}\"}}", " ".repeat(1 << 20));
    let zstd = zstd::encode_all(object.as_bytes(), 0).unwrap();
    let zstd_head = "content-encoding: zstd\r\n";
    for path in PATHS {
        for (body, more) in [(object.as_bytes(), ""), (&zstd, zstd_head), (&b""[..], ""), (&b""[..], zstd_head)] {
            let mut client = gateway.connect().await;
            client.say(head(path, body.len() + 1, more)).await.say(body).await;
            assert_late(&client.answer().await);
            assert!(client.rest().await.is_empty(), "the connection is closed");
        }
    }
}

#[tokio::test]
async fn a_body_that_stalls_over_http2_is_answered_for() {
    let (gateway, _upstream) = gateway("body_idle_timeout = 1").await;
    let stream = TcpStream::connect(gateway.gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for path in PATHS {
        let some = stream::iter([Ok::<_, std::io::Error>(Frame::data(bytes::Bytes::from_static(b"{\"a\":")))]);
        let body = StreamBody::new(futures_util::StreamExt::chain(some, stream::pending()));
        let request = Request::post(format!("http://localhost{path}")).header("content-type", "application/json");
        let answer = timeout(SOON, sender.send_request(request.body(body).unwrap())).await.expect("an answer").unwrap();
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_late(&(status, serde_json::from_slice(&text).unwrap()));
    }
}

/// A piece in time, again and again, is not enough.
#[tokio::test]
async fn a_body_that_drips_is_answered_for() {
    let (gateway, _upstream) = gateway("body_idle_timeout = 5\nbody_total_timeout = 2").await;
    for path in PATHS {
        let mut client = gateway.connect().await;
        client.say(head(path, 1000, "")).await;
        let begun = Instant::now();
        drip(&mut client).await;
        assert_late(&client.answer().await);
        assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

/// A byte now and then, until something is said.
async fn drip(client: &mut Raw) {
    let ended = timeout(SOON, async {
        let mut first = [0; 12];
        while timeout(Duration::from_millis(100), client.stream.peek(&mut first)).await.is_err() {
            let _ = client.stream.try_write(b" ");
        }
    });
    ended.await.expect("it is answered for");
}

#[tokio::test]
async fn who_takes_their_time_in_time_is_served() {
    let (gateway, upstream) = gateway("body_idle_timeout = 5\nbody_total_timeout = 60").await;
    let mut client = gateway.connect().await;
    client.say(head("/v1/chat/completions", 10, "")).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        client.say(" ").await;
    }
    assert_eq!(client.answer().await.0, 200);
    assert_eq!(upstream.seen(), (1, 10));
}

/// What is held by requests that are still coming, or are being answered, is bounded for all.
#[tokio::test]
async fn requests_that_hold_too_much_together_are_refused() {
    let (gateway, _upstream) = gateway("request_bytes = 1000000\ntotal_request_bytes = 2000000").await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(900_000));
    let stall = async || {
        let mut client = gateway.connect().await;
        client.say(head("/v1/responses", large.len() + 1, "")).await.say(&large).await;
        client
    };
    let mut stalled = vec![stall().await, stall().await];
    let ask = async |body: &str| {
        let mut client = gateway.connect().await;
        client.say(head("/v1/responses", body.len(), "")).await.say(body).await;
        client.answer().await
    };
    // One that comes before them may be served, and leave one of them without room.
    let refused = timeout(SOON, async {
        loop {
            match ask(&large).await {
                (503, error) => return error,
                _ => stalled.push(stall().await),
            }
        }
    });
    let error = refused.await.expect("it is refused once the others have come");
    assert_eq!(error["error"]["code"], "overloaded", "{error}");
    assert_eq!(ask("{\"model\":\"m\",\"input\":\"hi\"}").await.0, 200, "small requests are served");
    drop(stalled);
    let waited = timeout(SOON, async { while ask(&large).await.0 == 503 {} });
    waited.await.expect("there is room when they are gone");
}

/// Small requests that hold much when they are decompressed, and then stall.
#[tokio::test]
async fn what_is_inflated_is_bounded_for_all() {
    let limits = "request_bytes = 8000000\ntotal_request_bytes = 24000000\nbody_idle_timeout = 3";
    let (gateway, _upstream) = gateway(limits).await;
    let object = format!("{{\"a\":\"{}\"}}", " ".repeat(7_900_000));
    let zstd = zstd::encode_all(object.as_bytes(), 0).unwrap();
    assert!(zstd.len() < 2_000);
    let before = gateway.memory().1;
    let mut clients = Vec::new();
    for at in 0..40 {
        let mut client = gateway.connect().await;
        let head = head(PATHS[at % 2], zstd.len() + 1, "content-encoding: zstd\r\n");
        client.say(head).await.say(&zstd).await;
        clients.push(client);
    }
    let mut refused = 0;
    for mut client in clients {
        let answer = client.answer().await;
        refused += usize::from(answer.0 == 503);
        assert!(answer.0 == 503 || answer.0 == 408, "{}", answer.1);
    }
    let grown = gateway.memory().1 - before;
    assert!(refused > 10, "{refused} were refused");
    assert!(grown < 80 << 20, "{} MiB", grown >> 20);
}
