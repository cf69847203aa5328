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

/// What a client reads of a stream that follows the standard to the letter: of each event the name
/// and the data. Unlike [`parse_sse`] it makes allowance for nothing.
pub fn read_events(text: &str) -> Vec<(String, String)> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), None::<String>);
    // A last line without an end is not read, nor is an event without a blank line after it.
    let Some((lines, _)) = text.rsplit_once('\n') else { return events };
    for line in lines.split('\n') {
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            if let Some(data) = data.take().filter(|data| !data.is_empty()) {
                events.push((name, data));
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut data {
                None => data = Some(value.to_owned()),
                Some(data) => *data = format!("{data}\n{value}"),
            },
            "event" => value.clone_into(&mut name),
            _ => {}
        }
    }
    events
}
