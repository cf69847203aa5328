//! The thread that removes what has expired, syncs the log and writes it back.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    SqliteOptions, Synchronous,
    file::{Log, Presence, beside},
    read, remove, schema,
    writer::Handle,
};
use crate::{StoreError, time::horizon};

/// Ends the thread when dropped.
pub(super) struct Upkeep {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Work {
    connection: Connection,
    page_size: u64,
    synchronous: Synchronous,
    log: PathBuf,
    writer: Handle,
    presence: Arc<Presence>,
    ttl: Duration,
}

/// How often the files are looked at.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);

/// From which size on the log is written back when nobody adds to it, and when somebody does: then
/// it would take from what turns need.
const CHECKPOINT_FROM: u64 = 4 << 20;
const CHECKPOINT_BUSY_FROM: u64 = 64 << 20;

/// From how many pages in the log on the writer is asked to let it begin anew.
const RESTART_FROM: u64 = 4096;

/// How often the log is synced where commits do not wait for that: how much a power cut can cost.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How often texts and parts are looked for that nothing uses.
const UNUSED_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Upkeep {
    pub(super) fn start(
        path: &Path,
        writer: Handle,
        presence: Arc<Presence>,
        options: &SqliteOptions,
    ) -> Result<Self, StoreError> {
        let log = beside(path, "-wal");
        let (connection, synchronous) = (schema::open_upkeep(path)?, options.synchronous);
        let (ttl, every) = (options.store.ttl, options.upkeep);
        let page_size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let page_size = u64::try_from(page_size).unwrap_or_default();
        let work = Work { connection, page_size, synchronous, log, writer, presence, ttl };
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-upkeep".into())
            .spawn(move || work.serve(&stopped, every))
            .map_err(|error| StoreError::unavailable("no thread could be started").with_source(error))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Work {
    fn serve(&self, stopped: &mpsc::Receiver<()>, every: Duration) {
        let mut expired = Instant::now();
        let mut unused = Instant::now();
        let mut synced = Instant::now();
        let (mut folder_synced, mut log) = (false, Log::default());
        let tick = CHECKPOINT_EVERY.min(every);
        while stopped.recv_timeout(tick) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Should a task that was to call the writer never have been polled again.
            self.writer.call();
            self.presence.look(&mut log);
            if self.presence.is_gone() {
                continue;
            }
            self.report("the log could not be written back", self.checkpoint());
            let since = synced.elapsed();
            if self.synchronous == Synchronous::Normal && since >= SYNC_EVERY {
                synced = Instant::now();
                self.report("the log could not be synced", self.sync(since, &mut folder_synced));
            }
            if expired.elapsed() >= every {
                self.report("expired conversations could not be removed", self.expire(stopped));
                expired = Instant::now();
            }
            if unused.elapsed() >= UNUSED_EVERY {
                self.report("what nothing uses could not be removed", self.remove_unused());
                unused = Instant::now();
            }
        }
    }

    fn report(&self, what: &str, result: Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::warn!(%error, log = %self.log.display(), "{what}");
        }
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        let Ok(log) = std::fs::metadata(&self.log) else { return Ok(()) };
        let is_quiet = log.modified().and_then(|written| written.elapsed().map_err(std::io::Error::other));
        let is_quiet = is_quiet.is_ok_and(|age| age >= CHECKPOINT_EVERY);
        let from = if is_quiet { CHECKPOINT_FROM } else { CHECKPOINT_BUSY_FROM };
        // A file that has been longer does not become shorter: it does not say how long the log is.
        if log.len() < from || self.log_pages("PRAGMA wal_checkpoint(NOOP)")? * self.page_size < from {
            return Ok(());
        }
        // Passive: it waits for nobody, and nobody waits for it.
        if self.log_pages("PRAGMA wal_checkpoint(PASSIVE)")? > RESTART_FROM {
            self.writer.restart_log();
        }
        Ok(())
    }

    fn log_pages(&self, checkpoint: &str) -> Result<u64, StoreError> {
        let pages = self.connection.query_row(checkpoint, [], |row| row.get::<_, i64>(1))?;
        Ok(u64::try_from(pages).unwrap_or_default())
    }

    /// Syncs the log if it was written since it was synced last. Nobody waits for it, and SQLite
    /// has no locks on the log, which closing it here would end.
    fn sync(&self, since: Duration, folder_synced: &mut bool) -> Result<(), StoreError> {
        let Ok(written) = std::fs::metadata(&self.log).and_then(|log| log.modified()) else { return Ok(()) };
        if written.elapsed().is_ok_and(|age| age > since + SYNC_EVERY) {
            return Ok(());
        }
        let failed = |error| StoreError::unavailable("the disk").with_source(error);
        File::open(&self.log).and_then(|log| log.sync_data()).map_err(failed)?;
        // The name of the log as well: SQLite makes it with the first write.
        if cfg!(unix) && !std::mem::replace(folder_synced, true) {
            let folder = self.log.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    fn expire(&self, stopped: &mpsc::Receiver<()>) -> Result<(), StoreError> {
        let horizon = horizon(self.ttl);
        for step in read::older(&self.connection, horizon)?.chunks(remove::STEP) {
            let step = step.to_vec();
            let work = self.writer.run(0, move |connection, _| remove::conversations(connection, &step, horizon));
            let removed = wait(work)?;
            metrics::counter!("tower_responses_store_expired_conversations_total").increment(removed.conversations);
            // Turns that wait get in between.
            if stopped.recv_timeout(Duration::from_millis(5)) != Err(mpsc::RecvTimeoutError::Timeout) {
                break;
            }
        }
        Ok(())
    }

    fn remove_unused(&self) -> Result<(), StoreError> {
        let unused = read::unused_texts(&self.connection)?;
        wait(self.writer.run(0, move |connection, known| remove::unused(connection, known, &unused)))
    }
}

/// Blocks this thread, which is ours.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upkeep")
    }
}
