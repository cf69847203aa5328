//! The thread that writes, and commits what waits together.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    parts::KnownParts,
    session::{Session, Statement},
    texts::KnownTexts,
};
use crate::{StoreError, StoreFuture};

/// Ends the thread when dropped, after all that was queued.
pub(super) struct Writer {
    handle: Option<Handle>,
    thread: Option<JoinHandle<()>>,
}

/// Queues work for the thread.
#[derive(Clone)]
pub(super) struct Handle {
    queue: mpsc::Sender<Queued>,
    queued: Arc<AtomicUsize>,
    restart_log: Arc<AtomicBool>,
}

/// What the thread knows of the file without asking it.
#[derive(Default)]
pub(super) struct Known {
    pub(super) texts: KnownTexts,
    pub(super) parts: KnownParts,
}

struct Queued {
    job: Box<dyn Job>,
    size: usize,
}

/// Work that may have to be done again: in a transaction of its own, if one that it shared failed.
trait Job: Send {
    fn run(&mut self, session: &mut Session<'_>, known: &mut Known) -> Result<(), StoreError>;
    fn finish(self: Box<Self>, result: Result<(), StoreError>);
}

struct Task<T, F> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&mut Session<'_>, &mut Known) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, session: &mut Session<'_>, known: &mut Known) -> Result<(), StoreError> {
        self.value = Some((self.work)(session, known)?);
        Ok(())
    }

    fn finish(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let done = result.and_then(|()| value.ok_or_else(|| StoreError::unavailable("the work was not done")));
        // Whoever asked may have left.
        let _ = reply.send(done);
    }
}

/// More bytes than this do not wait to be written.
const MAX_QUEUED: usize = 256 << 20;

/// What one transaction takes at most, in jobs and in bytes.
const MAX_JOBS: usize = 256;
const MAX_BYTES: usize = 16 << 20;

/// What a job takes beside its text.
const OVERHEAD: usize = 1024;

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel();
        let handle = Handle { queue, queued: Arc::default(), restart_log: Arc::default() };
        let (queued, restart_log) = (handle.queued.clone(), handle.restart_log.clone());
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || serve(connection, &jobs, &queued, &restart_log))
            .map_err(|error| StoreError::unavailable("no thread could be started").with_source(error))?;
        Ok(Self { handle: Some(handle), thread: Some(thread) })
    }

    /// # Panics
    /// Never: the handle is there until the writer is dropped.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone().unwrap_or_else(|| unreachable!("taken only on drop"))
    }

    pub(super) fn run<T, F>(&self, size: usize, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Session<'_>, &mut Known) -> Result<T, StoreError> + Send + 'static,
    {
        match &self.handle {
            Some(handle) => handle.run(size, work),
            None => Box::pin(std::future::ready(Err(ended()))),
        }
    }
}

impl Handle {
    pub(super) fn run<T, F>(&self, size: usize, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Session<'_>, &mut Known) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, done) = oneshot::channel();
        let size = size + OVERHEAD;
        if self.queued.fetch_add(size, Ordering::Relaxed) > MAX_QUEUED {
            self.queued.fetch_sub(size, Ordering::Relaxed);
            return Box::pin(std::future::ready(Err(StoreError::unavailable("too much waits to be written"))));
        }
        // If the thread has ended the reply is dropped with the job, which says so.
        let _ = self.queue.send(Queued { job: Box::new(Task { work, value: None, reply }), size });
        Box::pin(async move { done.await.unwrap_or_else(|_| Err(ended())) })
    }
}

impl Handle {
    /// Has the thread write back what is left of the log after its next commit, when nobody adds
    /// to it: only then it begins anew.
    pub(super) fn restart_log(&self) {
        self.restart_log.store(true, Ordering::Relaxed);
    }
}

fn ended() -> StoreError {
    StoreError::unavailable("the store is closed")
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.handle = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

fn serve(connection: Connection, jobs: &mpsc::Receiver<Queued>, queued: &AtomicUsize, restart_log: &AtomicBool) {
    let mut known = Known::default();
    let mut session = Session::new(&connection);
    while let Ok(first) = jobs.recv() {
        // What has come while the last commit was made is committed together. To wait for more
        // company would leave the machine without work.
        let mut bytes = first.size;
        let mut group = vec![first.job];
        while group.len() < MAX_JOBS
            && bytes < MAX_BYTES
            && let Ok(next) = jobs.try_recv()
        {
            bytes += next.size;
            group.push(next.job);
        }
        commit(&mut session, &mut known, group);
        queued.fetch_sub(bytes, Ordering::Relaxed);
        if restart_log.swap(false, Ordering::Relaxed)
            && let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the log could not be written back");
        }
    }
    drop(session);
    // The last connection to close writes the log back.
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the store was not closed cleanly");
    }
}

fn commit(session: &mut Session<'_>, known: &mut Known, mut group: Vec<Box<dyn Job>>) {
    let together =
        transaction(session, known, |session, known| group.iter_mut().try_for_each(|job| job.run(session, known)));
    match together {
        Ok(()) => group.into_iter().for_each(|job| job.finish(Ok(()))),
        Err(error) if group.len() == 1 => {
            if let Some(job) = group.pop() {
                job.finish(Err(error));
            }
        }
        // One of them is to blame, and the others are not to pay for it.
        Err(_) => {
            for mut job in group {
                let result = transaction(session, known, |session, known| job.run(session, known));
                job.finish(result);
            }
        }
    }
}

fn transaction(
    session: &mut Session<'_>,
    known: &mut Known,
    work: impl FnOnce(&mut Session<'_>, &mut Known) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let result = execute(session, Statement::Begin)
        .and_then(|()| work(session, known))
        .and_then(|()| execute(session, Statement::Commit));
    if result.is_err() {
        // What was written in it is not there now.
        *known = Known::default();
        if !session.is_autocommit() {
            let _ = session.execute_batch("ROLLBACK");
        }
    }
    result
}

fn execute(session: &mut Session<'_>, statement: Statement) -> Result<(), StoreError> {
    session.statement(statement)?.execute([])?;
    Ok(())
}
