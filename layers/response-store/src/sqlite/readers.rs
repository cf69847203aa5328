//! The threads that read.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{StoreError, StoreFuture};

type Work = Box<dyn FnOnce(&Connection) + Send>;

/// Ends the threads when dropped.
pub(super) struct Readers {
    queue: Option<mpsc::Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(count: usize, open: impl Fn() -> Result<Connection, StoreError>) -> Result<Self, StoreError> {
        let (queue, work) = mpsc::channel::<Work>();
        let work = Arc::new(Mutex::new(work));
        let mut readers = Self { queue: Some(queue), threads: Vec::new() };
        for _ in 0..count {
            let (connection, work) = (open()?, work.clone());
            let thread = std::thread::Builder::new()
                .name("store-reader".into())
                .spawn(move || serve(&connection, &work))
                .map_err(|error| StoreError::unavailable("no thread could be started").with_source(error))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    pub(super) fn run<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, done) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // Whoever asked may have left.
            if !reply.is_closed() {
                let _ = reply.send(work(connection));
            }
        });
        if let Some(queue) = &self.queue {
            let _ = queue.send(work);
        }
        Box::pin(async move { done.await.unwrap_or_else(|_| Err(StoreError::unavailable("the store is closed"))) })
    }
}

fn serve(connection: &Connection, work: &Mutex<mpsc::Receiver<Work>>) {
    loop {
        // One waits for work, the others for their turn to wait.
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(work) => work(connection),
            Err(mpsc::RecvError) => return,
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("threads", &self.threads.len()).finish()
    }
}
