//! Bodies that the gateway passes on without a look.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    client::{closed, head},
    rig::Target,
};

/// What one upload has, after decompression.
const BYTES: usize = 64 << 20;
const PIECE: usize = 64 << 10;

pub(crate) async fn without_end(target: &Target, client: usize) {
    let Ok(mut stream) = TcpStream::connect(target.gateway).await else { return };
    let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    let chunked = "transfer-encoding: chunked\r\n";
    let said = if client.is_multiple_of(2) {
        let zeros = tokio::task::spawn_blocking(|| zstd::encode_all(&*vec![b'0'; BYTES], 1)).await;
        let bomb = zeros.unwrap().unwrap();
        let mut said = head("/v1/embeddings", &format!("{chunked}content-encoding: zstd\r\n")).into_bytes();
        said.extend(chunk(&bomb));
        said.extend_from_slice(b"0\r\n\r\n");
        stream.write_all(&said).await
    } else {
        let piece = chunk(&[b'0'; PIECE]);
        let mut said = stream.write_all(head("/v1/embeddings", chunked).as_bytes()).await;
        for _ in 0..BYTES / PIECE {
            if said.is_err() {
                break;
            }
            said = stream.write_all(&piece).await;
        }
        said
    };
    if said.is_ok() {
        let _ = timeout(Duration::from_secs(5), closed(&mut stream)).await;
    }
}
