//! Lines of the log on their way to standard error.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How long lines wait for company. Each write costs more than many lines, and to wake a thread
/// for each line would cost a request more than the line itself.
const GATHER: Duration = Duration::from_millis(20);

/// More bytes than this do not wait; what comes then is left out, and counted.
const MAX_WAITING: usize = 1 << 20;

/// Takes lines without waiting for anybody.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Shared>);

/// Ends the thread that writes, once it has written all there is.
pub(in crate::gateway) struct LogGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    first_came: Condvar,
}

#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    left_out: u64,
    ended: bool,
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines and takes them. The flag says that they are the last.
    fn take(&self, buffer: Vec<u8>) -> (Vec<u8>, u64, bool) {
        let mut lines = self.lines();
        while lines.text.is_empty() && lines.left_out == 0 && !lines.ended {
            lines = self.first_came.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        if !lines.ended {
            // Nobody calls while there are lines, but for the end.
            lines = self.first_came.wait_timeout(lines, GATHER).unwrap_or_else(PoisonError::into_inner).0;
        }
        (mem::replace(&mut lines.text, buffer), mem::take(&mut lines.left_out), lines.ended)
    }
}

/// Starts the thread that writes to `out`.
pub(super) fn start(mut out: impl Write + Send + 'static) -> io::Result<(LogWriter, LogGuard)> {
    let shared = Arc::new(Shared::default());
    let serving = shared.clone();
    let thread = std::thread::Builder::new().name("log-writer".into()).spawn(move || {
        let mut buffer = Vec::new();
        loop {
            let (mut text, left_out, ended) = serving.take(mem::take(&mut buffer));
            if left_out > 0 {
                text.extend_from_slice(format!("{left_out} lines of the log were left out\n").as_bytes());
            }
            // Where the log goes is closed: nobody is there to be told.
            let _ = out.write_all(&text).and_then(|()| out.flush());
            if ended {
                return;
            }
            text.clear();
            buffer = text;
        }
    })?;
    Ok((LogWriter(shared.clone()), LogGuard { shared, thread: Some(thread) }))
}

impl Write for &LogWriter {
    /// Takes all or nothing: half a line is none.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lines();
        if lines.text.len() + line.len() > MAX_WAITING {
            lines.left_out += 1;
            return Ok(line.len());
        }
        let first = lines.text.is_empty();
        lines.text.extend_from_slice(line);
        drop(lines);
        if first {
            self.0.first_came.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a LogWriter;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.shared.lines().ended = true;
        self.shared.first_came.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Gives what is written to whoever holds the other end.
    struct Told(mpsc::Sender<Vec<u8>>);

    impl Write for Told {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn started() -> (LogWriter, LogGuard, mpsc::Receiver<Vec<u8>>) {
        let (tell, told) = mpsc::channel();
        let (writer, guard) = start(Told(tell)).expect("a thread");
        (writer, guard, told)
    }

    #[test]
    fn lines_are_written_together_and_soon() {
        let (writer, _guard, told) = started();
        for line in ["one\n", "two\n"] {
            writer.make_writer().write_all(line.as_bytes()).expect("taken");
        }
        let written = told.recv_timeout(Duration::from_secs(5)).expect("written");
        assert_eq!(written, b"one\ntwo\n");
        writer.make_writer().write_all(b"three\n").expect("taken");
        assert_eq!(told.recv_timeout(Duration::from_secs(5)).expect("written"), b"three\n");
    }

    #[test]
    fn what_waits_at_the_end_is_written() {
        let (writer, guard, told) = started();
        writer.make_writer().write_all(b"last\n").expect("taken");
        drop(guard);
        assert_eq!(told.iter().flatten().collect::<Vec<_>>(), b"last\n");
    }

    #[test]
    fn what_is_too_much_is_left_out_and_said() {
        let (writer, guard, told) = started();
        let line = vec![b'x'; MAX_WAITING / 2];
        for _ in 0..5 {
            writer.make_writer().write_all(&line).expect("taken");
        }
        drop(guard);
        let written = told.iter().flatten().collect::<Vec<_>>();
        assert!(written.ends_with(b"lines of the log were left out\n"), "{} bytes", written.len());
        assert!(written.len() <= 2 * MAX_WAITING + 100);
    }
}
