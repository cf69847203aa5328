//! A gateway with everything that is done to it, and what is expected of it meanwhile.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    kinds::Kind,
    process::Process,
    support::{Gateway, TempDir},
    upstream::Upstream,
    victim,
};

/// What a gateway has, as a container gives it.
const MEMORY: usize = 256 << 20;
/// As in `gateway.toml`.
pub(crate) const REQUEST_BYTES: usize = 512 << 10;
/// Longer than what a gateway waits for a head, or for more of a body.
const PATIENCE: Duration = Duration::from_secs(45);
/// In which the clients of a kind come, one after the other.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Between two deeds of a client.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a gateway may take to end that has nothing to answer.
const END: Duration = Duration::from_secs(5);

/// Whom everybody talks to, and what was found wrong with it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) gateway: SocketAddr,
    faults: Mutex<BTreeMap<String, usize>>,
    ended: AtomicBool,
}

impl Target {
    /// Something that must not be. The same is told once, with its number.
    pub(crate) fn fault(&self, what: impl Into<String>) {
        *self.faults.lock().unwrap().entry(what.into()).or_default() += 1;
    }

    /// Whether it is all over.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Waits for what the gateway must not let wait for long.
    pub(crate) async fn patience(&self, closed: impl Future<Output = ()>) {
        if timeout(PATIENCE, closed).await.is_err() {
            self.fault(format!("a connection that said no more was open after {PATIENCE:?}"));
        }
    }
}

fn duration() -> Duration {
    let seconds = std::env::var("TOWER_RESPONSES_ABUSE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// Lets these kinds of clients at a gateway, with one of good will among them.
pub(crate) async fn run(kinds: &[Kind]) {
    let upstream = Upstream::start().await;
    let folder = TempDir::new();
    let config = folder.0.join("gateway.toml");
    std::fs::write(&config, include_str!("gateway.toml").replace("{UPSTREAM}", upstream.url())).unwrap();
    let store = format!("sqlite:{}", folder.0.join("responses.db").display());
    let args = ["--config", config.to_str().unwrap(), "--store", &store];
    let mut gateway = Gateway::start_with(&args, &[("RUST_LOG", "off")]);
    let address = gateway.url.strip_prefix("http://").unwrap().parse().unwrap();
    let target = Arc::new(Target { gateway: address, faults: Mutex::default(), ended: AtomicBool::new(false) });
    let process = Process::new(gateway.id());

    let until = Instant::now() + duration();
    let (mut busy, mut idle) = (JoinSet::new(), JoinSet::new());
    for kind in kinds {
        let clients = if kind.is_idle() { &mut idle } else { &mut busy };
        for client in 0..kind.clients() {
            clients.spawn(abuse(target.clone(), *kind, client));
        }
    }
    let good = tokio::spawn(victim::live(target.clone()));
    while Instant::now() < until && !target.has_ended() {
        match process.high_water() {
            Some(most) if most <= MEMORY => sleep(Duration::from_millis(20)).await,
            Some(most) => {
                target.fault(format!("it took {} MB", most >> 20));
                target.end();
            }
            None => {
                target.fault("it ended by itself");
                target.end();
            }
        }
    }
    let killed = target.has_ended();
    target.end();
    println!("{}", good.await.unwrap());
    println!("{} MB at most", process.high_water().unwrap_or_default() >> 20);
    if killed {
        gateway.kill();
    } else {
        // What is being answered may be answered to its end: so nobody is there who asked.
        busy.shutdown().await;
        sleep(Duration::from_secs(1)).await;
        end(&mut gateway, &target).await;
    }
    if upstream.largest_upload() > REQUEST_BYTES {
        target.fault(format!("the upstream got an upload of {} KB", upstream.largest_upload() >> 10));
    }
    let faults = target.faults.lock().unwrap();
    assert!(faults.is_empty(), "{kinds:?}: {faults:#?}");
}

async fn abuse(target: Arc<Target>, kind: Kind, client: usize) {
    sleep(ARRIVAL * u32::try_from(client).unwrap() / u32::try_from(kind.clients()).unwrap()).await;
    for round in 0.. {
        if target.has_ended() {
            break;
        }
        kind.act(&target, client, round).await;
        sleep(PAUSE).await;
    }
}

/// Those who say nothing are still there.
async fn end(gateway: &mut Gateway, target: &Target) {
    let told = Instant::now();
    gateway.signal("TERM");
    match tokio::task::block_in_place(|| gateway.wait(END)) {
        Some(status) if status.success() => println!("ended {:?} after SIGTERM", told.elapsed()),
        Some(status) => target.fault(format!("it ended with {status}")),
        None => target.fault(format!("{END:?} after SIGTERM it was still there")),
    }
}
