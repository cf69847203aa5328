use super::*;

/// In bytes, of this process.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().strip_suffix(" kB").expect("kB").parse::<usize>().expect("a number") << 10
}

/// A recorder keeps every time that was measured until somebody asks it to add them up.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn what_is_measured_takes_no_memory_though_nobody_reads_it() {
    let mut settings =
        Settings { listen: Some("127.0.0.1:0".into()), store: Some("none".into()), ..Settings::default() };
    settings.upstream.url = Some("http://127.0.0.1:9".into());
    let running = Running::start(&settings).await.expect("it starts");
    let histogram = metrics::histogram!("tower_responses_request_seconds");
    let mut after_first = 0;
    for round in 0..3 {
        for _ in 0..1_000_000 {
            histogram.record(0.1);
        }
        if round == 0 {
            after_first = memory();
        }
        // More than is between two times at which they are added up.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    // A million take more than 20 MB.
    let grown = memory().saturating_sub(after_first);
    assert!(grown < 20 << 20, "{} MiB", grown >> 20);
    running.end(Duration::from_secs(1)).await;
}

#[test]
fn no_days_are_for_ever_and_fewer_are_an_error() {
    for (days, time) in [
        (0.0, Some(Duration::MAX)),
        (-0.0, Some(Duration::MAX)),
        (0.5, Some(Duration::from_secs(43_200))),
        (30.0, Some(response_store::DEFAULT_TTL)),
        (-1.0, None),
        (f64::NAN, None),
        (f64::INFINITY, None),
    ] {
        let retention = retention("days", days);
        assert_eq!(retention.as_ref().ok(), time.as_ref(), "{days}");
        assert!(retention.is_ok() || retention.is_err_and(|error| error.to_string().contains("for ever")));
    }
}
