use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::Request;
use http_body_util::Full;
use serde_json::{Value as Json, json};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_responses_core::RequestBody;
use tower_responses_testing::{body_json, json_response};

use super::*;
use crate::{ModelCatalogLayer, ModelSettings};

#[derive(Debug, Clone)]
enum Does {
    Answer(u16, Json),
    Text(&'static str),
    Encoded,
    Fail,
    Hang,
}

/// An upstream that does as it was last told, and counts.
#[derive(Default)]
struct Upstream {
    does: Mutex<Option<Does>>,
    asked: AtomicUsize,
    last: Mutex<Option<(Uri, HeaderMap)>>,
}

impl Upstream {
    fn now(&self, does: Does) {
        *self.does.lock().unwrap() = Some(does);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn answer(&self, request: Request<RequestBody>) -> io::Result<Response<Full<Bytes>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (head, body) = request.into_parts();
        assert!(body.is_end_stream());
        *self.last.lock().unwrap() = Some((head.uri, head.headers));
        let does = self.does.lock().unwrap().clone();
        match does.unwrap() {
            Does::Answer(status, body) => Ok(json_response(status, &body)),
            Does::Text(text) => Ok(Response::new(Full::from(text))),
            Does::Encoded => {
                let response = Response::builder().header("content-encoding", "br").body(Full::from("\u{3}"));
                Ok(response.unwrap())
            }
            Does::Fail => Err(io::ErrorKind::ConnectionRefused.into()),
            Does::Hang => std::future::pending().await,
        }
    }
}

fn list() -> Does {
    Does::Answer(200, json!({"data": [{"id": "m", "max_model_len": 5}]}))
}

struct Rig {
    upstream: Arc<Upstream>,
    layer: ModelCatalogLayer,
}

impl Rig {
    fn new(layer: ModelCatalogLayer) -> Self {
        let rig = Self { upstream: Arc::default(), layer };
        rig.upstream.now(list());
        rig
    }

    async fn get(&self, uri: &str, key: &str) -> io::Result<Response<ResponseBody>> {
        let upstream = self.upstream.clone();
        let inner = service_fn(move |request| {
            let upstream = upstream.clone();
            async move { upstream.answer(request).await }
        });
        let request = Request::get(uri).header("authorization", key).header("accept-encoding", "br");
        self.layer.layer(inner).oneshot(request.body(String::new()).unwrap()).await
    }

    /// Status, state, body.
    async fn ask(&self, uri: &str) -> (u16, Option<String>, Json) {
        let response = self.get(uri, "Bearer a").await.unwrap();
        let state = response.headers().get(STATE_HEADER).map(|state| state.to_str().unwrap().to_owned());
        (response.status().as_u16(), state, body_json(response.into_body()).await)
    }
}

fn stale() -> Option<String> {
    Some("stale".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_list_is_asked_for_once_in_a_while_and_for_each_credential() {
    let rig = Rig::new(ModelCatalogLayer::new());
    for (after, key, want) in [(0, "a", 1), (29, "a", 1), (0, "b", 2), (2, "a", 3), (0, "b", 3)] {
        tokio::time::advance(Duration::from_secs(after)).await;
        assert_eq!(rig.get("/v1/models", key).await.unwrap().status(), 200);
        assert_eq!(rig.upstream.asked(), want, "{after} {key}");
    }
}

#[tokio::test]
async fn the_upstream_is_asked_with_the_clients_credentials_for_something_readable() {
    let rig = Rig::new(ModelCatalogLayer::new());
    let (status, state, body) = rig.ask("http://gw/x/models/m?client_version=1").await;
    assert_eq!((status, state, &body["id"]), (200, None, &json!("m")));
    let (uri, headers) = rig.upstream.last.lock().unwrap().take().unwrap();
    assert_eq!(uri, "http://gw/x/models?client_version=1");
    assert_eq!(headers["authorization"], "Bearer a");
    assert!(!headers.contains_key("accept-encoding"));
}

#[tokio::test]
async fn an_unknown_model_is_not_found_and_a_new_one_is() {
    let rig = Rig::new(ModelCatalogLayer::new());
    let (status, _, body) = rig.ask("/v1/models/nope").await;
    assert_eq!(status, 404);
    assert_eq!(
        body["error"],
        json!({"message": "The model 'nope' does not exist", "type": "invalid_request_error", "param": "model", "code": "model_not_found"})
    );
    rig.upstream.now(Does::Answer(200, json!({"data": [{"id": "nope"}]})));
    assert_eq!(rig.ask("/v1/models/nope").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn without_the_upstream_the_last_known_list_is_given_and_marked() {
    let failures = [
        Does::Fail,
        Does::Hang,
        Does::Encoded,
        Does::Text("<html>"),
        Does::Text(""),
        Does::Answer(500, json!({})),
        Does::Answer(429, json!({})),
        Does::Answer(404, json!({"detail": "Not Found"})),
        Does::Answer(200, json!({"error": "none"})),
    ];
    for failure in failures {
        let rig = Rig::new(ModelCatalogLayer::new());
        let good = rig.ask("/v1/models").await;
        assert_eq!((good.0, &good.1), (200, &None));
        tokio::time::advance(Duration::from_secs(31)).await;
        rig.upstream.now(failure.clone());
        assert_eq!(rig.ask("/v1/models").await, (200, stale(), good.2.clone()), "{failure:?}");
        // For a moment nobody asks again.
        assert_eq!(rig.ask("/v1/models/m").await.1, stale());
        assert_eq!(rig.upstream.asked(), 2, "{failure:?}");
        tokio::time::advance(Duration::from_secs(6)).await;
        rig.upstream.now(list());
        assert_eq!(rig.ask("/v1/models").await, good, "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_no_longer_ask_no_longer_reads_the_old_list() {
    let rig = Rig::new(ModelCatalogLayer::new());
    rig.ask("/v1/models").await;
    tokio::time::advance(Duration::from_secs(31)).await;
    for status in [401, 403] {
        rig.upstream.now(Does::Answer(status, json!({"error": "Unauthorized"})));
        assert_eq!(rig.ask("/v1/models").await, (status, None, json!({"error": "Unauthorized"})));
    }
    rig.upstream.now(Does::Fail);
    assert!(rig.get("/v1/models", "Bearer a").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_known_the_upstreams_failure_passes() {
    let rig = Rig::new(ModelCatalogLayer::new());
    rig.upstream.now(Does::Answer(503, json!({"error": {"message": "loading"}})));
    assert_eq!(rig.ask("/v1/models").await, (503, None, json!({"error": {"message": "loading"}})));
    rig.upstream.now(Does::Fail);
    assert_eq!(rig.get("/v1/models", "a").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    rig.upstream.now(Does::Text("<html>"));
    assert_eq!(rig.ask("/v1/models").await.0, 502);
    rig.upstream.now(Does::Hang);
    assert_eq!(rig.ask("/v1/models").await.0, 504);
}

#[tokio::test]
async fn where_only_the_operator_knows_models_these_are_given() {
    let settings = Settings::new().with("own", ModelSettings::default());
    let rig = Rig::new(ModelCatalogLayer::new().aliases([("coder", "m")]).settings(settings));
    rig.upstream.now(Does::Fail);
    let (status, state, body) = rig.ask("/v1/models").await;
    assert_eq!((status, state.as_deref()), (200, Some("configured")));
    assert_eq!([&body["models"][0]["slug"], &body["models"][1]["slug"]], ["coder", "own"]);
    assert_eq!(rig.ask("/v1/models/coder").await.1.as_deref(), Some("configured"));
    assert!(rig.get("/v1/models/m", "a").await.is_err(), "the upstream may have it");
}

#[tokio::test]
async fn a_list_that_is_too_large_is_not_read() {
    let rig = Rig::new(ModelCatalogLayer::new().limit(10));
    assert_eq!(rig.ask("/v1/models").await.0, 502);
}

#[tokio::test]
async fn everything_else_passes() {
    for (method, uri) in [("POST", "/v1/responses"), ("GET", "/v1/responses/r"), ("DELETE", "/v1/models/m")] {
        let inner = service_fn(|request: Request<RequestBody>| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, io::Error>(Response::new(Full::from(body)))
        });
        let request = Request::builder().method(method).uri(uri).body("as it came".to_owned()).unwrap();
        let response = ModelCatalogLayer::new().layer(inner).oneshot(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "as it came", "{method} {uri}");
    }
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    let mut service = ModelCatalogLayer::new().layer(NeverReady);
    let ready = std::future::poll_fn(|cx| Poll::Ready(Service::<Request<String>>::poll_ready(&mut service, cx)));
    assert!(ready.await.is_pending());
}

struct NeverReady;

impl Service<Request<RequestBody>> for NeverReady {
    type Response = Response<String>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Response<String>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        unreachable!("it is not ready")
    }
}
