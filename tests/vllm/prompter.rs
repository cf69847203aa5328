use std::{
    collections::VecDeque,
    convert::Infallible,
    env,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support;

/// What the model shall say.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Text(String),
    /// Call the function whose name has all of these in it, else the one that is called as the
    /// last of them.
    Call(Vec<String>, Value),
}

impl Say {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn call(names: &[&str], arguments: Value) -> Self {
        Self::Call(names.iter().map(|&name| name.to_owned()).collect(), arguments)
    }
}

/// Stands before vLLM and adds to each request what makes the model say the next text. vLLM's own
/// parsers then make items and events of it.
#[derive(Debug)]
pub(crate) struct Prompter {
    pub(crate) url: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    vllm: String,
    script: Mutex<VecDeque<Say>>,
    seen: Mutex<Vec<Value>>,
}

impl Prompter {
    pub(crate) async fn start(script: impl IntoIterator<Item = Say>) -> Self {
        let vllm = env::var("VLLM_URL").expect("VLLM_URL; tests/vllm/run.sh sets it");
        let script = Mutex::new(script.into_iter().collect());
        let state = Arc::new(State { vllm, script, seen: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { url, state }
    }

    /// The requests as the gateway sent them.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.state.seen.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(state.forward(request).await) }
            });
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl State {
    async fn forward(&self, request: Request<Incoming>) -> Response<Incoming> {
        let (head, body) = request.into_parts();
        let mut body = body.collect().await.unwrap().to_bytes();
        if let Ok(mut request) = serde_json::from_slice::<Value>(&body) {
            self.seen.lock().unwrap().push(request.clone());
            if let Some(say) = self.script.lock().unwrap().pop_front() {
                make_it_say(&mut request, &say);
            }
            body = Bytes::from(request.to_string());
        }
        let request = Request::builder().method(head.method).uri(format!("{}{}", self.vllm, head.uri.path()));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Full::from(body)).unwrap();
        support::send(request).await
    }
}

/// A choice is only obeyed where nothing else constrains the output.
fn make_it_say(request: &mut Value, say: &Say) {
    let text = match say {
        Say::Text(text) => text.clone(),
        Say::Call(names, arguments) => {
            // vLLM's parser wants the name first.
            let name = json!(declared(request, names));
            format!("<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>")
        }
    };
    for tool in request.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        tool["strict"] = json!(false);
    }
    let request = request.as_object_mut().unwrap();
    request.remove("parallel_tool_calls");
    request.insert("tool_choice".to_owned(), json!("auto"));
    request.insert("structured_outputs".to_owned(), json!({"choice": [text]}));
}

fn declared(request: &Value, names: &[String]) -> String {
    let tools = request["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str());
    let mut found = tools.filter(|declared| names.iter().all(|name| declared.contains(name.as_str())));
    found.next().or(names.last().map(String::as_str)).unwrap().to_owned()
}
