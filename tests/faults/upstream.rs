//! A model server whose model says how many items it was shown, so that a history which is not
//! whole is seen.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower_responses_testing::sse;

/// The deltas of a stream.
pub(crate) const DELTAS: usize = 10;

/// The model that answers at once.
pub(crate) const QUICK: &str = "quick";

/// The model that stops after so many deltas, or before an object, until [`Upstream::release`].
pub(crate) fn held_after(deltas: usize) -> String {
    format!("held-{deltas}")
}

pub(crate) struct Upstream {
    url: String,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    released: watch::Sender<bool>,
    held: AtomicUsize,
    left: AtomicUsize,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let of_app = state.clone();
        let app = Router::new().fallback(move |body: Bytes| answer(body, of_app.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, state, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Lets all that is held go on.
    pub(crate) fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// How many answers have been held.
    pub(crate) fn held(&self) -> usize {
        self.state.held.load(Ordering::SeqCst)
    }

    /// How many answers were not taken to their end.
    pub(crate) fn left(&self) -> usize {
        self.state.left.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer, until it has been taken to its end.
struct Answering {
    state: Arc<State>,
    ended: bool,
}

impl Answering {
    async fn released(&self) {
        self.state.held.fetch_add(1, Ordering::SeqCst);
        let _ = self.state.released.subscribe().wait_for(|released| *released).await;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.ended {
            self.state.left.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn answer(body: Bytes, state: Arc<State>) -> Response {
    #[allow(clippy::disallowed_methods, reason = "a test may parse what it pleases")]
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let items = request["input"].as_array().map_or(1, Vec::len);
    let held = request["model"].as_str().and_then(|model| model.strip_prefix("held-")?.parse().ok());
    let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": format!("{}{items}", dots()), "annotations": []}]});
    let usage = json!({"input_tokens": 1, "output_tokens": 1, "total_tokens": 2});
    let response = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": request["model"],
        "status": "completed", "output": [item], "usage": usage});
    let mut answering = Answering { state, ended: false };
    if request["stream"] == true {
        let body = Body::from_stream(streamed(events(&response), held, answering));
        return Response::builder().header("content-type", "text/event-stream").body(body).unwrap();
    }
    if held.is_some() {
        answering.released().await;
    }
    answering.ended = true;
    Response::builder().header("content-type", "application/json").body(response.to_string().into()).unwrap()
}

/// What comes before the number, one in each delta.
fn dots() -> String {
    ".".repeat(DELTAS - 1)
}

fn events(response: &Value) -> Vec<Value> {
    let (mut opening, item) = (response.clone(), &response["output"][0]);
    (opening["status"], opening["output"]) = (json!("in_progress"), json!([]));
    let mut added = item.clone();
    (added["status"], added["content"]) = (json!("in_progress"), json!([]));
    let (part, text) = (&item["content"][0], &item["content"][0]["text"]);
    let mut empty = part.clone();
    empty["text"] = json!("");
    let mut events = vec![
        json!({"type": "response.created", "response": opening}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": added}),
        json!({"type": "response.content_part.added", "part": empty}),
    ];
    for n in 1..=DELTAS {
        let delta = if n < DELTAS { "." } else { text.as_str().unwrap().trim_start_matches('.') };
        events.push(json!({"type": "response.output_text.delta", "delta": delta}));
    }
    events.push(json!({"type": "response.output_text.done", "text": text}));
    events.push(json!({"type": "response.content_part.done", "part": part}));
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
    events.push(json!({"type": "response.completed", "response": response}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
        if event.get("response").is_none() && event.get("item").is_none() {
            (event["item_id"], event["output_index"], event["content_index"]) =
                (item["id"].clone(), json!(0), json!(0));
        }
    }
    events
}

fn streamed(
    events: Vec<Value>,
    held: Option<usize>,
    answering: Answering,
) -> impl futures_util::Stream<Item = Result<String, std::convert::Infallible>> + Send {
    stream::unfold((events.into_iter(), 0, answering), move |(mut events, deltas, mut answering)| async move {
        let event = events.next()?;
        let is_delta = event["type"] == "response.output_text.delta";
        if is_delta && held == Some(deltas) {
            answering.released().await;
        }
        answering.ended |= event["type"] == "response.completed";
        Some((Ok(sse(&[event])), (events, deltas + usize::from(is_delta), answering)))
    })
}
