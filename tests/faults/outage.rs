//! A database that stops under load and comes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tower_responses_testing::servers::Postgres;

use crate::{
    client::{Outcome, Seen, Turn},
    gateway,
    upstream::{Upstream, held_after},
};

/// Of a client, between two turns.
const PAUSE: Duration = Duration::from_millis(10);

/// What the clients saw.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    unavailable: AtomicUsize,
}

impl Load {
    /// New conversations: each turn is answered, whatever the database does.
    async fn begin(self: Arc<Self>, gateway: String) -> Vec<Seen> {
        let mut all = Vec::new();
        while !self.over.load(Ordering::SeqCst) {
            all.push(Turn::after(None).ask(&gateway).await.answered());
            tokio::time::sleep(PAUSE).await;
        }
        all
    }

    /// One conversation: each turn is answered, or it is said that it cannot be for now.
    async fn go_on(self: Arc<Self>, gateway: String, mut last: Seen) -> Vec<Seen> {
        let mut all = Vec::new();
        while !self.over.load(Ordering::SeqCst) {
            match Turn::after(Some(&last)).ask(&gateway).await {
                Outcome::Answered(seen) => {
                    if seen.stored {
                        last = seen.clone();
                    }
                    all.push(seen);
                }
                refused if refused.is_unavailable() => {
                    self.unavailable.fetch_add(1, Ordering::SeqCst);
                }
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_costs_no_answer_and_no_restart() {
    let Some(mut server) = Postgres::start() else { return };
    let seconds = std::env::var("TOWER_RESPONSES_OUTAGE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let away = Duration::from_secs(seconds.unwrap_or(2));
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &server.url());
    let mut before = Vec::new();
    for _ in 0..4 {
        before.push(Turn::after(None).ask(&gateway.url).await.answered());
    }

    let load = Arc::new(Load::default());
    let mut clients = Vec::new();
    for last in &before {
        clients.push(tokio::spawn(load.clone().begin(gateway.url.clone())));
        clients.push(tokio::spawn(load.clone().go_on(gateway.url.clone(), last.clone())));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    // These begin before the database stops, and end after.
    let mut in_flight = Vec::new();
    for last in before.iter().map(Some).chain([None; 4]) {
        let (turn, url) = (Turn::after(last).model(&held_after(5)), gateway.url.clone());
        in_flight.push(tokio::spawn(async move { turn.ask(&url).await.answered() }));
    }
    while upstream.held() < in_flight.len() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::task::block_in_place(|| server.kill());
    upstream.release();
    for answer in in_flight {
        assert!(!answer.await.unwrap().stored, "it is delivered, and says that it is not kept");
    }
    tokio::time::sleep(away).await;
    tokio::task::block_in_place(|| server.restart());
    let back = Instant::now();
    while Turn::after(Some(&before[0])).ask(&gateway.url).await.is_unavailable() {
        assert!(back.elapsed() < Duration::from_secs(10), "nothing has to be restarted");
    }
    let back = back.elapsed();
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.over.store(true, Ordering::SeqCst);

    let (mut stored, mut unstored) = (before, Vec::new());
    for client in clients {
        for seen in client.await.unwrap() {
            if seen.stored { stored.push(seen) } else { unstored.push(seen) }
        }
    }
    assert!(load.unavailable.load(Ordering::SeqCst) > 0 && !unstored.is_empty(), "it was away under load");
    for seen in &stored {
        assert!(!Turn::after(Some(seen)).ask(&gateway.url).await.is_unknown(), "all that was said to be kept is there");
    }
    // The answer to a commit may have been lost, once for each client; that is no harm.
    let mut there = 0;
    for seen in &unstored {
        there += usize::from(!Turn::after(Some(seen)).ask(&gateway.url).await.is_unknown());
    }
    assert!(there <= 8, "{there} of {} were kept though it was said that they were not", unstored.len());
    eprintln!(
        "away for {away:?}: {} responses kept, 0 lost; {} and 8 that were in flight delivered with store: false; \
         {} continuations got 503; the first was answered {} ms after the database was back",
        stored.len(),
        unstored.len(),
        load.unavailable.load(Ordering::SeqCst),
        back.as_millis()
    );
}
