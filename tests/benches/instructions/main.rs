//! How many instructions a request takes on its way through the layers and through the gateway,
//! answer included. Read by `tests/benches/instructions.sh`, which runs this under callgrind; by
//! itself it only checks that all answers are right.
//!
//! A row is `THROUGH SCENARIO STORE`:
//!
//! - `stack`: all layers around a service that answers at once, called without a socket.
//! - `gateway`: the service and the server of the program, on sockets, between a client and an
//!   upstream that do as little as they can. All three share one thread, so their work is in the
//!   figure: about 10,000 instructions of an answer that is an object, 2,500 of each event. Metrics
//!   are counted, and nothing is logged.
//!
//! The scenarios stand in `scenario.rs`, what answers them in `answer.rs`. With `none` a request
//! says `"store": false`, else it is kept in that store.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "nothing of this comes from strangers")]

mod answer;
mod client;
mod scenario;
mod server;
mod stack;
mod through;

use std::hint::black_box;

use tokio::runtime::Runtime;

use self::{
    scenario::SCENARIOS,
    through::{Path, ROWS, Through},
};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Goes through the rows with all the words on the command line. With `--list` it only
/// says which these are.
fn main() {
    // The figures of `/metrics` are part of the work.
    metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().unwrap();
    let (flags, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with('-'));
    for (through, stores) in ROWS {
        for scenario in SCENARIOS {
            for store in *stores {
                let name = format!("{} {} {}", through.name(), scenario.name, store.name());
                if !words.iter().all(|word| name.split(' ').any(|part| part == word)) {
                    continue;
                }
                println!("{} {name}", scenario.count);
                if !flags.iter().any(|flag| flag == "--list") {
                    row(*through, scenario, *store);
                }
            }
        }
    }
}

fn row(through: Through, scenario: &'static scenario::Scenario, store: through::Store) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = Folder::new();
    let mut path = runtime.block_on(Path::open(through, scenario, store, &folder.0));
    let answer = String::from_utf8_lossy(runtime.block_on(path.exchange())).into_owned();
    scenario.check(&answer, store);
    // Buffers, caches and statements are what they will be.
    for _ in 0..scenario.count {
        runtime.block_on(path.exchange());
    }
    measured(&runtime, &mut path, scenario.count);
}

/// What is counted. The script knows this function by its name.
#[inline(never)]
fn measured(runtime: &Runtime, path: &mut Path, count: usize) {
    runtime.block_on(async {
        for _ in 0..count {
            black_box(path.exchange().await);
        }
    });
    black_box(());
}

/// A folder for a store, in memory where the system has such a place.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("tower-responses-instructions-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
