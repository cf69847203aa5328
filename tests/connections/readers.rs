//! Clients that do not read what they asked for.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};

use crate::raw::{Configured, Endless, Raw, SOON, head, until};

const ASK: &str = "{\"model\":\"m\",\"input\":\"hi\",\"stream\":true}";

async fn gateway(limits: &str, total_timeout: usize) -> (Configured, Endless) {
    let upstream = Endless::start().await;
    let config = format!(
        "[upstream]\nurl = \"http://{}\"\ntotal_timeout = {total_timeout}\n[limits]\nin_flight = 1\nqueue = 8\n{limits}\n",
        upstream.address
    );
    (Configured::start(&config, &[]), upstream)
}

/// Asks over HTTP/1, and gets the beginning of an answer.
async fn is_served(gateway: &Configured) -> Raw {
    let mut client = gateway.connect().await;
    client.say(head("/v1/responses", ASK.len(), "") + ASK).await;
    let mut first = [0; 12];
    timeout(SOON, client.stream.peek(&mut first)).await.expect("an answer begins").unwrap();
    client
}

/// Asks over HTTP/2, with room for so many bytes of an answer.
async fn http2(gateway: &Configured, window: u32) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(gateway.gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>) -> Response<Incoming> {
    let request = Request::post("http://localhost/v1/responses").header("content-type", "application/json");
    let request = request.body(Full::from(ASK)).unwrap();
    timeout(SOON, sender.send_request(request)).await.expect("an answer begins").unwrap()
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_place() {
    let (gateway, upstream) = gateway("write_timeout = 1", 0).await;
    let mut stuck = Vec::new();
    for _ in 0..3 {
        stuck.push(is_served(&gateway).await);
    }
    drop(is_served(&gateway).await);
    until("the upstream is left", || upstream.open() == 0).await;
    let heard = stuck.pop().unwrap().rest().await;
    assert!(heard.len() > 100_000, "it is cut off after what it was sent: {} bytes", heard.len());
}

/// Whatever else it does: pings are answered, and other answers taken.
#[tokio::test]
async fn a_client_that_does_not_read_over_http2_loses_its_place() {
    let (gateway, upstream) = gateway("write_timeout = 1", 0).await;
    let mut sender = http2(&gateway, 10_000).await;
    let stuck = ask(&mut sender).await;
    let mut second = ask(&mut sender).await.into_body();
    assert!(second.frame().await.expect("a frame").is_ok());
    assert_eq!(upstream.open(), 1);
    drop(second);
    until("the upstream is left", || upstream.open() == 0).await;
    let ended = timeout(SOON, stuck.into_body().collect()).await.expect("an end");
    assert!(ended.is_err(), "its stream was reset");
}

#[tokio::test]
async fn total_timeout_ends_it_too() {
    let (gateway, upstream) = gateway("write_timeout = 0", 2).await;
    let stuck = is_served(&gateway).await;
    let mut sender = http2(&gateway, 10_000).await;
    let stuck_too = ask(&mut sender).await;
    drop(is_served(&gateway).await);
    until("the upstream is left", || upstream.open() == 0).await;
    drop((stuck, stuck_too));
}

#[tokio::test]
async fn who_reads_slowly_is_served() {
    let (gateway, _upstream) = gateway("write_timeout = 3", 0).await;
    let mut sender = http2(&gateway, 100_000).await;
    let mut slow = ask(&mut sender).await.into_body();
    let mut taken = 0;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let frame = timeout(SOON, slow.frame()).await.expect("a frame").expect("a frame").expect("it goes on");
        taken += frame.data_ref().map_or(0, Bytes::len);
    }
    assert!(taken > 100_000, "{taken}");
}
