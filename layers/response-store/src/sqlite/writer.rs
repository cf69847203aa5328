//! The thread that writes, and commits what waits together.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    parts::KnownParts,
    queue::{Queue, Refused},
    session::{Session, Statement},
    texts::KnownTexts,
};
use crate::{StoreError, StoreFuture};

/// Ends the thread when dropped, after all that was queued.
pub(super) struct Writer {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Queues work for the thread.
#[derive(Clone)]
pub(super) struct Handle {
    queue: Arc<Queue<Box<dyn Job>>>,
    restart_log: Arc<AtomicBool>,
}

/// What the thread knows of the file without asking it.
#[derive(Default)]
pub(super) struct Known {
    pub(super) texts: KnownTexts,
    pub(super) parts: KnownParts,
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
        let handle = Handle { queue: Queue::new(), restart_log: Arc::default() };
        let serving = Serving(handle.clone());
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || serving.serve(connection))
            .map_err(|error| StoreError::unavailable("no thread could be started").with_source(error))?;
        Ok(Self { handle, thread: Some(thread) })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(super) fn run<T, F>(&self, size: usize, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Session<'_>, &mut Known) -> Result<T, StoreError> + Send + 'static,
    {
        self.handle.run(size, work)
    }
}

impl Handle {
    pub(super) fn run<T, F>(&self, size: usize, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Session<'_>, &mut Known) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, done) = oneshot::channel();
        let job = Box::new(Task { work, value: None, reply });
        let call = match self.queue.push(job, size + OVERHEAD, MAX_QUEUED) {
            Ok(call) => call,
            Err(refused) => return Box::pin(std::future::ready(Err(refused.into()))),
        };
        Box::pin(async move {
            if let Some(call) = call {
                call.await;
            }
            done.await.unwrap_or_else(|_| Err(Refused::Closed.into()))
        })
    }

    /// Has the thread look whether there is work that it was not called for.
    pub(super) fn call(&self) {
        self.queue.call();
    }

    /// Has the thread write back what is left of the log after its next commit, when nobody adds
    /// to it: only then it begins anew.
    pub(super) fn restart_log(&self) {
        self.restart_log.store(true, Ordering::Relaxed);
    }
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> Self {
        Self::unavailable(match refused {
            Refused::Full => "too much waits to be written",
            Refused::Closed => "the store is closed",
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.handle.queue.close();
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

/// What the thread does. When it ends, however it does, no more work is taken.
struct Serving(Handle);

impl Serving {
    fn serve(&self, connection: Connection) {
        let Handle { queue, restart_log } = &self.0;
        let mut known = Known::default();
        let mut session = Session::new(&connection);
        let mut written = 0;
        // What has come while the last commit was made is committed together.
        while let Some((group, bytes)) = queue.take(written, MAX_JOBS, MAX_BYTES) {
            commit(&mut session, &mut known, group);
            written = bytes;
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
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.queue.abandon();
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
