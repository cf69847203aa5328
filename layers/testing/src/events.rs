use serde_json::Value;

/// The events as a server writes them: an `event:` line with the type, a `data:` line.
pub fn sse(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
        .collect()
}

/// The JSON of each event of a stream whose `data:` is JSON.
pub fn parse_sse(text: &str) -> Vec<Value> {
    let text = text.replace("\r\n", "\n");
    let data = |event: &str| {
        let lines: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
        serde_json::from_str(&lines.join("\n")).ok()
    };
    text.split("\n\n").filter_map(data).collect()
}
