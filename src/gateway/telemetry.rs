use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::MissedTickBehavior;
use tracing_subscriber::EnvFilter;

use super::{
    ConfigError,
    log_format::TextLine,
    log_writer::{self, LogGuard},
};

/// Sends the log to standard error, by a thread of its own that writes what has come together.
/// It leaves lines out rather than hold up requests. Only the
/// first call of a process counts; what is returned writes the rest when it is dropped.
pub(super) fn install_log(format: Option<&str>) -> Result<LogGuard, ConfigError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let (writer, guard) = log_writer::start(std::io::stderr())
        .map_err(|error| ConfigError::new(format!("the log cannot be written: {error}")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // It fails where somebody else has installed a log, who is then the one to be heard.
    let _ = match format {
        None | Some("text") => log.event_format(TextLine).try_init(),
        Some("json") => log.json().flatten_event(true).try_init(),
        Some(other) => return Err(ConfigError::new(format!("log format '{other}' is not known: text or json"))),
    };
    Ok(guard)
}

/// Seconds, from what a gateway adds to what a long answer takes.
const BUCKETS: [f64; 12] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// How often what was measured is added up. Until then every measured time is kept by itself.
const UPKEEP: Duration = Duration::from_secs(1);

/// Adds up what was measured, from time to time, also where nobody reads `/metrics`.
pub(super) async fn keep_up(metrics: PrometheusHandle) {
    let mut interval = tokio::time::interval(UPKEEP);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        metrics.run_upkeep();
    }
}

/// Collects the metrics of all layers. `None` where the process has a recorder already.
pub(super) fn install_metrics() -> Option<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .ok()?
        .install_recorder()
        .ok()
}
