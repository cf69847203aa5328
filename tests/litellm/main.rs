//! In front of a proxy that others wrote: LiteLLM's, before an upstream that understands only
//! functions. It passes on what it gets, so what Codex sends is refused; through the gateway it
//! works.
//!
//! `tests/litellm/setup.sh` installs it and prints what `LITELLM_BIN` is to be.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test reads what it likes, and fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use support::{Gateway, TempDir, client, json, send};
use tokio::net::TcpListener;
use tower_responses::demo::{Exchange, Model, Upstream};

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";
/// Names that clients use, and what LiteLLM makes of the model behind them.
const MODELS: [(&str, &str); 2] = [("by-openai", "openai"), ("by-vllm", "hosted_vllm")];
const PATCH: &str = "*** Begin Patch\n*** Add File: a.txt\n+\"b\"\n*** End Patch\n";

/// LiteLLM's proxy, ended when dropped.
struct LiteLlm {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl LiteLlm {
    async fn start(upstream: &Upstream) -> Self {
        let program = std::env::var("LITELLM_BIN").expect("LITELLM_BIN: tests/litellm/setup.sh prints it");
        let folder = TempDir::new();
        let models = MODELS.map(|(name, provider)| {
            let behind = format!("{provider}/{}", Model::NAME);
            json!({"model_name": name,
                "litellm_params": {"model": behind, "api_base": format!("{}/v1", upstream.url()), "api_key": "none"}})
        });
        let config = folder.0.join("config.yaml");
        // JSON is YAML.
        std::fs::write(&config, json!({"model_list": models}).to_string()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--config"]).arg(config);
        // It asks nobody for anything.
        command.env("LITELLM_MASTER_KEY", KEY).env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        let child = command.current_dir(&folder.0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut proxy = Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        proxy.listens().await;
        proxy
    }

    async fn listens(&mut self) {
        let started = Instant::now();
        loop {
            let alive = Request::get(format!("{}/health/liveliness", self.url)).body(Full::default()).unwrap();
            if client().request(alive).await.is_ok_and(|response| response.status() == 200) {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "LiteLLM ended");
            assert!(started.elapsed() < Duration::from_secs(100), "LiteLLM does not begin");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for LiteLlm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn post(url: &str, body: &Value) -> Request<Full<bytes::Bytes>> {
    let request = Request::post(format!("{url}/v1/responses")).header("content-type", "application/json");
    request.header("authorization", format!("Bearer {KEY}")).body(Full::from(body.to_string())).unwrap()
}

/// The last event's response, or the JSON.
async fn answer(url: &str, body: &Value) -> (u16, Value) {
    let response = send(post(url, body)).await;
    if body["stream"] != true || !response.status().is_success() {
        return json(response).await;
    }
    let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let events = tower_responses_testing::parse_sse(&text);
    let last = events.last().unwrap_or_else(|| panic!("no events: {text}"));
    assert_eq!(last["type"], "response.completed", "{text}");
    (200, last["response"].clone())
}

/// As Codex declares its tools, and writes its history.
fn codex_shaped(model: &str, say: &str, stream: bool) -> Value {
    let title = json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]});
    json!({
        "model": model,
        "instructions": "You are a coding agent.",
        "stream": stream,
        "store": true,
        "parallel_tool_calls": true,
        "include": ["reasoning.encrypted_content"],
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
            {"type": "custom_tool_call", "call_id": "c0", "name": "apply_patch", "input": PATCH, "status": "completed"},
            {"type": "custom_tool_call_output", "call_id": "c0", "output": "Success"},
            {"type": "function_call", "call_id": "c1", "namespace": "mcp__github", "name": "create_issue", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "done"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": say}]},
        ],
        "tools": [
            {"type": "function", "name": "exec_command", "strict": false,
                "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}}},
            {"type": "namespace", "name": "mcp__github", "description": "Issues.", "tools": [
                {"type": "function", "name": "create_issue", "description": "Opens an issue.", "parameters": title}]},
            {"type": "custom", "name": "apply_patch", "description": "Edits files.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
            {"type": "web_search"},
        ],
    })
}

fn only_functions(seen: &Exchange) {
    assert_eq!(seen.refused, None);
    let tools = seen.request["tools"].as_array().unwrap();
    assert!(tools.len() == 3 && tools.iter().all(|tool| tool["type"] == "function"), "{tools:?}");
}

#[tokio::test]
#[ignore = "needs LiteLLM: tests/litellm/setup.sh"]
async fn what_codex_sends_works_through_the_gateway_and_not_without() {
    let upstream = Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), Model::obedient()).unwrap();
    let proxy = LiteLlm::start(&upstream).await;
    let args = ["--upstream", &proxy.url, "--upstream-api-key-env", "LITELLM_KEY", "--store", "memory"];
    let gateway = Gateway::start_with(&args, &[("LITELLM_KEY", KEY)]);
    let issue = "Call create_issue with {\"title\": \"It works\"}";
    let patch = format!("Use apply_patch with this:\n{PATCH}");

    for (model, stream) in MODELS.iter().flat_map(|(model, _)| [(*model, false), (*model, true)]) {
        // What is plain works without us, so the proxy is what stands between.
        let plain = json!({"model": model, "input": "hello", "stream": stream});
        assert_eq!(answer(&proxy.url, &plain).await.0, 200, "{model}");

        for (say, call) in [
            (
                issue,
                json!({"type": "function_call", "namespace": "mcp__github", "name": "create_issue", "arguments": "{\"title\":\"It works\"}"}),
            ),
            (&patch, json!({"type": "custom_tool_call", "name": "apply_patch", "input": PATCH})),
        ] {
            let request = codex_shaped(model, say, stream);
            let (status, refused) = answer(&proxy.url, &request).await;
            assert_eq!(status, 400, "{refused}");
            assert!(refused["error"]["message"].as_str().unwrap().contains("only functions are"), "{refused}");

            let (status, response) = answer(&gateway.url, &request).await;
            assert_eq!(status, 200, "{response}");
            let items = response["output"].as_array().unwrap();
            for (name, value) in call.as_object().unwrap() {
                assert_eq!(items[0][name], *value, "{model}, stream {stream}: {items:?}");
            }
            only_functions(upstream.seen().last().unwrap());

            let output =
                if call["type"] == "custom_tool_call" { "custom_tool_call_output" } else { "function_call_output" };
            let next = json!({"model": model, "previous_response_id": response["id"], "tools": request["tools"],
                "input": [{"type": output, "call_id": items[0]["call_id"], "output": "it went well"}], "stream": stream});
            let (status, response) = answer(&gateway.url, &next).await;
            assert_eq!(status, 200, "{response}");
            assert_eq!(response["output"][0]["content"][0]["text"], "The tool said: it went well");
        }
    }

    let (status, list) = gateway.get("/v1/models").await;
    assert_eq!(status, 200, "{list}");
    for (index, (model, _)) in MODELS.iter().enumerate() {
        assert_eq!(list["data"][index]["id"], *model);
        assert_eq!(list["models"][index]["slug"], *model, "{list}");
    }
}
