use std::sync::OnceLock;

use bytes::Bytes;
use http::Response;
use serde_json::Value as Json;
use tower_responses::ResponseBody;
use tower_responses_testing::{ScriptedBody, sse, vllm};

use crate::scenario::{DELTA, Scenario};

/// A model server that has made up its mind: what it says to the first request it says to all.
pub(crate) struct Model {
    scenario: &'static Scenario,
    /// What the client sends, if the very same has to arrive.
    expected: Option<Bytes>,
    answer: OnceLock<Answer>,
}

/// An object in one piece, or events, one a piece.
pub(crate) struct Answer {
    kind: &'static str,
    pieces: Vec<Bytes>,
}

impl Model {
    pub(crate) fn new(scenario: &'static Scenario, expected: Option<Bytes>) -> Self {
        Self { scenario, expected, answer: OnceLock::new() }
    }

    pub(crate) fn answer(&self, request: &[u8]) -> &Answer {
        self.answer.get_or_init(|| {
            if let Some(expected) = &self.expected {
                assert_eq!(std::str::from_utf8(request), std::str::from_utf8(expected), "{}", self.scenario.name);
            }
            let request: Json = serde_json::from_slice(request).unwrap();
            let response = self.scenario.response(&request);
            if request["stream"] == true {
                let events = vllm::events(&response, DELTA);
                let pieces = events.iter().map(|event| Bytes::from(sse(std::slice::from_ref(event)))).collect();
                return Answer { kind: "text/event-stream", pieces };
            }
            Answer { kind: "application/json", pieces: vec![response.to_string().into()] }
        })
    }
}

impl Answer {
    pub(crate) fn response(&self) -> Response<ResponseBody> {
        let body = self.pieces.iter().cloned().fold(ScriptedBody::new(), ScriptedBody::data);
        Response::builder().header("content-type", self.kind).body(ResponseBody::new(body)).unwrap()
    }

    /// What a server writes to its socket, one write after the other.
    pub(crate) fn writes(&self) -> Vec<Bytes> {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {}\r\n", self.kind);
        if let [object] = &self.pieces[..] {
            let head = format!("{head}content-length: {}\r\n\r\n", object.len());
            return vec![[head.as_bytes(), object].concat().into()];
        }
        let head = Bytes::from(format!("{head}transfer-encoding: chunked\r\n\r\n"));
        let chunks = self.pieces.iter().map(|event| {
            let length = format!("{:x}\r\n", event.len());
            Bytes::from([length.as_bytes(), event, b"\r\n"].concat())
        });
        [head].into_iter().chain(chunks).chain([Bytes::from_static(b"0\r\n\r\n")]).collect()
    }
}
