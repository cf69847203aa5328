//! CPU time of one turn through the layer, with an upstream that costs nothing, beside the same
//! requests with `store: false`. `cargo bench -p tower-responses-response-store`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, missing_docs)]

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt};
use tower_responses_core::RequestBody;
use tower_responses_response_store::{ResponseStore, ResponseStoreLayer, open};

const REQUEST: &str = r#"{"model":"m","input":"What is the weather in Paris?","tools":[{"type":"function","name":"get_weather","description":"Weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]"#;

const RESPONSE: &str = r#"{"id":"resp_0123456789abcdef","created_at":1700000000,"incomplete_details":null,"instructions":null,"metadata":null,"model":"m","object":"response","output":[{"id":"msg_0123456789abcdef","content":[{"annotations":[],"text":"It is sunny in Paris.","type":"output_text","logprobs":null}],"role":"assistant","status":"completed","type":"message","phase":null}],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[{"type":"function","name":"get_weather","description":"Weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string"}}},"strict":null}],"top_p":1.0,"background":false,"max_output_tokens":65525,"max_tool_calls":null,"previous_response_id":null,"prompt":null,"reasoning":null,"service_tier":"auto","status":"completed","text":null,"top_logprobs":null,"truncation":"disabled","usage":{"input_tokens":13,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"input_tokens_per_turn":[],"cached_tokens_per_turn":[]},"output_tokens":16,"output_tokens_details":{"reasoning_tokens":0,"tool_output_tokens":0,"output_tokens_per_turn":[],"tool_output_tokens_per_turn":[]},"total_tokens":29},"user":null,"presence_penalty":0.0,"frequency_penalty":0.0,"kv_transfer_params":null,"ec_transfer_params":null,"input_messages":null,"output_messages":null}"#;

async fn upstream(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    drop(request.into_body().collect().await);
    // What a socket does: others get their turn.
    tokio::task::yield_now().await;
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::from(RESPONSE)).unwrap())
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

async fn run(name: &str, store: Arc<dyn ResponseStore>, concurrent: usize, stored: bool) {
    const REQUESTS: usize = 30_000;
    let service = ResponseStoreLayer::new(store).layer(tower::service_fn(upstream));
    let before = cpu();
    let start = std::time::Instant::now();
    let tasks: Vec<_> = (0..concurrent)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move {
                for _ in 0..REQUESTS / concurrent {
                    let body = Full::from(format!("{REQUEST},\"store\":{stored}}}"));
                    let request =
                        Request::post("/v1/responses").header("authorization", "Bearer bench").body(body).unwrap();
                    let response = service.clone().oneshot(request).await.unwrap();
                    assert_eq!(response.status(), 200);
                    drop(response.into_body().collect().await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / REQUESTS as f64;
    println!(
        "{name:8} ×{concurrent:2} store={stored:5}: {:6.1} µs CPU, {:6.1} µs each",
        each(cpu() - before),
        each(start.elapsed())
    );
}

#[tokio::main]
async fn main() {
    // A part of a line's beginning picks lines, as in `cargo bench -- "sqlite 32"`.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for concurrent in [1, 32] {
        for (name, stored) in [("memory", false), ("memory", true), ("sqlite", true)] {
            if !format!("{name} {concurrent}").starts_with(&wanted) {
                continue;
            }
            let directory = std::env::temp_dir().join(format!("tower-responses-bench-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let url = match name {
                "sqlite" => format!("sqlite:{}", directory.join("store.db").display()),
                _ => name.to_owned(),
            };
            run(name, open(&url).await.unwrap(), concurrent, stored).await;
            std::fs::remove_dir_all(&directory).unwrap();
        }
    }
}
