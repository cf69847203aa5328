//! Who gets a WebSocket, and what everybody else is told.

use crate::common::*;
use http::{Response, header};
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::Error;
use tower_responses_core::ResponseBody;
use tower_responses_websocket::WebSocketLayer;

fn body_of(answer: &str) -> Json {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: gateway:80\r\n{headers}connection: close\r\n\r\n")
}

const UPGRADE: &str = "upgrade: websocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn without_an_upgrade_426_says_so_in_openais_shape() {
    let server = serve(WebSocketLayer::new(), answers).await;
    for headers in [
        "",
        "upgrade: h2c\r\nconnection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 8\r\n",
    ] {
        let answer = http(server.address, &get("/v1/responses", headers)).await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{headers}: {answer}");
        assert!(answer.contains("upgrade: websocket\r\n"), "{answer}");
        let error = &body_of(&answer)["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!("invalid_request_error"), &json!("upgrade_required")));
    }
    assert!(server.seen.bodies().is_empty());
}

#[tokio::test]
async fn where_it_is_off_426_sends_clients_to_http() {
    let server = serve(WebSocketLayer::disabled(), answers).await;
    let Err(Error::Http(response)) = Client::with(&server, &[]).await else { panic!("no 426") };
    assert_eq!(response.status(), 426);
    let error: Json = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "upgrade_required");
}

#[tokio::test]
async fn the_accept_key_is_that_of_the_rfc_and_no_extension_is_taken() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let offer = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")];
    let client = Client::with(&server, &offer).await.unwrap();
    assert_eq!(client.response.status(), 101);
    assert!(client.response.headers().get("sec-websocket-extensions").is_none());

    // The example of RFC 6455, section 1.3.
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let request = get("/under/a/prefix/responses/", UPGRADE).replace("connection: close\r\n", "");
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let length = tokio::io::AsyncReadExt::read(&mut socket, &mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
}

#[tokio::test]
async fn a_handshake_without_a_key_is_a_bad_request() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let headers = UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "x").replace("keep-alive", "close");
    assert!(http(server.address, &get("/v1/responses", &headers)).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn pages_of_other_origins_are_not_served() {
    let server = serve(WebSocketLayer::new(), answers).await;
    for origin in ["http://evil.example", "null", "http://127.0.0.1"] {
        let Err(Error::Http(response)) = Client::with(&server, &[("origin", origin)]).await else { panic!("{origin}") };
        assert_eq!(response.status(), 403, "{origin}");
    }
    let own = format!("http://{}", server.address);
    assert!(Client::with(&server, &[("origin", &own)]).await.is_ok());
    let server = serve(WebSocketLayer::new().allow_origins(["https://app.example"]), answers).await;
    assert!(Client::with(&server, &[("origin", "https://app.example")]).await.is_ok());
    assert!(Client::with(&server, &[("origin", "http://evil.example")]).await.is_err());
    let server = serve(WebSocketLayer::new().any_origin(), answers).await;
    assert!(Client::with(&server, &[("origin", "http://evil.example")]).await.is_ok());
}

#[tokio::test]
async fn everything_else_passes_untouched() {
    let echo = |_: &Json, _: usize| {
        Response::builder().status(207).body(ResponseBody::from(bytes::Bytes::from("as it is"))).unwrap()
    };
    let server = serve(WebSocketLayer::disabled(), echo).await;
    for (method, path) in [
        ("POST", "/v1/responses"),
        ("GET", "/v1/models"),
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses"),
        ("GET", "/"),
    ] {
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 7\r\n\r\n{{\"a\":1}}");
        let answer = http(server.address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 207 ") && answer.ends_with("as it is"), "{answer}");
    }
    assert!(server.seen.bodies().iter().all(|body| *body == json!({"a": 1})));
}

#[tokio::test]
async fn headers_of_the_handshake_go_with_each_request() {
    let layer = WebSocketLayer::new().map_request(|head| {
        head.headers.insert("x-mapped", "yes".parse().unwrap());
    });
    let server = serve(layer, answers).await;
    let headers = [
        ("authorization", "Bearer key"),
        ("session-id", "s"),
        ("x-codex-turn-metadata", "{\"a\":1}"),
        ("x-request-id", "req"),
        ("openai-beta", "responses_websockets=2026-02-06"),
        ("accept-encoding", "gzip"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "1"),
        ("connection", "Upgrade, X-Hop"),
    ];
    let mut client = Client::with(&server, &headers).await.unwrap();
    client.ask(&create(json!({"input": "a"}))).await;
    client.ask(&create(json!({"input": "b"}))).await;
    for (number, head) in server.seen.heads().iter().enumerate() {
        let value = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/v1/responses"));
        for (name, sent) in [
            ("authorization", "Bearer key"),
            ("session-id", "s"),
            ("x-codex-turn-metadata", "{\"a\":1}"),
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
            ("x-mapped", "yes"),
            ("x-request-id", ["req-1", "req-2"][number]),
        ] {
            assert_eq!(value(name), Some(sent), "{name}");
        }
        for gone in ["connection", "upgrade", "accept-encoding", "keep-alive", "x-hop"] {
            assert_eq!(value(gone), None, "{gone}");
        }
        assert!(!head.headers.keys().any(|name| name.as_str().starts_with("sec-websocket")));
        assert!(head.headers.get(header::CONTENT_LENGTH).is_none());
        assert!(head.extensions.get::<hyper::upgrade::OnUpgrade>().is_none());
    }
    assert_eq!(server.seen.heads().len(), 2);
}

#[tokio::test]
async fn connections_are_counted_and_limited() {
    let server = serve(WebSocketLayer::new().max_connections(2), answers).await;
    let one = Client::new(&server).await;
    let _two = Client::new(&server).await;
    let Err(Error::Http(response)) = Client::with(&server, &[]).await else { panic!("a third one") };
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    drop(one);
    until("the place is free", || server.connections.open() == 1).await;
    Client::new(&server).await;
}
