use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{Model, Turn, strict, strict::Refusal, wire};

/// The largest request, in bytes.
const LIMIT: usize = 64 << 20;
/// How many exchanges are remembered.
const REMEMBERED: usize = 64;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A model server that understands only functions. It ends when this is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    model: Model,
    seen: Mutex<VecDeque<Exchange>>,
}

/// A request for a response, and what became of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What was asked.
    pub request: Value,
    /// Why it was not answered, if it was not.
    pub refused: Option<String>,
    /// The items of the answer.
    pub items: Vec<Value>,
}

impl Upstream {
    /// Serves a model.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, model: Model) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(State { model, seen: Mutex::default() });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Its root; the API is under `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The latest exchanges (64 at most), the oldest first.
    pub fn seen(&self) -> Vec<Exchange> {
        self.state.seen().iter().cloned().collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, io::Error>(state.serve(request).await) }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            // A client that leaves is no fault.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl State {
    fn seen(&self) -> MutexGuard<'_, VecDeque<Exchange>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, exchange: Exchange) {
        let mut seen = self.seen();
        if seen.len() == REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(exchange);
    }

    async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/v1/responses") => self.respond(request).await,
            (&Method::GET, "/v1/models") => reply(200, &self.models()),
            (&Method::GET, "/health") => reply(200, &json!({})),
            (_, "/v1/responses" | "/v1/models" | "/health") => reply(405, &json!({"detail": "Method Not Allowed"})),
            _ => reply(404, &json!({"detail": "Not Found"})),
        }
    }

    fn models(&self) -> Value {
        let model = |name: &String| {
            json!({"id": name, "object": "model", "created": 1, "owned_by": "vllm", "root": name, "parent": null,
                "max_model_len": 131_072, "permission": []})
        };
        json!({"object": "list", "data": self.model.served().iter().map(model).collect::<Vec<_>>()})
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let encoded = request.headers().contains_key(header::CONTENT_ENCODING);
        let body = match Limited::new(request.into_body(), LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return refuse(&Refusal::new("body", error.to_string())),
        };
        let request = match serde_json::from_slice::<Value>(&body) {
            Ok(request) if request.is_object() && !encoded => request,
            _ => return refuse(&Refusal::new("body", "The body is not a JSON object.")),
        };
        let answer = strict::check(&request, self.model.served()).and_then(|()| self.answer(&request));
        let (items, response) = match answer {
            Ok(answer) => answer,
            Err(refusal) => {
                self.remember(Exchange { request, refused: Some(refusal.message.clone()), items: Vec::new() });
                return refuse(&refusal);
            }
        };
        self.remember(Exchange { request, refused: None, items });
        response
    }

    fn answer(&self, request: &Value) -> Result<(Vec<Value>, Response<Body>), Refusal> {
        let cannot = |why: String| Refusal::new("script", why);
        let turn = self.model.answer(request).map_err(cannot)?;
        if let Some((status, body)) = &turn.error {
            return Ok((Vec::new(), with_headers(reply(*status, body), &turn)));
        }
        let items = wire::items(&turn, request).map_err(cannot)?;
        let name = request["model"].as_str().unwrap_or(&self.model.served()[0]);
        let opening = wire::opening(request, name);
        let completed = wire::completed(&opening, items.clone(), &turn);
        let response = if request["stream"] == true {
            streamed(&wire::events(&opening, &completed), &turn)
        } else {
            reply(200, &completed)
        };
        Ok((items, with_headers(response, &turn)))
    }
}

fn refuse(refusal: &Refusal) -> Response<Body> {
    reply(refusal.status, &refusal.body())
}

fn reply(status: u16, body: &Value) -> Response<Body> {
    let body = Full::from(body.to_string()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn with_headers(mut response: Response<Body>, turn: &Turn) -> Response<Body> {
    for (name, value) in &turn.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

enum Step {
    Send(Bytes),
    Sleep(Duration),
    Cut,
}

fn streamed(events: &[Value], turn: &Turn) -> Response<Body> {
    let mut steps = Vec::new();
    let (mut pause, mut cut) = (turn.pause.clone(), turn.cut.clone());
    for event in events {
        let kind = event["type"].as_str().unwrap_or_default();
        steps.push(Step::Send(format!("event: {kind}\ndata: {event}\n\n").into()));
        if let Some((_, time)) = pause.take_if(|(after, _)| after == kind) {
            steps.push(Step::Sleep(time));
        }
        if cut.take_if(|after| after == kind).is_some() {
            // Long enough for what was written to leave.
            steps.extend([Step::Sleep(Duration::from_millis(50)), Step::Cut]);
            break;
        }
    }
    let frames = stream::iter(steps).filter_map(|step| async move {
        match step {
            Step::Send(bytes) => Some(Ok(Frame::data(bytes))),
            Step::Sleep(time) => {
                tokio::time::sleep(time).await;
                None
            }
            Step::Cut => Some(Err(io::ErrorKind::ConnectionReset.into())),
        }
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
