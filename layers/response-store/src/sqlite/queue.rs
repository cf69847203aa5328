//! What waits for the thread that writes.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

/// Jobs on their way to one thread.
///
/// Where jobs came in groups lately, a thread that sleeps is not called at once: the task that brings
/// a job lets the tasks go first that are ready to run, which may bring more, and calls when it is
/// polled again. What they bring is one group then, and costs one commit. Nobody waits for a time
/// to pass.
#[derive(Debug)]
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    work: Condvar,
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<(J, usize)>,
    /// Of the jobs that wait, and of those that are being done.
    bytes: usize,
    sleeps: bool,
    /// A task has asked to be polled again, to call.
    will_be_called: bool,
    /// How many groups of one job there have been since there were more in one.
    groups_of_one: u32,
    closed: bool,
}

/// Why a job was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Closed,
}

/// After so many groups of one job the thread is called at once.
const ALONE: u32 = 8;

impl<J> Queue<J> {
    pub(super) fn new() -> Arc<Self> {
        let state = State {
            jobs: VecDeque::new(),
            bytes: 0,
            sleeps: false,
            will_be_called: false,
            groups_of_one: 0,
            closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), work: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job of so many bytes, unless there are more than `most` already. What is returned
    /// calls the thread if it has to be.
    pub(super) fn push(self: &Arc<Self>, job: J, bytes: usize, most: usize) -> Result<Option<Call<J>>, Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.bytes > most {
            return Err(Refused::Full);
        }
        state.bytes += bytes;
        state.jobs.push_back((job, bytes));
        if state.groups_of_one >= ALONE {
            self.wake(&mut state);
        }
        Ok(state.sleeps.then(|| Call { queue: self.clone(), progress: Progress::New }))
    }

    /// Calls the thread, if it sleeps and there is something to do.
    pub(super) fn call(&self) {
        let mut state = self.state();
        if !state.jobs.is_empty() {
            self.wake(&mut state);
        }
    }

    fn wake(&self, state: &mut State<J>) {
        state.will_be_called = false;
        if std::mem::replace(&mut state.sleeps, false) {
            self.work.notify_one();
        }
    }

    /// Whether the thread sleeps, and no other task has said so far that it will call.
    fn is_first_to_call(&self) -> bool {
        let mut state = self.state();
        state.sleeps && !std::mem::replace(&mut state.will_be_called, true)
    }

    /// Takes no more jobs. Those that wait will be done.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.wake(&mut state);
    }

    /// Takes no more jobs, and drops those that wait: nobody will do them.
    pub(super) fn abandon(&self) {
        self.close();
        let jobs = std::mem::take(&mut self.state().jobs);
        drop(jobs);
    }

    /// Waits for jobs and takes them, up to so many, and until they have so many bytes. `None` after
    /// the last. `done` bytes were done since the last time.
    pub(super) fn take(&self, done: usize, most: usize, most_bytes: usize) -> Option<(Vec<J>, usize)> {
        let mut state = self.state();
        state.bytes -= done;
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state.sleeps = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeps = false;
        }
        let mut group = Vec::with_capacity(most.min(state.jobs.len()));
        let mut bytes = 0;
        while group.len() < most
            && bytes < most_bytes
            && let Some((job, size)) = state.jobs.pop_front()
        {
            bytes += size;
            group.push(job);
        }
        state.groups_of_one = if group.len() > 1 { 0 } else { state.groups_of_one.saturating_add(1) };
        Some((group, bytes))
    }
}

/// Calls the thread, when it is polled again or dropped.
#[derive(Debug)]
pub(super) struct Call<J> {
    queue: Arc<Queue<J>>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    New,
    LetsOthersGoFirst,
    Done,
}

impl<J> Future for Call<J> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.progress == Progress::New && self.queue.is_first_to_call() {
            self.progress = Progress::LetsOthersGoFirst;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if std::mem::replace(&mut self.progress, Progress::Done) == Progress::LetsOthersGoFirst {
            self.queue.call();
        }
        Poll::Ready(())
    }
}

impl<J> Drop for Call<J> {
    fn drop(&mut self) {
        if self.progress != Progress::Done {
            self.queue.call();
        }
    }
}

#[cfg(test)]
mod tests;
