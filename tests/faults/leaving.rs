//! Clients that leave.

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::{BodyExt, Full};

use crate::{
    client::{Seen, Turn, get},
    gateway_with,
    kills::exported,
    support::{Gateway, TempDir, send},
    upstream::{Upstream, held_after},
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_unless_told_so() {
    let (upstream, folder) = (Upstream::start().await, TempDir::new());
    let store = format!("sqlite:{}", folder.0.join("s.db").display());
    let gateway = gateway_with(&upstream, &store, &[], &[]);
    let first = Turn::after(None).ask(&gateway.url).await.answered();
    let left = leave_in_the_middle(&upstream, &gateway, &first).await;
    leave_before_it_begins(&upstream, &gateway, &first).await;
    within_ten_seconds(async || upstream.left() == 2, "the upstream is told to stop").await;
    upstream.release();
    assert_eq!(get(&gateway.url, &left.id).await.0, 404);
    assert_eq!(exported(&store).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_finished_can_be_read_and_continued() {
    let (upstream, folder) = (Upstream::start().await, TempDir::new());
    let store = format!("sqlite:{}", folder.0.join("s.db").display());
    let gateway = gateway_with(&upstream, &store, &["--finish-abandoned", "2"], &[]);
    // Read to its very end: who leaves right after the last event has left, too.
    let first = Turn::after(None).object().ask(&gateway.url).await.answered();
    let left = leave_in_the_middle(&upstream, &gateway, &first).await;
    leave_before_it_begins(&upstream, &gateway, &first).await;
    let two = async || counted(&gateway, "abandoned_finished").await == 2;
    within_ten_seconds(two, "two go on").await;
    // There is no place for a third, of either kind.
    let beyond = leave_in_the_middle(&upstream, &gateway, &first).await;
    leave_before_it_begins(&upstream, &gateway, &first).await;
    within_ten_seconds(async || upstream.left() == 2, "the others are cancelled").await;
    assert_eq!(counted(&gateway, "abandoned_dropped").await, 2);
    assert_eq!(get(&gateway.url, &left.id).await.0, 404, "it is not there before it is finished");

    upstream.release();
    within_ten_seconds(async || exported(&store).len() == 3, "two are finished and kept").await;
    assert_eq!(get(&gateway.url, &left.id).await.1["status"], "completed");
    assert!(Turn::after(Some(&left)).ask(&gateway.url).await.answered().stored);
    assert_eq!(get(&gateway.url, &beyond.id).await.0, 404);
}

async fn leave_in_the_middle(upstream: &Upstream, gateway: &Gateway, previous: &Seen) -> Seen {
    let (turn, held) = (Turn::after(Some(previous)), upstream.held());
    let answer = turn.held(&gateway.url, 3).await;
    within_ten_seconds(async || upstream.held() > held, "the upstream waits").await;
    turn.seen_as(answer.id().expect("an id"))
}

async fn leave_before_it_begins(upstream: &Upstream, gateway: &Gateway, previous: &Seen) {
    let (turn, url) = (Turn::after(Some(previous)).model(&held_after(0)).object(), gateway.url.clone());
    let held = upstream.held();
    let asked = tokio::spawn(async move { turn.ask(&url).await });
    within_ten_seconds(async || upstream.held() > held, "the upstream is asked").await;
    asked.abort();
}

/// A figure of `/metrics`; 0 if there is none.
async fn counted(gateway: &Gateway, name: &str) -> usize {
    let request = Request::get(format!("{}/metrics", gateway.url)).body(Full::default()).unwrap();
    let text = send(request).await.into_body().collect().await.unwrap().to_bytes();
    let (text, name) = (String::from_utf8(text.to_vec()).unwrap(), format!("tower_responses_{name}_total "));
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}

async fn within_ten_seconds(is_so: impl AsyncFn() -> bool, what: &str) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
