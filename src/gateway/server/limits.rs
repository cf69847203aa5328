use std::time::Duration;

use crate::gateway::{ConfigError, config::LimitSettings};

/// What clients may take of the server. Every time may be switched off with `None`.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Connections at once. Some more get an answer to `/health`, and nothing else. So many requests
    /// come over HTTP/2 at once, whatever the number of their connections.
    pub connections: usize,
    /// For the head of a request to arrive, and between two requests. 30 seconds.
    pub header_timeout: Option<Duration>,
    /// Between two pieces of a request's body. 30 seconds.
    pub body_idle_timeout: Option<Duration>,
    /// All that is waited for a request's body. 5 minutes.
    pub body_total_timeout: Option<Duration>,
    /// For a client to take the next piece of what is sent to it. 1 minute.
    pub write_timeout: Option<Duration>,
}

/// More connections than this are not taken by default.
const CONNECTIONS: usize = 10_000;

/// Files that are open beside connections: the store's, the log, the runtime's own.
const OTHER_FILES: usize = 64;

impl Default for ConnectionLimits {
    fn default() -> Self {
        // One to the upstream for each of a client.
        let connections = open_files().map_or(CONNECTIONS, |files| (files.saturating_sub(OTHER_FILES) / 2).max(1));
        Self {
            connections: connections.min(CONNECTIONS),
            header_timeout: Some(Duration::from_secs(30)),
            body_idle_timeout: Some(Duration::from_secs(30)),
            body_total_timeout: Some(Duration::from_secs(300)),
            write_timeout: Some(Duration::from_secs(60)),
        }
    }
}

impl ConnectionLimits {
    /// As the settings say.
    ///
    /// # Errors
    /// Where they name a time that is none.
    pub fn new(settings: &LimitSettings) -> Result<Self, ConfigError> {
        let default = Self::default();
        let time = |name: &str, seconds: Option<f64>, default| match seconds.map(Duration::try_from_secs_f64) {
            None => Ok(default),
            Some(Ok(time)) => Ok(Some(time).filter(|time| !time.is_zero())),
            Some(Err(_)) => Err(ConfigError::new(format!("limits.{name}: it has to be a number of seconds, or 0"))),
        };
        Ok(Self {
            connections: settings.connections.map_or(default.connections, |connections| connections.max(1)),
            header_timeout: time("header_timeout", settings.header_timeout, default.header_timeout)?,
            body_idle_timeout: time("body_idle_timeout", settings.body_idle_timeout, default.body_idle_timeout)?,
            body_total_timeout: time("body_total_timeout", settings.body_total_timeout, default.body_total_timeout)?,
            write_timeout: time("write_timeout", settings.write_timeout, default.write_timeout)?,
        })
    }
}

/// How many files the system lets this process have open, where it tells.
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
