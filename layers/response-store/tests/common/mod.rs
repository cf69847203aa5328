//! A gateway of one layer in front of a scripted upstream.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};
use tower_responses_core::{BoxError, RequestBody, ResponseBody};
use tower_responses_response_store::{ResponseStore, ResponseStoreLayer};
use tower_responses_testing::{ScriptedBody, body_json, body_text, json_response, parse_sse, sse, sse_response};

pub(crate) type Body = ResponseBody;

/// The layer, the upstream behind it, and what the upstream saw.
#[derive(Clone)]
pub(crate) struct Gateway {
    service: BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, Infallible>,
    upstream: Upstream,
}

#[derive(Clone, Default)]
pub(crate) struct Upstream {
    seen: Arc<Mutex<Vec<Value>>>,
    text: Arc<Mutex<Bytes>>,
    replies: Arc<Mutex<VecDeque<Value>>>,
}

impl Gateway {
    pub(crate) fn new(store: Arc<dyn ResponseStore>) -> Self {
        Self::with_layer(&ResponseStoreLayer::new(store))
    }

    pub(crate) fn with_layer(layer: &ResponseStoreLayer) -> Self {
        let upstream = Upstream::default();
        let inner = upstream.clone();
        let service = tower::service_fn(move |request: Request<RequestBody>| inner.clone().answer(request));
        Self { service: BoxCloneSyncService::new(layer.layer(service)), upstream }
    }

    /// The next answer's `output`; without one it is a message.
    pub(crate) fn will_answer(&self, output: Value) -> &Self {
        self.reply(json!({"output": output}))
    }

    /// Members of the next answer.
    pub(crate) fn reply(&self, members: Value) -> &Self {
        self.upstream.replies.lock().unwrap().push_back(members);
        self
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Body> {
        self.service.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, key: Option<&str>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = self.send(request.body(Full::default()).unwrap()).await;
        (response.status().as_u16(), body_json(response.into_body()).await)
    }

    pub(crate) async fn create_as(&self, key: Option<&str>, body: Value) -> (u16, Value) {
        let mut request = tower_responses_testing::create(&body);
        if let Some(key) = key {
            request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        }
        let response = self.send(request).await;
        let status = response.status().as_u16();
        if body["stream"] == true && status == 200 {
            let events = parse_sse(&body_text(response.into_body()).await);
            return (status, events.last().map_or(Value::Null, |last| last["response"].clone()));
        }
        (status, body_json(response.into_body()).await)
    }

    /// Creates a response, which has to succeed.
    pub(crate) async fn create(&self, body: Value) -> Value {
        let (status, response) = self.create_as(None, body).await;
        assert_eq!(status, 200, "{response}");
        response
    }

    /// What the upstream saw last.
    pub(crate) fn last_seen(&self) -> Value {
        self.upstream.seen.lock().unwrap().last().cloned().unwrap_or_default()
    }

    pub(crate) fn last_seen_text(&self) -> String {
        String::from_utf8(self.upstream.text.lock().unwrap().to_vec()).unwrap()
    }

    pub(crate) fn times_asked(&self) -> usize {
        self.upstream.seen.lock().unwrap().len()
    }
}

pub(crate) fn message(text: &str) -> Value {
    json!({"id": "msg_same", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": null}]})
}

/// As vLLM says it.
pub(crate) fn response_object(request: &Value, output: &Value) -> Value {
    json!({"id": "resp_upstream", "created_at": 1_700_000_000, "incomplete_details": null,
        "instructions": request["instructions"], "metadata": null, "model": "m", "object": "response",
        "output": output, "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto",
        "tools": request.get("tools").cloned().unwrap_or_else(|| json!([])), "top_p": 1.0, "background": false,
        "max_output_tokens": 65525, "previous_response_id": null, "status": "completed",
        "usage": {"input_tokens": 13, "output_tokens": 16, "total_tokens": 29}})
}

pub(crate) fn events_of(response: &Value) -> Vec<Value> {
    let mut first = response.clone();
    first["status"] = json!("in_progress");
    first["output"] = json!([]);
    let mut events = vec![
        json!({"type": "response.created", "response": first}),
        json!({"type": "response.in_progress", "response": first}),
    ];
    for (at, item) in response["output"].as_array().unwrap().iter().enumerate() {
        events.push(json!({"type": "response.output_item.added", "output_index": at, "item": item}));
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    events.push(json!({"type": "response.completed", "response": response}));
    for (at, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(at);
    }
    events
}

impl Upstream {
    async fn answer(self, request: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        let Ok(body) = serde_json::from_slice::<Value>(&bytes) else {
            return Ok(Response::new(ResponseBody::from(Bytes::from_static(b"passed"))));
        };
        *self.text.lock().unwrap() = bytes;
        self.seen.lock().unwrap().push(body.clone());
        let reply = self.replies.lock().unwrap().pop_front().unwrap_or_default();
        if let Some(wait) = reply["wait_ms"].as_u64() {
            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        }
        if let Some(status) = reply["http"].as_u64() {
            let error = json!({"error": {"message": "no", "type": "x", "param": null, "code": null}});
            return Ok(json_response(u16::try_from(status).unwrap(), &error).map(ResponseBody::new));
        }
        let mut response = response_object(&body, &json!([message("hello")]));
        for (name, value) in reply.as_object().into_iter().flatten() {
            response[name] = value.clone();
        }
        if body["stream"] != true {
            return Ok(json_response(200, &response).map(ResponseBody::new));
        }
        let mut events = events_of(&response);
        if let Some(first) = reply["hangs_after"].as_u64() {
            events.truncate(usize::try_from(first).unwrap());
            return Ok(sse_response(ScriptedBody::new().data(sse(&events)).hang()).map(ResponseBody::new));
        }
        if reply["omit_output"] == true {
            events.last_mut().unwrap()["response"]["output"] = json!([]);
        }
        if reply["cut"] == true {
            events.pop();
        }
        Ok(sse_response(Full::from(sse(&events))).map(ResponseBody::new))
    }
}

pub(crate) fn boxed(error: impl Into<BoxError>) -> BoxError {
    error.into()
}
