//! Codex 0.171 says `accept-encoding: zstd,gzip`. What the gateway reads must not come compressed;
//! what it passes on may.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    response::Response,
};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_responses::demo::{Item, Model, Turn, Upstream};

use crate::{
    codex::Codex,
    support::{self, Gateway},
    words::word,
};

const LIMIT: usize = 16 << 20;

/// A server before another, which compresses for whoever accepts that.
struct Compressing {
    url: String,
    asked: Arc<Mutex<Asked>>,
}

/// Path and `accept-encoding` of each request.
type Asked = Vec<(String, Option<String>)>;

impl Compressing {
    async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, upstream) = (Arc::new(Mutex::new(Vec::new())), upstream.to_owned());
        let seen = Arc::clone(&asked);
        let app = Router::new().fallback(move |request: Request| {
            let accepts = request.headers().get(ACCEPT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
            seen.lock().unwrap().push((request.uri().path().to_owned(), accepts.clone()));
            let upstream = upstream.clone();
            async move { answer(&upstream, request, accepts.is_some()).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, asked }
    }

    fn asked(&self) -> Asked {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn answer(upstream: &str, request: Request, compress: bool) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LIMIT).await.unwrap();
    if head.uri.path() == "/v1/embeddings" {
        let answer = Response::builder().header(CONTENT_TYPE, "application/json").header(CONTENT_ENCODING, "gzip");
        return answer.body(Body::from(gzip(b"{\"data\":[]}"))).unwrap();
    }
    let mut request = http::Request::builder().method(head.method).uri(format!("{upstream}{}", head.uri));
    if let Some(kind) = head.headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    let (mut head, body) = support::send(request.body(Full::from(body)).unwrap()).await.into_parts();
    let mut body = body.collect().await.unwrap().to_bytes();
    if compress {
        body = gzip(&body).into();
        head.headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
    }
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    Response::from_parts(head, Body::from(body))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

async fn ask(gateway: &Gateway, path: &str, body: Option<Value>) -> http::Response<Bytes> {
    let request = http::Request::builder().uri(format!("{}{path}", gateway.url)).header(ACCEPT_ENCODING, "zstd,gzip");
    let request = match body {
        Some(body) => {
            request.method("POST").header(CONTENT_TYPE, "application/json").body(Full::from(body.to_string()))
        }
        None => request.body(Full::default()),
    };
    let (head, body) = support::send(request.unwrap()).await.into_parts();
    http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn what_is_read_is_never_asked_for_compressed() {
    let upstream = Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), Model::obedient()).unwrap();
    let compressing = Compressing::before(&upstream.url()).await;
    for more in [["--store", "none", "--profile", "none"], ["--store", "memory", "--profile", "vllm"]] {
        let gateway =
            Gateway::start(&[["--upstream", &compressing.url], [more[0], more[1]], [more[2], more[3]]].concat());
        let tool = json!({"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]});
        for (path, body) in [
            ("/v1/responses", Some(json!({"model": Model::NAME, "input": "hi"}))),
            ("/v1/responses", Some(json!({"model": Model::NAME, "input": "hi", "stream": true}))),
            ("/v1/responses", Some(json!({"model": Model::NAME, "input": "hi", "tools": [tool]}))),
            ("/v1/models?client_version=0.171.0", None),
        ] {
            let answer = ask(&gateway, path, body).await;
            assert_eq!(
                (answer.status().as_u16(), answer.headers().get(CONTENT_ENCODING)),
                (200, None),
                "{path} {more:?}"
            );
            assert!(answer.body().starts_with(b"{") || answer.body().starts_with(b"event: "), "{path} {more:?}");
        }
        let asked = compressing.asked();
        assert_eq!(asked.len(), 4, "{asked:?}");
        assert!(asked.iter().all(|(_, accepts)| accepts.is_none()), "{more:?}: {asked:?}");
    }
}

#[tokio::test]
async fn what_is_passed_on_may_come_compressed() {
    let compressing = Compressing::before("http://127.0.0.1:9").await;
    let gateway = Gateway::start(&["--upstream", &compressing.url, "--store", "none"]);
    let answer = ask(&gateway, "/v1/embeddings", Some(json!({"model": "m", "input": "hi"}))).await;
    assert_eq!(answer.headers()[CONTENT_ENCODING], "gzip");
    assert_eq!(answer.body()[..], gzip(b"{\"data\":[]}"));
    assert_eq!(compressing.asked(), [("/v1/embeddings".to_owned(), Some("zstd,gzip".to_owned()))]);
}

#[tokio::test]
async fn codex_works_before_an_upstream_that_compresses() {
    let (server, tool, text) = (word(), word(), word());
    let model = word();
    let turns = [Turn::new([Item::call(&[&server, &tool], json!({"text": text}))]), Turn::new([Item::say(&text)])];
    let upstream = Model::scripted(turns).named(&model);
    let upstream = Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), upstream).unwrap();
    let compressing = Compressing::before(&upstream.url()).await;
    // With a command for its token Codex asks for the list of models too.
    let listed = "auth = { command = \"/bin/echo\", args = [\"token\"] }";
    let codex = Codex::new().asks_for(&model).server(&server, &[&tool]).provider(listed);
    let Some(run) = codex.run_on(&compressing.url).await else { return };
    assert!(run.succeeded, "{}", run.printed);
    assert_eq!(run.last_message.trim(), text, "{}", run.printed);
    let asked = compressing.asked();
    assert!(asked.iter().any(|(path, _)| path == "/v1/models") && asked.len() >= 3, "{asked:?}");
    assert!(asked.iter().all(|(_, accepts)| accepts.is_none()), "{asked:?}");
}
