use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::answer::Model;

/// The head of a message: where it ends, and how long its body is if it says so.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) end: usize,
    pub(crate) length: Option<usize>,
}

pub(crate) fn find_head(message: &[u8]) -> Option<Head> {
    let end = message.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&message[..end]).unwrap();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    Some(Head { end, length })
}

/// Serves the model on a socket.
pub(crate) async fn serve(model: Arc<Model>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(stream, model.clone()));
        }
    });
    address
}

async fn connection(mut stream: TcpStream, model: Arc<Model>) {
    stream.set_nodelay(true).unwrap();
    let (mut request, mut head, mut writes) = (Vec::new(), None, Vec::new());
    while stream.read_buf(&mut request).await.is_ok_and(|length| length > 0) {
        head = head.or_else(|| find_head(&request));
        let Some(Head { end, length }) = head else { continue };
        let length = length.expect("the gateway knows how long its requests are");
        if request.len() < end + length {
            continue;
        }
        if writes.is_empty() {
            writes = model.answer(&request[end..]).writes();
        }
        for piece in &writes {
            stream.write_all(piece).await.unwrap();
            // As a model speaks: each event is on its way before the next one is there.
            tokio::task::yield_now().await;
        }
        request.clear();
        head = None;
    }
}
