//! A model server that takes what it gets.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::header::CONTENT_TYPE,
    response::Response,
};
use futures_util::stream;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower_responses_testing::{sse, vllm};

/// The model whose streams do not end.
pub(crate) const ENDLESS: &str = "endless";
/// The model that says 200 small things and a large one.
pub(crate) const LARGE: &str = "large";
const SMALL_ITEMS: usize = 200;
const LARGE_TEXT: usize = 1 << 20;
/// Of a stream without an end.
const DELTA: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Upstream {
    url: String,
    largest_upload: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let largest_upload = Arc::new(AtomicUsize::new(0));
        let seen = largest_upload.clone();
        let app = Router::new().fallback(move |request: Request| answer(request, seen.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, largest_upload, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The bytes of the largest body that came to any path but that of responses.
    pub(crate) fn largest_upload(&self) -> usize {
        self.largest_upload.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request, largest_upload: Arc<AtomicUsize>) -> Response {
    let is_create = request.uri().path() == "/v1/responses";
    let mut body = request.into_body();
    let (mut bytes, mut start) = (0, Vec::new());
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        bytes += data.len();
        // Who asks for something says so at the beginning or in a short request.
        start.extend_from_slice(&data[..data.len().min(4096 - start.len().min(4096))]);
    }
    if !is_create {
        largest_upload.fetch_max(bytes, Ordering::Relaxed);
        return object(&json!({"object": "list", "data": []}));
    }
    let request = String::from_utf8_lossy(&start);
    let asks_for = |model: &str| request.contains(&format!(r#""model":"{model}""#));
    if asks_for(ENDLESS) {
        // Large, so that what lies between here and the client is soon full.
        let mut delta = vllm::events(&hello(), 100).remove(4);
        delta["delta"] = "a".repeat(DELTA).into();
        let delta = Bytes::from(sse(&[delta]));
        let events = stream::repeat_with(move || Ok::<_, std::io::Error>(delta.clone()));
        return events_of(Body::from_stream(events));
    }
    if asks_for(LARGE) {
        let items = (0..SMALL_ITEMS).map(|_| "small".to_owned()).chain([("large ".repeat(LARGE_TEXT / 6))]);
        let items = items.enumerate().map(|(number, text)| {
            let mut item = vllm::message(&text);
            item["id"] = format!("msg_{number}").into();
            item
        });
        return object(&vllm::response(&[], &items.collect::<Vec<_>>()));
    }
    if request.contains(r#""stream":true"#) {
        return events_of(sse(&vllm::events(&hello(), 8)).into());
    }
    object(&hello())
}

fn hello() -> Json {
    vllm::response(&[], &[vllm::message("hello")])
}

fn object(body: &Json) -> Response {
    Response::builder().header(CONTENT_TYPE, "application/json").body(body.to_string().into()).unwrap()
}

fn events_of(body: Body) -> Response {
    Response::builder().header(CONTENT_TYPE, "text/event-stream").body(body).unwrap()
}
