use std::{fmt, sync::OnceLock, time::Duration};

use metrics::{Counter, Gauge, Histogram};

use super::exchange_log::Facts;

/// What `/metrics` shows of requests. To find a figure by its name and labels costs more than to
/// count it, so each is looked up once.
#[derive(Default)]
pub(super) struct Figures {
    requests: [[OnceLock<Counter>; Outcome::ALL.len()]; CLASSES.len()],
    seconds: OnceLock<Histogram>,
    first_event: OnceLock<Histogram>,
    open_streams: OnceLock<Gauge>,
    input_tokens: OnceLock<Counter>,
    output_tokens: OnceLock<Counter>,
}

/// Statuses, by their first digit.
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Completed,
    Incomplete,
    Failed,
    Error,
    ClientLeft,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Completed, Self::Incomplete, Self::Failed, Self::Error, Self::ClientLeft];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::ClientLeft => "client left",
        }
    }
}

impl Figures {
    pub(super) fn count(&self, status: u16, outcome: Outcome, took: Duration, facts: &Facts) {
        self.requests(status, outcome).increment(1);
        self.seconds.get_or_init(|| metrics::histogram!("tower_responses_request_seconds")).record(took);
        if let Some(first) = facts.first_event {
            let histogram = || metrics::histogram!("tower_responses_first_event_seconds");
            self.first_event.get_or_init(histogram).record(first);
        }
        if facts.stream {
            self.open_streams().decrement(1);
        }
        let counts =
            [(&self.input_tokens, "input", facts.input_tokens), (&self.output_tokens, "output", facts.output_tokens)];
        for (counter, kind, tokens) in counts {
            if let Some(tokens) = tokens.and_then(|tokens| u64::try_from(tokens).ok()) {
                let new = || metrics::counter!("tower_responses_tokens_total", "kind" => kind);
                counter.get_or_init(new).increment(tokens);
            }
        }
    }

    pub(super) fn stream_opened(&self) {
        self.open_streams().increment(1);
    }

    fn requests(&self, status: u16, outcome: Outcome) -> &Counter {
        let class = usize::from(status / 100);
        let class = if class < CLASSES.len() { class } else { 0 };
        let new = || {
            let labels = [("status", CLASSES[class]), ("outcome", outcome.name())];
            metrics::counter!("tower_responses_requests_total", &labels)
        };
        self.requests[class][outcome as usize].get_or_init(new)
    }

    fn open_streams(&self) -> &Gauge {
        self.open_streams.get_or_init(|| metrics::gauge!("tower_responses_open_streams"))
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}
