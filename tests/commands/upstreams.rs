//! Upstreams that lack something.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use serde_json::{Value, json};

/// What an upstream cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacks {
    Nothing,
    /// Only functions, and no state.
    AllButFunctions,
    FunctionTools,
    Responses,
    ModelList,
    /// A stream has no last event.
    StreamEnd,
    /// A stream never ends.
    StreamPatience,
    /// It wants to see `Bearer secret-key`.
    Key,
}

pub(crate) async fn start(lacks: Lacks) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(move |request: Request| answer(lacks, request));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn reply(status: u16, body: &Value) -> Response {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}

fn refuse(status: u16, message: &str) -> Response {
    reply(status, &json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}}))
}

async fn answer(lacks: Lacks, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let key = head.headers.get("authorization").and_then(|key| key.to_str().ok());
    if lacks == Lacks::Key && key != Some("Bearer secret-key") {
        return reply(401, &json!({"error": "Unauthorized"}));
    }
    match head.uri.path() {
        "/v1/models" if lacks == Lacks::ModelList => reply(404, &json!({"detail": "Not Found"})),
        "/v1/models" => {
            let model =
                json!({"id": "tiny", "object": "model", "created": 1, "owned_by": "vllm", "max_model_len": 65536});
            reply(200, &json!({"object": "list", "data": [model]}))
        }
        "/v1/chat/completions" => reply(200, &json!({"choices": []})),
        "/v1/responses" if lacks != Lacks::Responses => respond(lacks, &body),
        _ => reply(404, &json!({"detail": "Not Found"})),
    }
}

fn respond(lacks: Lacks, body: &Bytes) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    let functions_only = lacks == Lacks::AllButFunctions;
    if functions_only && let Some(tool) = tools.iter().find(|tool| tool["type"] != "function") {
        return refuse(400, &format!("unsupported tool type {}", tool["type"]));
    }
    if lacks == Lacks::FunctionTools && !tools.is_empty() {
        return refuse(400, "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set");
    }
    if body["previous_response_id"].is_string() && (functions_only || body["previous_response_id"] != "resp_1") {
        return refuse(400, "no such response");
    }
    let item = match body["tool_choice"]["name"].as_str() {
        Some(name) => {
            json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": name, "arguments": "{}", "status": "completed"})
        }
        None => {
            let content = json!([{"type": "output_text", "text": "ok", "annotations": []}]);
            json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
        }
    };
    let usage = json!({"input_tokens": 1, "output_tokens": 1, "total_tokens": 2});
    let response =
        json!({"id": "resp_1", "object": "response", "status": "completed", "output": [item], "usage": usage});
    if body["stream"] != true {
        return reply(200, &response);
    }
    stream(lacks, &item, &response)
}

fn stream(lacks: Lacks, item: &Value, response: &Value) -> Response {
    let mut created = response.clone();
    (created["status"], created["output"]) = (json!("in_progress"), json!([]));
    let mut events = vec![
        json!({"type": "response.created", "response": created}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
    ];
    let ends = !matches!(lacks, Lacks::StreamEnd | Lacks::StreamPatience);
    if ends {
        events.push(json!({"type": "response.completed", "response": response}));
    }
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    let text = tower_responses_testing::sse(&events);
    let body = if lacks == Lacks::StreamPatience {
        Body::new(tower_responses_testing::ScriptedBody::new().data(text).hang())
    } else {
        Body::from(text)
    };
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}
