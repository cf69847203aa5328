//! Stores behind TLS, with an authority of the operator's own.

use tower_responses_testing::servers::{Postgres, Redis};

use crate::{client::Turn, gateway, upstream::Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn postgres_behind_tls() {
    let Some(server) = Postgres::start_with_tls() else { return };
    let url = format!("{}?sslmode=require", server.url());
    converse(&format!("{url}&sslrootcert={}", server.authority().display())).await;
    refused(&url);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_behind_tls() {
    let Some(server) = Redis::start_with_tls() else { return };
    converse(&format!("{}?sslrootcert={}", server.url(), server.authority().display())).await;
    refused(&server.url());
}

async fn converse(store: &str) {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, store);
    let first = Turn::after(None).ask(&gateway.url).await.answered();
    let second = Turn::after(Some(&first)).ask(&gateway.url).await.answered();
    assert!(first.stored && second.stored);
}

/// Mozilla's roots have not signed it.
fn refused(store: &str) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tower-responses"))
        .args(["store", "stats", "--store", store])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.to_lowercase().contains("certificate"), "{said}");
}
