//! A WebSocket whose client talks and does not listen.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::rig::Target;

/// How many bytes of pings one connection says at most.
const MOST: usize = 1 << 30;
/// When the other side takes no more, it has had enough for now.
const BLOCKED: Duration = Duration::from_secs(2);

pub(crate) async fn flood(target: &Target) {
    let Ok(mut stream) = TcpStream::connect(target.gateway).await else { return };
    let request = "GET /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if stream.write_all(request.as_bytes()).await.is_err() {
        return;
    }
    let mut first = [0; 12];
    if stream.read_exact(&mut first).await.is_err() || !first.ends_with(b"101") {
        return;
    }
    // Masked with 0.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[b'p'; 125]].concat();
    let pings = ping.repeat(500);
    for _ in 0..MOST / pings.len() {
        match timeout(BLOCKED, stream.write_all(&pings)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    // It stays a while, with all that it was answered.
    tokio::time::sleep(BLOCKED).await;
}
