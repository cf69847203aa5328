use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tower_responses_core::sse::{Event, Splitter};

use super::DemoError;

/// A plain client of the gateway.
#[derive(Debug)]
pub(super) struct Client {
    inner: HyperClient<HttpConnector, Full<Bytes>>,
    url: String,
}

/// What a client got.
#[derive(Debug)]
pub(super) struct Answer {
    /// The events, if it was a stream.
    pub(super) events: Vec<Value>,
    pub(super) response: Value,
}

impl Client {
    pub(super) fn new(base_url: &str) -> Self {
        let inner = HyperClient::builder(TokioExecutor::new()).build_http();
        Self { inner, url: format!("{}/v1/responses", base_url.trim_end_matches('/')) }
    }

    pub(super) async fn ask(&self, request: &Value) -> Result<Answer, DemoError> {
        let post = Request::post(&self.url).header(header::CONTENT_TYPE, "application/json");
        let post = post.body(Full::from(request.to_string())).map_err(DemoError::new)?;
        let response = self.inner.request(post).await.map_err(DemoError::new)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(DemoError::new)?.to_bytes();
        if !status.is_success() {
            return Err(DemoError::new(format!("{status}: {}", String::from_utf8_lossy(&body))));
        }
        if let Ok(response) = serde_json::from_slice(&body) {
            return Ok(Answer { events: Vec::new(), response });
        }
        let events = events(body);
        let ended = events.last().filter(|event| event["type"] == "response.completed");
        let Some(response) = ended.map(|event| event["response"].clone()) else {
            return Err(DemoError::new("the stream ended without response.completed"));
        };
        Ok(Answer { events, response })
    }
}

fn events(body: Bytes) -> Vec<Value> {
    let mut splitter = Splitter::new(body.len());
    splitter.push(body);
    let mut events = Vec::new();
    while let Some(Ok(text)) = splitter.next() {
        if let Ok(event) = serde_json::from_slice(Event::from_text(text).data()) {
            events.push(event);
        }
    }
    events
}
