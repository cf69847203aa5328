use super::*;

fn rows(body: &str, cut: Option<&str>) -> Vec<(&'static str, State)> {
    let answer = Answer {
        status: http::StatusCode::OK,
        headers: http::HeaderMap::new(),
        body: body.to_owned().into(),
        cut: cut.map(str::to_owned),
        unanswered: None,
        took: std::time::Duration::from_millis(1),
    };
    let mut report = Report::new(String::new());
    Shape::of(&answer.body).report(&answer, &mut report);
    report.checks.iter().map(|check| (check.name, check.state)).collect()
}

fn state(body: &str, name: &str) -> State {
    rows(body, None).into_iter().find(|(row, _)| *row == name).expect(name).1
}

const GOOD: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":1}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"usage\":",
    "{\"input_tokens\":1,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":1,\"total_tokens\":2}}}\n\n",
);

#[test]
fn a_stream_as_it_should_be() {
    for body in [GOOD.to_owned(), GOOD.replace('\n', "\r\n")] {
        for (name, found) in rows(&body, None) {
            let want = if name == "[DONE]" { State::No } else { State::Yes };
            assert_eq!(found, want, "{name}");
        }
    }
    assert_eq!(state(&format!("{GOOD}data: [DONE]\n\n"), "[DONE]"), State::Yes);
}

#[test]
fn what_is_missing_is_seen() {
    let rows = [
        (GOOD.replace("event: response.created\n", ""), "event lines"),
        (GOOD.replace("\"sequence_number\":1", "\"sequence_number\":7"), "sequence numbers"),
        (GOOD.replace(",\"sequence_number\":0", ""), "sequence numbers"),
        (GOOD.replace("output_item.done", "output_item.added"), "whole items"),
        (GOOD.replace("\"total_tokens\":2", "\"total_tokens\":2.5"), "usage"),
        (GOOD.replace("{\"cached_tokens\":0}", "{}"), "usage"),
        (format!("data: garbage\n\n{GOOD}"), "unreadable events"),
    ];
    for (body, name) in rows {
        assert_eq!(state(&body, name), State::No, "{name}");
    }
    assert_eq!(state(&GOOD.replace("response.completed", "response.done"), "stream end"), State::Broken);
}

#[test]
fn no_stream_at_all() {
    assert_eq!(rows("{\"id\":\"resp_1\"}", None), [("streaming", State::Broken)]);
    assert_eq!(rows("{\"id\":\"resp_1\",\"output\":[]}", None), [("streaming", State::No)]);
    assert_eq!(rows("", Some("no end after 1 s")), [("streaming", State::Broken)]);
}
