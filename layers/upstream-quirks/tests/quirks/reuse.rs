//! vLLM ends its body a moment after the terminal event. The connection is used again.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    time::{Instant, sleep},
};
use tower_responses_upstream_quirks::{Profile, UpstreamQuirksLayer};

use crate::rig::{ask, client, kept_alive, read_request, see};

#[tokio::test]
async fn connections_are_used_again() {
    let made = Arc::new(AtomicUsize::new(0));
    let upstream = serve(made.clone()).await;
    // A machine that is busy may take its time to see the end.
    let layer = UpstreamQuirksLayer::new(Profile::Vllm).linger(Duration::from_millis(500));
    let client = client();
    for _ in 0..50 {
        let response = ask(&layer, client.clone(), upstream, &json!({"input": "hi", "stream": true})).await;
        let seen = see(response, Instant::now(), Duration::from_secs(30)).await;
        assert_eq!(seen.last()["type"], "response.completed");
    }
    let made = made.load(Ordering::SeqCst);
    assert!(made <= 2, "{made} connections for 50 streams");
}

/// An upstream that counts its connections.
async fn serve(made: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            made.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let raw = kept_alive("good-text");
                let (stream, end) = raw.split_at(raw.len() - 5);
                while read_request(&mut connection).await.is_ok_and(|request| !request.is_empty()) {
                    if connection.write_all(stream).await.is_err() {
                        return;
                    }
                    sleep(Duration::from_millis(1)).await;
                    if connection.write_all(end).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
