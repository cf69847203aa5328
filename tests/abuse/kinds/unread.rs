//! Answers that nobody reads.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, net::TcpSocket};

use crate::{
    client::{ask, body, head},
    rig::Target,
    upstream::{ENDLESS, LARGE},
};

/// How long a client stays that has what it came for: nothing.
const STAY: Duration = Duration::from_secs(40);

/// Asks for a stream that does not end by itself.
pub(crate) async fn stream(target: &Target) {
    let request = format!(r#"{{"model":"{ENDLESS}","input":"hi","stream":true}}"#);
    let head = head("/v1/responses", &format!("content-length: {}\r\n", request.len()));
    say(target, &format!("{head}{request}")).await;
}

/// Asks for one large response over and over on the same connection.
pub(crate) async fn object(target: &Target) {
    let request = format!(r#"{{"model":"{LARGE}","input":"hi"}}"#);
    let Ok(answer) = ask(target.gateway, request.as_bytes(), "").await else { return };
    let text = String::from_utf8_lossy(body(&answer));
    let Some(id) = text.split('"').find(|word| word.starts_with("resp_")) else { return };
    say(target, &format!("GET /v1/responses/{id} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").repeat(50)).await;
}

async fn say(target: &Target, said: &str) {
    let socket = TcpSocket::new_v4().unwrap();
    // Less than a system would take for it.
    socket.set_recv_buffer_size(4096).unwrap();
    let Ok(mut stream) = socket.connect(target.gateway).await else { return };
    if stream.write_all(said.as_bytes()).await.is_ok() {
        tokio::time::sleep(STAY).await;
    }
}
