//! A Cluster whose primaries fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tower_responses_testing::servers::Cluster;

use crate::{
    client::{Outcome, Seen, Turn},
    gateway, rounds,
    upstream::Upstream,
};

/// What became of the responses that were said to be kept.
#[derive(Debug, Default)]
struct Figures {
    kept: usize,
    lost: usize,
    unstored: usize,
    unavailable: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_had_when_it_took_over_is_kept() {
    let Some(mut cluster) = Cluster::start() else { return };
    let rounds = rounds().div_ceil(5);
    let store = cluster.url();
    for (replicas, wait) in [("", ""), ("with wait=1, ", "?wait=1")] {
        let store = format!("{store}{wait}");
        let mut figures = Figures::default();
        for _ in 0..rounds {
            fail_over(&mut cluster, &store, Duration::ZERO, &mut figures).await;
        }
        assert!(wait.is_empty() || figures.lost == 0, "{figures:?}");
        eprintln!("{replicas}{rounds} primaries killed: {figures:?}");
    }
}

/// The replica is cut off from its primary before that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_had_not_got_is_lost_unless_it_was_waited_for() {
    let Some(mut cluster) = Cluster::start() else { return };
    let store = cluster.url();
    for (replicas, wait) in [("", ""), ("with wait=1, ", "?wait=1")] {
        let mut figures = Figures::default();
        fail_over(&mut cluster, &format!("{store}{wait}"), Duration::from_secs(2), &mut figures).await;
        assert_eq!(figures.lost > 0, wait.is_empty(), "{figures:?}");
        eprintln!("{replicas}a primary killed whose replica was cut off 2 s before: {figures:?}");
    }
}

/// Kills a primary under load, and looks at what was said to be kept once its replica has taken
/// over.
async fn fail_over(cluster: &mut Cluster, store: &str, lag: Duration, figures: &mut Figures) {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, store);
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..12).map(|_| tokio::spawn(talk(gateway.url.clone(), over.clone()))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let node = tokio::task::block_in_place(|| cluster.kill_a_primary(lag));
    tokio::time::sleep(Duration::from_secs(3)).await;
    over.store(true, Ordering::SeqCst);
    let mut stored = Vec::new();
    for client in clients {
        let (seen, unavailable) = client.await.unwrap();
        figures.unavailable += unavailable;
        for seen in seen {
            if seen.stored { stored.push(seen) } else { figures.unstored += 1 }
        }
    }
    let start = Instant::now();
    for seen in &stored {
        // What is there is there with its whole history: the client looks at that.
        let mut outcome = Turn::after(Some(seen)).ask(&gateway.url).await;
        while outcome.is_unavailable() {
            assert!(start.elapsed() < Duration::from_secs(30), "the replica does not take over");
            outcome = Turn::after(Some(seen)).ask(&gateway.url).await;
        }
        if outcome.is_unknown() { figures.lost += 1 } else { figures.kept += 1 }
    }
    tokio::task::block_in_place(|| cluster.restart(node));
}

/// Conversations of three turns. Each turn is answered, or refused for now, or what it continues
/// was lost.
async fn talk(gateway: String, over: Arc<AtomicBool>) -> (Vec<Seen>, usize) {
    let (mut all, mut unavailable, mut turns) = (Vec::new(), 0, 0);
    let mut last: Option<Seen> = None;
    while !over.load(Ordering::SeqCst) {
        match Turn::after(last.as_ref()).ask(&gateway).await {
            Outcome::Answered(seen) => {
                turns += 1;
                last = (seen.stored && turns % 3 != 0).then(|| seen.clone());
                all.push(seen);
            }
            refused if refused.is_unavailable() => {
                unavailable += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            refused if refused.is_unknown() => last = None,
            other => panic!("{other:?}"),
        }
    }
    (all, unavailable)
}
