use std::{
    error::Error,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{time::ClockId, unistd::Pid};

/// What another process takes.
pub struct Process {
    pid: i32,
    clock: ClockId,
}

impl Process {
    pub fn new(pid: i32) -> Result<Self, Box<dyn Error>> {
        Ok(Self { pid, clock: ClockId::pid_cpu_clock_id(Pid::from_raw(pid))? })
    }

    /// CPU time of all its threads, also of those that have ended, to the nanosecond.
    pub fn cpu(&self) -> nix::Result<Duration> {
        Ok(self.clock.now()?.into())
    }

    pub fn rss_kb(&self) -> u64 {
        rss_kb(self.pid)
    }

    /// Watches its memory until it is told to stop.
    pub fn watch(&self) -> Peak {
        let (pid, over) = (self.pid, Arc::new(AtomicBool::new(false)));
        let seen = over.clone();
        let watcher = thread::spawn(move || {
            let mut peak = rss_kb(pid);
            while !seen.load(Relaxed) {
                thread::sleep(Duration::from_millis(20));
                peak = peak.max(rss_kb(pid));
            }
            peak
        });
        Peak { over, watcher }
    }
}

pub struct Peak {
    over: Arc<AtomicBool>,
    watcher: JoinHandle<u64>,
}

impl Peak {
    pub fn stop(self) -> u64 {
        self.over.store(true, Relaxed);
        self.watcher.join().unwrap_or_default()
    }
}

fn rss_kb(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
