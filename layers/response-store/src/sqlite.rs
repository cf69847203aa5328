//! Responses in an SQLite file.

mod error;
mod file;
mod parts;
mod queue;
mod read;
mod read_only;
mod readers;
mod remove;
mod schema;
mod session;
mod texts;
mod upkeep;
mod write;
mod writer;

use std::{
    future::ready,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use self::{
    file::Presence,
    readers::Readers,
    session::Session,
    upkeep::Upkeep,
    writer::{Known, Writer},
};
use crate::{
    Access, History, ItemKey, Owner, Page, Place, Record, Removed, ResponseId, ResponseStore, Stats, StoreError,
    StoreFuture, StoreOptions, Stored, time::horizon,
};

/// Keeps responses in an SQLite file: the store for one machine.
///
/// All writes go through one thread of their own, which puts those that are waiting into one
/// transaction; reads have other threads. Nothing blocks the threads of the runtime. The file
/// may be opened by another process at the same time, such as a command of the operator.
///
/// What has been stored survives the end of the process however it ends, `SIGKILL` included.
/// What survives a power cut or a crash of the operating system is set by [`Synchronous`].
///
/// Space that is set free by what expires or is deleted is used again; the file does not become
/// smaller, and until that space is used again what stood there can be found in it.
///
/// The file and those beside it are made readable for their owner only, and so is what earlier
/// versions have made. Whether the file is still there is looked at four times a second: once it was
/// removed or replaced everything fails until it is back, and what was stored between the one and
/// the other is lost with the file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    shared: Arc<Threads>,
    ttl: Duration,
}

/// In the order in which they have to end.
#[derive(Debug)]
struct Threads {
    readers: Readers,
    /// `None` if the file is only read.
    writing: Option<Writing>,
}

#[derive(Debug)]
struct Writing {
    _upkeep: Upkeep,
    writer: Writer,
    presence: Arc<Presence>,
}

/// How much an SQLite store waits for the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Commits do not wait for the disk: the log is synced about once a second. After a power cut
    /// the file is whole, and what was stored since the log was last synced can be gone; a client
    /// gets the normal `previous_response_not_found` for it. The default.
    #[default]
    Normal,
    /// Commits wait until the disk has them, once for all that are waiting together. A power cut
    /// loses nothing that a client has seen the end of.
    Full,
}

/// How an SQLite store is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// What holds for all stores.
    pub store: StoreOptions,
    /// What survives a power cut.
    pub synchronous: Synchronous,
    /// How many threads read.
    pub readers: usize,
    /// How often what has expired is looked for.
    pub upkeep: Duration,
}

impl Default for SqliteOptions {
    /// `NORMAL`, two readers, every ten minutes.
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            synchronous: Synchronous::default(),
            readers: 2,
            upkeep: Duration::from_secs(600),
        }
    }
}

impl SqliteStore {
    /// Opens the file at `path`, which is made if it is not there and
    /// [`Access`](crate::Access) does not say otherwise; `:memory:` is refused.
    ///
    /// # Errors
    /// If the file is no store, of a newer version than this program, or cannot be opened.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let (reply, opened) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("store-open".into());
        let spawned = thread.spawn(move || drop(reply.send(Self::open_blocking(path, &options))));
        spawned.map_err(|error| StoreError::unavailable("no thread could be started").with_source(error))?;
        opened.await.unwrap_or_else(|_| Err(StoreError::unavailable("the store could not be opened")))
    }

    fn open_blocking(path: PathBuf, options: &SqliteOptions) -> Result<Self, StoreError> {
        let (ttl, readers) = (options.store.ttl, options.readers.max(1));
        if options.store.access == Access::ReadOnly {
            let readers = Readers::start(readers, || read_only::open(&path))?;
            return Ok(Self { shared: Arc::new(Threads { readers, writing: None }), ttl });
        }
        let connection = schema::open(&path, options.synchronous, options.store.access)?;
        // SQLite's other files are beside the file itself, and not beside a link to it.
        let path = path.canonicalize().unwrap_or(path);
        file::tighten(&path);
        let presence = Arc::new(Presence::new(&path));
        let writer = Writer::start(connection)?;
        let readers = Readers::start(readers, || schema::open_reader(&path))?;
        let upkeep = Upkeep::start(&path, writer.handle(), presence.clone(), options)?;
        let writing = Some(Writing { _upkeep: upkeep, writer, presence });
        Ok(Self { shared: Arc::new(Threads { readers, writing }), ttl })
    }

    /// Conversations whose last turn was before this are not there any more.
    fn horizon(&self) -> i64 {
        horizon(self.ttl)
    }

    fn read<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    {
        match self.shared.writing.as_ref().map(|writing| writing.presence.check()) {
            Some(Err(gone)) => Box::pin(ready(Err(gone))),
            _ => self.shared.readers.run(work),
        }
    }

    fn write<T, F>(&self, size: usize, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Session<'_>, &mut Known) -> Result<T, StoreError> + Send + 'static,
    {
        let Some(Writing { writer, presence, .. }) = &self.shared.writing else {
            return Box::pin(ready(Err(StoreError::unavailable("the store was opened for reading only"))));
        };
        match presence.check() {
            Err(gone) => Box::pin(ready(Err(gone))),
            Ok(()) => writer.run(size, work),
        }
    }
}

impl ResponseStore for SqliteStore {
    fn put(&self, record: Arc<Record>) -> StoreFuture<()> {
        let size = record.body.len() + record.shared.iter().map(|shared| shared.text().len()).sum::<usize>();
        self.write(size, move |session, known| write::put(session, known, &record))
    }

    fn prepare(&self, id: ResponseId, place: usize, part: Bytes) {
        let size = part.len();
        let work = move |session: &mut Session<'_>, known: &mut Known| known.parts.write(session, id, place, &part);
        // Whether it was written shows when the record is put.
        drop(self.write(size, work));
    }

    fn abandon(&self, id: ResponseId) {
        drop(self.write(0, move |connection, known| known.parts.remove(connection, id)));
    }

    fn history(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<History>> {
        let (owner, horizon) = (owner.clone(), self.horizon());
        self.read(move |connection| read::history(connection, &owner, id, horizon))
    }

    fn get(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<Stored>> {
        let (owner, horizon) = (owner.clone(), self.horizon());
        self.read(move |connection| read::get(connection, &owner, id, horizon))
    }

    fn exists(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        let (owner, horizon) = (owner.clone(), self.horizon());
        self.read(move |connection| Ok(read::find(connection, &owner, id, horizon)?.is_some()))
    }

    fn delete(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool> {
        let (owner, horizon) = (owner.clone(), self.horizon());
        self.write(0, move |connection, _| remove::delete(connection, &owner, id, horizon))
    }

    fn find_items(&self, owner: &Owner, items: Vec<ItemKey>) -> StoreFuture<Vec<Option<ResponseId>>> {
        let (owner, horizon) = (owner.clone(), self.horizon());
        self.read(move |connection| read::find_items(connection, &owner, &items, horizon))
    }

    fn stats(&self) -> StoreFuture<Stats> {
        self.read(read::stats)
    }

    fn prune(&self, older_than: Duration) -> StoreFuture<Removed> {
        let this = self.clone();
        let horizon = horizon(older_than);
        Box::pin(async move {
            let ids = this.read(move |connection| read::older(connection, horizon)).await?;
            let removed = this.remove_all(ids, horizon).await?;
            let unused = this.read(read::unused_texts).await?;
            this.write(0, move |connection, known| remove::unused(connection, known, &unused)).await?;
            Ok(removed)
        })
    }

    fn delete_owner(&self, owner: &Owner) -> StoreFuture<Removed> {
        let (this, owner) = (self.clone(), owner.clone());
        Box::pin(async move {
            let ids = this.read(move |connection| read::owned(connection, &owner)).await?;
            this.remove_all(ids, i64::MAX).await
        })
    }

    fn export(&self, owner: Option<&Owner>, after: Option<Place>) -> StoreFuture<Page> {
        let (owner, horizon) = (owner.cloned(), self.horizon());
        self.read(move |connection| read::export(connection, owner.as_ref(), after.as_ref(), horizon))
    }

    fn flush(&self) -> StoreFuture<()> {
        if self.shared.writing.is_none() {
            return Box::pin(ready(Ok(())));
        }
        // What was queued before this is committed with it.
        self.write(0, |_, _| Ok(()))
    }
}

impl SqliteStore {
    /// Removes conversations in small steps, so that turns get in between.
    async fn remove_all(&self, ids: Vec<i64>, before: i64) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        for step in ids.chunks(remove::STEP) {
            let step = step.to_vec();
            let more = self.write(0, move |connection, _| remove::conversations(connection, &step, before)).await?;
            removed.conversations += more.conversations;
            removed.responses += more.responses;
        }
        Ok(removed)
    }
}
