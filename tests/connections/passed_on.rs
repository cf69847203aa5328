//! Requests that go to the upstream as they come are held to the same limit.

use serde_json::json;

use crate::raw::{Configured, Counting, head};

const LIMIT: usize = 100_000;
const PATH: &str = "/v1/chat/completions";

async fn gateway() -> (Configured, Counting) {
    let upstream = Counting::start().await;
    let config = format!("[upstream]\nurl = \"http://{}\"\n[limits]\nrequest_bytes = {LIMIT}\n", upstream.address);
    (Configured::start(&config, &[]), upstream)
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut text =
        format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(5_000) {
        text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        text.extend_from_slice(chunk);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"0\r\n\r\n");
    text
}

#[tokio::test]
async fn what_is_too_large_does_not_get_to_the_upstream() {
    let (gateway, upstream) = gateway().await;
    let (large, bomb) = (vec![b' '; 3 * LIMIT], vec![b' '; 20_000_000]);
    let gzip = {
        use std::io::Write;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&bomb).unwrap();
        gzip.finish().unwrap()
    };
    let zstd = zstd::encode_all(&bomb[..], 0).unwrap();
    let requests = [
        [head(PATH, large.len(), "").as_bytes(), &large].concat(),
        chunked(&large),
        [head(PATH, zstd.len(), "content-encoding: zstd\r\n").as_bytes(), &zstd].concat(),
        [head(PATH, gzip.len(), "content-encoding: gzip\r\n").as_bytes(), &gzip].concat(),
    ];
    for (number, request) in requests.iter().enumerate() {
        let mut client = gateway.connect().await;
        let (status, error) = client.say(request).await.answer().await;
        assert_eq!((status, &error["error"]["code"]), (413, &json!("request_too_large")), "{number}: {error}");
    }
    // What says how large it is does not even begin.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let (requests, bytes) = upstream.seen();
    assert_eq!(requests, 3);
    assert!(bytes <= 3 * LIMIT, "{bytes}");
}

#[tokio::test]
async fn what_is_large_enough_gets_there_whole() {
    let (gateway, upstream) = gateway().await;
    let body = vec![b' '; LIMIT];
    let zstd = zstd::encode_all(&body[..], 0).unwrap();
    let requests = [
        [head(PATH, LIMIT, "").as_bytes(), &body].concat(),
        chunked(&body),
        [head(PATH, zstd.len(), "content-encoding: zstd\r\n").as_bytes(), &zstd].concat(),
    ];
    for (number, request) in (1..).zip(requests) {
        let mut client = gateway.connect().await;
        assert_eq!(client.say(request).await.answer().await.0, 200);
        assert_eq!(upstream.seen(), (number, number * LIMIT));
    }
}
