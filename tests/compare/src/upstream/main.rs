//! An upstream that answers as it was told, in the shapes of vLLM 0.32.
//!
//! `upstream PORT`. `POST /script` says what all answers are from now on, `GET /seen` what came
//! since then. The rest of the paths is the model server's.

mod answer;
mod events;
mod request;
mod script;

use std::{
    convert::Infallible,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{answer::Answer, events::Events, request::Asked, script::Script};

/// What came since the script was set.
#[derive(Debug, Default, Clone, Serialize)]
struct Seen {
    connections: u64,
    requests: u64,
    /// Items in the `input` of the last request.
    items: usize,
}

#[derive(Debug, Default)]
struct State {
    script: Arc<Script>,
    seen: Seen,
    /// Of all answers since the start: ids are made of it.
    answers: u64,
}

type Shared = Arc<Mutex<State>>;
type Body = Either<Full<Bytes>, Events>;

fn with<T>(state: &Shared, work: impl FnOnce(&mut State) -> T) -> T {
    work(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("usage: upstream PORT")?;
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let state = Shared::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        with(&state, |state| state.seen.connections += 1);
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| serve(request, state.clone()));
            // A client that hangs up is none of our concern.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn serve(request: Request<Incoming>, state: Shared) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(json(StatusCode::BAD_REQUEST, "{}")) };
    let body = body.to_bytes();
    Ok(match (head.method, head.uri.path()) {
        (Method::POST, "/v1/responses") => respond(&body, &state),
        (Method::POST, "/script") => match serde_json::from_slice::<Script>(&body) {
            Ok(script) => {
                with(&state, |state| (state.script, state.seen) = (Arc::new(script), Seen::default()));
                json(StatusCode::OK, "{}")
            }
            Err(error) => json(StatusCode::BAD_REQUEST, error.to_string()),
        },
        (Method::GET, "/seen") => {
            let seen = with(&state, |state| state.seen.clone());
            json(StatusCode::OK, serde_json::to_string(&seen).unwrap_or_default())
        }
        (Method::GET, "/v1/models") => json(StatusCode::OK, MODELS),
        (Method::GET, _) => json(StatusCode::OK, "{}"),
        _ => json(StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#),
    })
}

const MODELS: &str = concat!(
    r#"{"object":"list","data":[{"id":"scripted","object":"model","created":1795261662,"#,
    r#""owned_by":"vllm","root":"scripted","parent":null,"max_model_len":1048576,"permission":[]}]}"#
);

fn respond(body: &[u8], state: &Shared) -> Response<Body> {
    let asked = match Asked::read(body) {
        Ok(asked) => asked,
        Err(error) => {
            let message = serde_json::json!({"message": error.to_string(), "type": "BadRequestError", "param": null, "code": 400});
            return json(StatusCode::BAD_REQUEST, serde_json::json!({ "error": message }).to_string());
        }
    };
    let (script, number) = with(state, |state| {
        state.seen.requests += 1;
        state.seen.items = asked.items;
        state.answers += 1;
        (state.script.clone(), state.answers)
    });
    let (stream, pace) = (asked.stream, script.pace());
    let answer = Answer::new(&script, &asked, number);
    if !stream {
        return json(StatusCode::OK, answer.finished());
    }
    let mut response = Response::new(Either::Right(Events::new(answer, pace)));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
