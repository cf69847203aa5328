//! Asks one gateway the same thing over and over, from a number of connections that are kept, and
//! says what it took. Each connection asks again when it has its answer.
//!
//! `load JOB`, where JOB is the JSON of [`Job`]; prints the JSON of [`Report`].

mod check;
mod connection;
mod process;

use std::{
    cell::Cell,
    collections::BTreeMap,
    error::Error,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use crate::{
    check::{Expected, Found},
    connection::{Connection, Timed},
    process::Process,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    port: u16,
    /// A file with the body of the requests.
    body: PathBuf,
    connections: usize,
    requests: usize,
    /// Requests on each connection before anything is measured.
    warm: usize,
    /// After this no new request is made.
    limit_s: f64,
    /// The process that is measured.
    pid: i32,
    expect: Expected,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    requests: usize,
    /// What was wrong with answers, and how often.
    wrong: BTreeMap<String, usize>,
    seconds: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Until the first piece of the body.
    first_ms: f64,
    cpu_s: f64,
    rss_before_kb: u64,
    rss_peak_kb: u64,
    /// Events in each answer.
    events: usize,
    last_id: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let job: Job = serde_json::from_str(&std::env::args().nth(1).ok_or("usage: load JOB")?)?;
    let report = LocalSet::new().run_until(measure(Rc::new(job))).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn measure(job: Rc<Job>) -> Result<Report, Box<dyn Error>> {
    let body = Bytes::from(std::fs::read(&job.body)?);
    let process = Process::new(job.pid)?;
    let rss_before_kb = process.rss_kb();
    let mut connections = Vec::new();
    for _ in 0..job.connections {
        connections.push(Connection::open(job.port, body.clone()).await?);
    }
    for _ in 0..job.warm {
        let round = connections.drain(..).map(|mut connection| {
            tokio::task::spawn_local(async move { connection.exchange().await.map(|_| connection) })
        });
        for connection in round.collect::<Vec<_>>() {
            connections.push(connection.await??);
        }
    }

    let peak = process.watch();
    let (before, start) = (process.cpu()?, Instant::now());
    let left = Rc::new(Cell::new(job.requests));
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::task::spawn_local(ask(connection, job.clone(), left.clone(), start)))
        .collect();
    let mut exchanges = Vec::new();
    for task in tasks {
        exchanges.extend(task.await?);
    }
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), process.cpu()? - before);
    let mut report = summary(exchanges);
    (report.seconds, report.cpu_s) = (seconds, cpu.as_secs_f64());
    (report.rss_before_kb, report.rss_peak_kb) = (rss_before_kb, peak.stop());
    Ok(report)
}

type Exchange = Result<(Timed, Found), String>;

/// One connection's requests, one after the other.
async fn ask(mut connection: Connection, job: Rc<Job>, left: Rc<Cell<usize>>, start: Instant) -> Vec<Exchange> {
    let limit = Duration::from_secs_f64(job.limit_s);
    let mut exchanges = Vec::new();
    while left.get() > 0 && start.elapsed() < limit {
        left.set(left.get() - 1);
        let exchange = connection.exchange().await.map_err(|error| error.to_string());
        // The time has been taken already.
        let exchange = exchange.and_then(|timed| job.expect.check(&timed).map(|found| (timed.without_body(), found)));
        let broken = !connection.is_open();
        exchanges.push(exchange);
        if broken {
            match Connection::open(job.port, connection.body()).await {
                Ok(next) => connection = next,
                Err(error) => {
                    exchanges.push(Err(error.to_string()));
                    break;
                }
            }
        }
    }
    exchanges
}

fn summary(exchanges: Vec<Exchange>) -> Report {
    let mut report = Report { requests: exchanges.len(), ..Report::default() };
    let (mut whole, mut first) = (Vec::new(), Vec::new());
    for exchange in exchanges {
        match exchange {
            Ok((timed, found)) => {
                whole.push(timed.whole);
                first.push(timed.first);
                report.events = found.events;
                report.last_id = Some(found.id);
            }
            Err(error) => *report.wrong.entry(error).or_default() += 1,
        }
    }
    report.p50_ms = quantile(&mut whole, 0.5);
    report.p99_ms = quantile(&mut whole, 0.99);
    report.first_ms = quantile(&mut first, 0.5);
    report
}

/// In milliseconds.
fn quantile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    let at = (times.len() as f64 * part) as usize;
    times.get(at.min(times.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
