use std::{
    sync::mpsc,
    task::Waker,
    thread::{self, JoinHandle},
    time::Duration,
};

use super::*;

/// A queue and a thread that says which groups it has taken.
struct Thread {
    queue: Arc<Queue<u32>>,
    groups: mpsc::Receiver<Vec<u32>>,
    handle: JoinHandle<()>,
}

impl Thread {
    fn start() -> Self {
        let (queue, (tell, groups)) = (Queue::new(), mpsc::channel());
        let taking = queue.clone();
        let handle = thread::spawn(move || {
            let mut done = 0;
            while let Some((group, bytes)) = taking.take(done, 4, 100) {
                tell.send(group).unwrap();
                done = bytes;
            }
        });
        Self { queue, groups, handle }
    }

    fn wait_until_it_sleeps(&self) {
        while !self.queue.state().sleeps {
            thread::yield_now();
        }
    }

    fn push(&self, job: u32) -> Option<Call<u32>> {
        self.wait_until_it_sleeps();
        self.queue.push(job, 1, 100).unwrap()
    }

    fn group(&self) -> Vec<u32> {
        self.groups.recv_timeout(Duration::from_secs(10)).expect("the thread was called")
    }

    fn is_not_called(&self) -> bool {
        self.groups.recv_timeout(Duration::from_millis(20)).is_err()
    }

    fn end(self) {
        self.queue.close();
        self.handle.join().unwrap();
    }
}

fn poll(call: &mut Call<u32>) -> Poll<()> {
    Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn tasks_that_are_ready_bring_their_jobs_in_one_group() {
    let thread = Thread::start();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    thread.wait_until_it_sleeps();
    let tasks = [1, 2, 3].map(|job| {
        let queue = thread.queue.clone();
        async move {
            if let Some(call) = queue.push(job, 1, 100).unwrap() {
                call.await;
            }
        }
    });
    runtime.block_on(async {
        let tasks = tasks.map(tokio::spawn);
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(thread.group(), [1, 2, 3]);
    thread.end();
}

#[test]
fn the_thread_is_called_when_the_task_is_polled_again_or_gives_up() {
    let thread = Thread::start();
    let mut call = thread.push(1).unwrap();
    assert_eq!(poll(&mut call), Poll::Pending);
    assert!(thread.is_not_called());
    assert_eq!(poll(&mut call), Poll::Ready(()));
    assert_eq!(thread.group(), [1]);

    let mut call = thread.push(2).unwrap();
    assert_eq!(poll(&mut call), Poll::Pending);
    drop(call);
    assert_eq!(thread.group(), [2]);

    drop(thread.push(3));
    assert_eq!(thread.group(), [3]);
    thread.end();
}

#[test]
fn a_task_that_is_not_polled_holds_up_no_other_for_good() {
    let thread = Thread::start();
    let mut never_again = thread.push(1).unwrap();
    assert_eq!(poll(&mut never_again), Poll::Pending);
    let mut call = thread.push(2).unwrap();
    assert_eq!(poll(&mut call), Poll::Ready(()), "left to the first");
    drop(call);
    assert!(thread.is_not_called());
    thread.queue.call();
    assert_eq!(thread.group(), [1, 2]);

    let never_polled = thread.push(3).unwrap();
    let mut call = thread.push(4).unwrap();
    assert_eq!(poll(&mut call), Poll::Pending, "it is the first that was polled");
    assert_eq!(poll(&mut call), Poll::Ready(()));
    assert_eq!(thread.group(), [3, 4]);
    drop((never_again, never_polled));
    thread.end();
}

#[test]
fn who_has_been_alone_for_long_calls_at_once() {
    let thread = Thread::start();
    for job in 0..ALONE {
        drop(thread.push(job).expect("there may be others"));
        assert_eq!(thread.group(), [job]);
    }
    assert!(thread.push(100).is_none());
    assert_eq!(thread.group(), [100]);
    // Two come while the thread is busy.
    let (busy, mut state) = (thread.queue.clone(), thread.queue.state());
    state.jobs.extend([(101, 0), (102, 0)]);
    drop(state);
    busy.call();
    assert_eq!(thread.group(), [101, 102]);
    drop(thread.push(103).expect("there are others"));
    thread.end();
}

#[test]
fn groups_and_the_queue_are_bounded() {
    let queue = Queue::new();
    for (job, bytes) in [(1, 60), (2, 60), (3, 1), (4, 1), (5, 1), (6, 1)] {
        drop(queue.push(job, bytes, 123).unwrap());
    }
    assert_eq!(queue.push(7, 1, 123).unwrap_err(), Refused::Full);
    assert_eq!(queue.take(0, 4, 100), Some((vec![1, 2], 120)), "as many as have so many bytes");
    assert_eq!(queue.push(7, 1, 123).unwrap_err(), Refused::Full, "they are not done");
    assert_eq!(queue.take(120, 3, 100), Some((vec![3, 4, 5], 3)), "no more than so many");
    drop(queue.push(7, 1, 123).unwrap());
}

#[test]
fn after_the_end_nothing_is_taken() {
    let queue = Queue::new();
    drop(queue.push(1, 1, 100).unwrap());
    queue.close();
    assert_eq!(queue.push(2, 1, 100).unwrap_err(), Refused::Closed);
    assert_eq!(queue.take(0, 4, 100), Some((vec![1], 1)), "what was taken is done");
    assert_eq!(queue.take(1, 4, 100), None);

    let queue = Queue::new();
    let job = Arc::new(());
    drop(queue.push(job.clone(), 1, 100).unwrap());
    queue.abandon();
    assert_eq!(Arc::strong_count(&job), 1, "who waits for it learns that nobody will do it");
    assert_eq!(queue.push(job, 1, 100).unwrap_err(), Refused::Closed);
}
