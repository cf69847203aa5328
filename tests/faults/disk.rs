//! A disk that loses what was not synced when the power is cut, and one that is full.
//!
//! `disk.c` stands between the gateway and its files: it copies each file when it is synced. After
//! a kill the copies are what the disk has for certain; of what was written since, each sector may
//! be there or not.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    client::{Outcome, Seen, Turn, get},
    gateway_with, rounds,
    support::{Gateway, TempDir},
    upstream::Upstream,
};

const SECTOR: usize = 512;

struct Disk {
    folder: TempDir,
    synchronous: &'static str,
}

impl Disk {
    fn new(synchronous: &'static str) -> Self {
        let disk = Self { folder: TempDir::new(), synchronous };
        for folder in ["files", "synced"] {
            fs::create_dir(disk.path(folder)).unwrap();
        }
        // SQLite is built with the same.
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/disk.c");
        let mut command = Command::new(compiler);
        command.args(["-O1", "-shared", "-fPIC", "-pthread", "-o"]).arg(disk.path("disk.so")).arg(source);
        assert!(command.status().unwrap().success(), "{source} is compiled");
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn gateway(&self, upstream: &Upstream) -> Gateway {
        let store = format!("sqlite:{}?synchronous={}", self.path("files/s.db").display(), self.synchronous);
        let paths = ["disk.so", "files", "synced", "full"].map(|name| self.path(name).display().to_string());
        let names = ["LD_PRELOAD", "DISK_FILES", "DISK_SYNCED", "DISK_FULL"];
        let env: Vec<_> = names.into_iter().zip(paths.iter().map(String::as_str)).collect();
        gateway_with(upstream, &store, &[], &env)
    }

    /// The files as they were last synced; if `torn`, with some of the sectors that were written
    /// since.
    fn cut_power(&self, torn: bool, seed: u64) {
        let mut random = Random(seed);
        for name in ["s.db", "s.db-wal"] {
            let read = |folder: &str| fs::read(self.path(folder).join(name)).ok();
            let (written, synced) = (read("files"), read("synced"));
            let (written, mut left) = (written.unwrap_or_default(), synced.unwrap_or_default());
            for (at, sector) in written.chunks(SECTOR).enumerate().filter(|_| torn) {
                if random.next() {
                    let at = at * SECTOR;
                    left.resize(left.len().max(at + sector.len()), 0);
                    left[at..at + sector.len()].copy_from_slice(sector);
                }
            }
            for folder in ["files", "synced"] {
                fs::write(self.path(folder).join(name), &left).unwrap();
            }
        }
        // It is never synced: whoever opens the file makes it anew.
        let _ = fs::remove_file(self.path("files/s.db-shm"));
    }
}

/// Xorshift: half of the sectors.
struct Random(u64);

impl Random {
    fn next(&mut self) -> bool {
        self.0 = if self.0 == 0 { 0x9e37_79b9_7f4a_7c15 } else { self.0 };
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.count_ones().is_multiple_of(2)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_keeps_through_a_power_cut_all_that_a_client_saw_the_end_of() {
    let (kept, lost) = power_cuts("full").await;
    assert_eq!(lost, 0);
    eprintln!("synchronous=full: {} power cuts, {kept} responses kept, 0 lost", rounds());
}

#[tokio::test(flavor = "multi_thread")]
async fn normal_loses_in_a_power_cut_the_last_moments_and_nothing_else() {
    let (kept, lost) = power_cuts("normal").await;
    assert!(lost > 0, "what was not synced is gone, or this test shows nothing");
    eprintln!("synchronous=normal: {} power cuts, {kept} responses kept, {lost} lost", rounds());
}

/// How many responses were there after power was cut under load, and how many were not. Of each
/// conversation those that are lost are the last ones, and what is there has its whole history.
async fn power_cuts(synchronous: &'static str) -> (usize, usize) {
    let (upstream, disk) = (Upstream::start().await, Disk::new(synchronous));
    let mut gateway = disk.gateway(&upstream);
    let old = Turn::after(None).ask(&gateway.url).await.answered();
    gateway.signal("TERM");
    assert!(gateway.wait(Duration::from_secs(20)).unwrap().success());
    assert!(disk.path("synced/s.db").exists(), "the library was preloaded");
    let (mut kept, mut lost) = (0, 0);
    for round in 0..rounds() {
        let mut gateway = disk.gateway(&upstream);
        let clients: Vec<_> = (0..4).map(|_| tokio::spawn(talk(gateway.url.clone()))).collect();
        tokio::time::sleep(Duration::from_millis(300 + 400 * (round as u64 % 5))).await;
        gateway.kill();
        disk.cut_power(round % 2 == 1, round as u64);
        let gateway = disk.gateway(&upstream);
        assert!(Turn::after(Some(&old)).ask(&gateway.url).await.answered().stored, "round {round}");
        for client in clients {
            let mut gone = false;
            for seen in client.await.unwrap() {
                let unknown = Turn::after(Some(&seen)).ask(&gateway.url).await.is_unknown();
                assert!(unknown || !gone, "round {round}: a response is there without the one it continues");
                gone = unknown;
                if unknown { lost += 1 } else { kept += 1 }
            }
        }
    }
    (kept, lost)
}

/// One conversation until the gateway dies, long and short turns.
async fn talk(gateway: String) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    loop {
        let bytes = if all.len() % 4 == 3 { 200_000 } else { 300 };
        match Turn::after(all.last()).bytes(bytes).ask(&gateway).await {
            Outcome::Answered(seen) => {
                assert!(seen.stored);
                all.push(seen);
            }
            Outcome::Broken(_) => return all,
            refused => panic!("{refused:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn normal_is_safe_soon_after() {
    let (upstream, disk) = (Upstream::start().await, Disk::new("normal"));
    let mut gateway = disk.gateway(&upstream);
    let first = Turn::after(None).ask(&gateway.url).await.answered();
    let second = Turn::after(Some(&first)).ask(&gateway.url).await.answered();
    tokio::time::sleep(Duration::from_secs(3)).await;
    gateway.kill();
    disk.cut_power(false, 0);
    let gateway = disk.gateway(&upstream);
    for seen in [first, second] {
        assert!(!Turn::after(Some(&seen)).ask(&gateway.url).await.is_unknown());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_no_answer_and_no_restart() {
    let (upstream, disk) = (Upstream::start().await, Disk::new("normal"));
    let gateway = disk.gateway(&upstream);
    let mut stored = Vec::new();
    for _ in 0..10 {
        let seen = Turn::after(stored.last()).ask(&gateway.url).await.answered();
        assert!(seen.stored);
        stored.push(seen);
    }
    fs::write(disk.path("full"), "").unwrap();
    let mut unstored = Vec::new();
    for previous in stored.iter().map(Some).chain([None; 10]) {
        let seen = Turn::after(previous).ask(&gateway.url).await.answered();
        assert!(!seen.stored, "it is delivered, and says that it is not kept");
        assert_eq!(get(&gateway.url, &seen.id).await.0, 404);
        unstored.push(seen);
    }
    fs::remove_file(disk.path("full")).unwrap();
    let start = Instant::now();
    while !Turn::after(None).ask(&gateway.url).await.answered().stored {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing has to be restarted");
    }
    for seen in &stored {
        assert!(!Turn::after(Some(seen)).ask(&gateway.url).await.is_unknown());
    }
    for seen in &unstored {
        assert!(Turn::after(Some(seen)).ask(&gateway.url).await.is_unknown());
    }
}
