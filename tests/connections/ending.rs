//! The end of a gateway whose clients do nothing.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tower_responses::demo::{Item, Model, Turn, Upstream};

use crate::{
    raw::{Configured, Endless, head, until},
    support,
};

#[tokio::test]
async fn clients_that_do_nothing_do_not_delay_the_end() {
    let pause = Turn::new([Item::say("slowly said")]).pause_after("response.in_progress", Duration::from_secs(4));
    let slow = Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), Model::scripted([pause])).unwrap();
    let endless = Endless::start().await;
    let config = format!(
        "[upstream]\nurl = \"http://{}\"\n[upstreams.slow]\nurl = \"{}\"\nmodels = [\"{}\"]\n",
        endless.address,
        slow.url(),
        Model::NAME
    );
    let mut configured = Configured::start(&config, &[]);
    let mut clients = Vec::new();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [&preface[..], b"\0\0\0\x04\0\0\0\0\0"].concat();
    let unread = "{\"model\":\"m\",\"input\":\"hi\",\"stream\":true}";
    for said in [
        &b""[..],
        b"P",
        b"G",
        preface,
        &settings,
        b"GET /health HTTP/1.1\r\nhost",
        b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n",
        (head("/v1/responses", 100, "") + "{\"a\":").as_bytes(),
        (head("/v1/embeddings", 100, "") + "{\"a\":").as_bytes(),
        (head("/v1/responses", unread.len(), "") + unread).as_bytes(),
    ] {
        let mut client = configured.connect().await;
        client.say(said).await;
        clients.push(client);
    }
    let stream = TcpStream::connect(configured.gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let stream = TokioIo::new(stream);
    let (mut sender, connection) = builder.initial_stream_window_size(10_000).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://localhost/v1/responses").header("content-type", "application/json");
    let unread = sender.send_request(request.body(Full::<bytes::Bytes>::from(unread)).unwrap()).await.unwrap();
    until("three are at the upstream", || endless.open() >= 3).await;

    let request = Request::post(format!("{}/v1/responses", configured.gateway.url));
    let body = json!({"model": Model::NAME, "input": "hi", "stream": true}).to_string();
    let request = request.header("content-type", "application/json").body(Full::from(body)).unwrap();
    let answer = support::send(request).await;
    configured.gateway.signal("TERM");
    let text = answer.into_body().collect().await.expect("a whole body").to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("response.completed"), "what is being answered is answered");
    // By itself it waits for half a minute.
    let status = configured.gateway.wait(Duration::from_secs(15)).expect("it ends");
    assert!(status.success(), "{status}");
    drop((clients, unread));
}
