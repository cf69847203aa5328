//! SIGKILL.

use std::time::Duration;

use serde_json::Value;
use tower_responses_testing::servers::Postgres;

use crate::{
    client::{Outcome, Seen, Turn, get},
    gateway, rounds,
    support::{Gateway, TempDir},
    upstream::{DELTAS, Upstream},
};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_what_a_client_saw_the_end_of() {
    let folder = TempDir::new();
    killed_after_the_end(&format!("sqlite:{}", folder.0.join("s.db").display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_what_a_client_saw_the_end_of() {
    let Some(server) = Postgres::start() else { return };
    killed_after_the_end(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_shows_nothing_of_what_was_cut() {
    let folder = TempDir::new();
    killed_in_the_middle(&format!("sqlite:{}", folder.0.join("s.db").display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_shows_nothing_of_what_was_cut() {
    let Some(server) = Postgres::start() else { return };
    killed_in_the_middle(&server.url()).await;
}

/// Several clients, and the kill as soon as the first of them has its last event. What any of them
/// saw the end of has to be there.
async fn killed_after_the_end(store: &str) {
    let upstream = Upstream::start().await;
    let (mut ends, mut all): (Vec<Seen>, usize) = (Vec::new(), 0);
    for round in 0..rounds() {
        let mut gateway = gateway(&upstream, store);
        let mut tips = vec![None; 4];
        for (end, tip) in ends.iter().zip(&mut tips) {
            *tip = Some(continued(&gateway, end, round).await);
        }
        let (first, mut others) = (tips.remove(0), Vec::new());
        for tip in tips {
            others.push(tokio::spawn(turns_until_it_breaks(gateway.url.clone(), tip)));
        }
        let turn = Turn::after(first.as_ref());
        let turn = if round % 3 == 2 { turn.object() } else { turn };
        let seen = turn.ask(&gateway.url).await.answered();
        gateway.kill();
        assert!(seen.stored);
        ends = vec![seen];
        for other in others {
            let (more, last) = other.await.unwrap();
            all += more;
            ends.extend(last);
        }
        all += 1;
    }
    let gateway = gateway(&upstream, store);
    for end in &ends {
        continued(&gateway, end, rounds()).await;
    }
    eprintln!("{} kills, {all} responses seen to their end, 0 lost", rounds());
}

async fn turns_until_it_breaks(gateway: String, mut last: Option<Seen>) -> (usize, Option<Seen>) {
    for count in 0.. {
        match Turn::after(last.as_ref()).ask(&gateway).await {
            Outcome::Answered(seen) => last = Some(seen),
            Outcome::Broken(_) => return (count, last),
            refused => panic!("{refused:?}"),
        }
    }
    unreachable!("it breaks")
}

/// # Panics
/// If it cannot be read and continued with its whole history.
async fn continued(gateway: &Gateway, seen: &Seen, round: usize) -> Seen {
    assert_eq!(get(&gateway.url, &seen.id).await.0, 200, "round {round}");
    let next = Turn::after(Some(seen)).ask(&gateway.url).await.answered();
    assert!(next.stored, "round {round}");
    next
}

/// The kill comes once in a pause of the upstream, at another delta each time, and once at any
/// moment, also while the response is being stored.
async fn killed_in_the_middle(store: &str) {
    let upstream = Upstream::start().await;
    let (mut last, mut stored, mut whole, mut unsure) = (None, 0, 0, 0);
    for round in 0..rounds() {
        let mut gateway = gateway(&upstream, store);
        let seen = Turn::after(last.as_ref()).ask(&gateway.url).await.answered();
        stored += 1;
        let turn = Turn::after(Some(&seen));
        let cut = if round % 2 == 0 {
            let answer = turn.held(&gateway.url, 1 + round / 2 % (DELTAS - 1)).await;
            gateway.kill();
            answer.id().expect("an id")
        } else {
            let url = gateway.url.clone();
            let asked = tokio::spawn(async move { turn.ask(&url).await });
            tokio::time::sleep(Duration::from_millis(3 * (round as u64 % 30))).await;
            gateway.kill();
            match asked.await.unwrap() {
                Outcome::Answered(seen) => seen.id,
                Outcome::Broken(id) => id.unwrap_or_default(),
                refused @ Outcome::Refused { .. } => panic!("{refused:?}"),
            }
        };
        let gateway = crate::gateway(&upstream, store);
        match get(&gateway.url, if cut.is_empty() { "resp_none" } else { &cut }).await {
            // The kill may have come before the id and after the write, or a commit after the answer.
            (404, _) => unsure += round % 2,
            (200, response) if round % 2 == 1 => {
                assert_eq!(
                    (&response["status"], response["output"].as_array().unwrap().len()),
                    (&"completed".into(), 1)
                );
                (stored, whole) = (stored + 1, whole + 1);
            }
            other => panic!("round {round}: {other:?}"),
        }
        let next = Turn::after(Some(&seen)).ask(&gateway.url).await.answered();
        assert!(next.stored);
        stored += 1;
        last = Some(next);
    }
    let found = exported(store);
    for response in &found {
        let items = response["output"].as_array().map(Vec::len);
        assert_eq!((&response["status"], items), (&"completed".into(), Some(1)), "{response}");
    }
    let found = found.len();
    assert!((stored..=stored + unsure).contains(&found), "{found} are in the store, and {stored} were seen");
    eprintln!("{} kills in a stream, {whole} of them after the write; nothing half-written", rounds());
}

/// All that is in a store.
pub(crate) fn exported(store: &str) -> Vec<Value> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tower-responses"))
        .args(["store", "export", "--store", store])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test may parse what it pleases")]
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    lines.lines().map(|line| parse(line)["response"].clone()).collect()
}
