use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};

/// A body that does what it was told, step by step.
#[derive(Debug, Default)]
pub struct ScriptedBody {
    steps: VecDeque<Step>,
    watch: Watch,
}

#[derive(Debug)]
enum Step {
    Data(Bytes),
    Pending,
    Hang,
    Trailers(HeaderMap),
    Error(io::ErrorKind),
}

/// What is known of a [`ScriptedBody`] after it was handed over.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    dropped: AtomicBool,
    frames: AtomicUsize,
}

impl Watch {
    /// Whether the body was dropped.
    pub fn is_dropped(&self) -> bool {
        self.0.dropped.load(Ordering::SeqCst)
    }

    /// How many frames were taken from it.
    pub fn frames(&self) -> usize {
        self.0.frames.load(Ordering::SeqCst)
    }
}

impl ScriptedBody {
    /// A body that ends at once.
    pub fn new() -> Self {
        Self::default()
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Then it gives these bytes in one frame.
    #[must_use]
    pub fn data(self, data: impl Into<Bytes>) -> Self {
        self.step(Step::Data(data.into()))
    }

    /// Then it gives these bytes in frames of this size.
    #[must_use]
    pub fn chunks_of(mut self, data: impl Into<Bytes>, size: usize) -> Self {
        let mut data = data.into();
        while !data.is_empty() {
            let chunk = data.split_to(size.min(data.len()));
            self = self.data(chunk);
        }
        self
    }

    /// Then it is pending once, and asks to be polled again.
    #[must_use]
    pub fn pending(self) -> Self {
        self.step(Step::Pending)
    }

    /// Then it gives nothing more and never ends.
    #[must_use]
    pub fn hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// Then it gives trailers.
    #[must_use]
    pub fn trailers(self, trailers: HeaderMap) -> Self {
        self.step(Step::Trailers(trailers))
    }

    /// Then it breaks off.
    #[must_use]
    pub fn error(self, kind: io::ErrorKind) -> Self {
        self.step(Step::Error(kind))
    }

    /// Tells afterwards what became of the body.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = match self.steps.pop_front() {
            None => return Poll::Ready(None),
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                return Poll::Pending;
            }
            Some(Step::Data(data)) => Ok(Frame::data(data)),
            Some(Step::Trailers(trailers)) => Ok(Frame::trailers(trailers)),
            Some(Step::Error(kind)) => Err(kind.into()),
        };
        self.watch.0.frames.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(frame))
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        self.watch.0.dropped.store(true, Ordering::SeqCst);
    }
}
