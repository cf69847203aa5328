//! A client that says what it pleases.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The head of a request to the API, with a body of JSON; `more` are lines of it.
pub(crate) fn head(path: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{more}\r\n")
}

/// Sends a request and reads the answer. Errors are those of a connection that was closed.
pub(crate) async fn ask(address: SocketAddr, body: &[u8], more: &str) -> io::Result<Vec<u8>> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let head = head("/v1/responses", &format!("content-length: {}\r\nconnection: close\r\n{more}", body.len()));
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    timeout(PATIENCE, exchange).await?
}

/// The body of an answer that came in one piece.
pub(crate) fn body(answer: &[u8]) -> &[u8] {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    &answer[end..]
}

/// Waits until the other side closes the connection.
pub(crate) async fn closed(stream: &mut TcpStream) {
    let mut answer = [0; 4096];
    while stream.read(&mut answer).await.is_ok_and(|length| length > 0) {}
}
