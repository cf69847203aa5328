//! Connections that begin, and say no more.

use std::io::Write;

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    client::{closed, head},
    rig::{REQUEST_BYTES, Target},
};

/// Says this and waits to be closed.
pub(crate) async fn silence(target: &Target, said: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(target.gateway).await else { return };
    if stream.write_all(said).await.is_ok() {
        target.patience(closed(&mut stream)).await;
    }
}

pub(crate) async fn half_a_body(target: &Target) {
    let mut request = head("/v1/responses", &format!("content-length: {REQUEST_BYTES}\r\n")).into_bytes();
    request.extend_from_slice(br#"{"input":""#);
    request.resize(request.len() + REQUEST_BYTES / 2, b'a');
    silence(target, &request).await;
}

/// What has come of it could be inflated to nearly all that a request may have.
pub(crate) async fn half_a_compressed_body(target: &Target) {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(br#"{"input":""#).unwrap();
    encoder.write_all(&vec![b'a'; REQUEST_BYTES - 1000]).unwrap();
    // Without an end.
    encoder.flush().unwrap();
    let body = encoder.get_ref();
    let more = "content-encoding: zstd\r\ntransfer-encoding: chunked\r\n";
    let mut request = head("/v1/responses", more).into_bytes();
    request.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    request.extend_from_slice(b"\r\n");
    silence(target, &request).await;
}
