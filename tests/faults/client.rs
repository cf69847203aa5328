//! A client that knows how long the history of each of its responses has to be.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tower_responses_testing::parse_sse;

use crate::{
    support,
    upstream::{QUICK, held_after},
};

/// A response of which the client has seen the end.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: String,
    /// What the response said of itself.
    pub(crate) stored: bool,
    /// The items of its conversation, with its own.
    items: usize,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered(Seen),
    Refused {
        status: u16,
        code: Value,
        retry_after: bool,
    },
    /// The connection ended, or there was none; with the id of the response if it had begun.
    Broken(Option<String>),
}

impl Outcome {
    /// # Panics
    /// If the request was not answered.
    pub(crate) fn answered(self) -> Seen {
        match self {
            Self::Answered(seen) => seen,
            other => panic!("it is answered: {other:?}"),
        }
    }

    /// Whether it got 503 with `Retry-After`.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self, Self::Refused { status: 503, retry_after: true, .. })
    }

    /// Whether what was to be continued is not there; anything else but an answer is a failure.
    ///
    /// # Panics
    /// If it was refused in any other way.
    pub(crate) fn is_unknown(&self) -> bool {
        match self {
            Self::Answered(_) => false,
            Self::Refused { status: 400, code, .. } if code == "previous_response_not_found" => true,
            other => panic!("it is answered or not found: {other:?}"),
        }
    }
}

/// A turn that is to be asked for.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    body: Value,
    /// The items of the conversation with the input of this turn.
    items: usize,
}

impl Turn {
    pub(crate) fn after(previous: Option<&Seen>) -> Self {
        let body = json!({"model": QUICK, "input": "go on", "stream": true,
            "previous_response_id": previous.map(|previous| &previous.id)});
        Self { body, items: previous.map_or(0, |previous| previous.items) + 1 }
    }

    /// To this model.
    pub(crate) fn model(mut self, model: &str) -> Self {
        self.body["model"] = json!(model);
        self
    }

    /// As JSON and not as a stream.
    pub(crate) fn object(mut self) -> Self {
        self.body["stream"] = json!(false);
        self
    }

    /// With an input of so many bytes.
    pub(crate) fn bytes(mut self, bytes: usize) -> Self {
        self.body["input"] = json!("x".repeat(bytes));
        self
    }

    /// Asks and reads all of the answer.
    ///
    /// # Panics
    /// If the model was shown another history than there is.
    pub(crate) async fn ask(&self, gateway: &str) -> Outcome {
        let mut answer = match self.begin(gateway).await {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        if self.body["stream"] == true {
            while answer.next().await.is_some() {
                if let Some(response) = answer.last() {
                    return Outcome::Answered(self.seen(&response));
                }
            }
            return Outcome::Broken(answer.id());
        }
        while answer.next().await.is_some() {}
        #[allow(clippy::disallowed_methods, reason = "a test may parse what it pleases")]
        match serde_json::from_str(&answer.text) {
            Ok(response) => Outcome::Answered(self.seen(&response)),
            Err(_) => Outcome::Broken(None),
        }
    }

    /// Asks, and gives the answer that begins.
    pub(crate) async fn begin(&self, gateway: &str) -> Result<Answer, Outcome> {
        let request = Request::post(format!("{gateway}/v1/responses")).header("content-type", "application/json");
        let request = request.body(Full::from(self.body.to_string())).unwrap();
        let Ok(response) = support::client().request(request).await else { return Err(Outcome::Broken(None)) };
        let (status, retry_after) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
        let mut answer = Answer { body: response.into_body(), text: String::new() };
        if status == 200 {
            return Ok(answer);
        }
        while answer.next().await.is_some() {}
        #[allow(clippy::disallowed_methods, reason = "a test may parse what it pleases")]
        let error: Value = serde_json::from_str(&answer.text).unwrap();
        Err(Outcome::Refused { status, code: error["error"]["code"].clone(), retry_after })
    }

    /// Asks the model that stops after so many deltas, and reads until there.
    pub(crate) async fn held(&self, gateway: &str, deltas: usize) -> Answer {
        let turn = self.clone().model(&held_after(deltas));
        let mut answer = turn.begin(gateway).await.unwrap_or_else(|other| panic!("{other:?}"));
        while answer.count("response.output_text.delta") < deltas {
            answer.next().await.expect("an event");
        }
        answer
    }

    fn seen(&self, response: &Value) -> Seen {
        assert_eq!(response["status"], "completed", "{response}");
        let shown = response["output"][0]["content"][0]["text"].as_str().unwrap().trim_start_matches('.');
        assert_eq!(shown, self.items.to_string(), "the whole history is shown to the model");
        let seen = self.seen_as(response["id"].as_str().unwrap().to_owned());
        Seen { stored: response["store"].as_bool().unwrap(), ..seen }
    }

    /// The response with this id that will be kept, if the client does not see the end of it.
    pub(crate) fn seen_as(&self, id: String) -> Seen {
        Seen { id, stored: true, items: self.items + 1 }
    }
}

/// An answer that is being read.
pub(crate) struct Answer {
    body: Incoming,
    text: String,
}

impl Answer {
    /// Reads on; `None` at the end, also at one that nobody meant.
    pub(crate) async fn next(&mut self) -> Option<()> {
        let frame = tokio::time::timeout(Duration::from_secs(60), self.body.frame());
        let data = frame.await.expect("no answer takes so long")?.ok()?.into_data().ok()?;
        self.text.push_str(std::str::from_utf8(&data).unwrap());
        Some(())
    }

    /// How many events of this type have come.
    pub(crate) fn count(&self, kind: &str) -> usize {
        parse_sse(&self.text).iter().filter(|event| event["type"] == kind).count()
    }

    /// The id, as soon as it has come.
    pub(crate) fn id(&self) -> Option<String> {
        parse_sse(&self.text).first()?["response"]["id"].as_str().map(str::to_owned)
    }

    /// The response at the end of a stream, once all of it has come.
    fn last(&self) -> Option<Value> {
        let whole = &self.text[..self.text.rfind("\n\n")?];
        let last = parse_sse(&whole[whole.rfind("\n\n").unwrap_or(0)..]).pop()?;
        (last["type"] == "response.completed").then(|| last["response"].clone())
    }
}

/// The status of `GET /v1/responses/{id}`, and the response.
pub(crate) async fn get(gateway: &str, id: &str) -> (u16, Value) {
    let request = Request::get(format!("{gateway}/v1/responses/{id}")).body(Full::default()).unwrap();
    support::json(support::send(request).await).await
}
