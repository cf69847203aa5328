//! What the history of a conversation costs that is continued, by its length and by the store.
//! Each turn has 2 KB of input and 2 KB of output. `other` is a gateway that has not seen the
//! conversation, `same` the one that has.
//!
//! `cargo bench -p tower-responses-response-store --bench hydrate`; with `--all-features` and
//! `TOWER_RESPONSES_BENCH_STORES="postgres://… redis://…"` these too; what is written there stays.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};
use tower_responses_core::{RequestBody, ResponseBody, json::Object};
use tower_responses_response_store::{ResponseStore, ResponseStoreLayer, open};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

type Service = BoxCloneSyncService<Request<Full<Bytes>>, Response<ResponseBody>, Infallible>;

/// Says how many bytes it was asked with, and 2 KB more.
async fn upstream(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = request.into_body().collect().await.expect("a whole request").to_bytes().len();
    let text = "answer. ".repeat(256);
    let body = format!(
        r#"{{"id":"resp_1","object":"response","status":"completed","model":"m","metadata":{{"asked":"{asked}"}},"output":[{{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{{"type":"output_text","text":"{text}","annotations":[]}}]}}]}}"#
    );
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::from(body)).expect("a response"))
}

fn service(store: &Arc<dyn ResponseStore>) -> Service {
    BoxCloneSyncService::new(ResponseStoreLayer::new(store.clone()).layer(tower::service_fn(upstream)))
}

async fn ask(service: &Service, members: String) -> Object {
    let text = "question ".repeat(228);
    let body = format!(r#"{{"model":"m","input":[{{"type":"message","role":"user","content":"{text}"}}]{members}}}"#);
    let request = Request::post("/v1/responses").header("authorization", "Bearer bench").body(Full::from(body));
    let response = service.clone().oneshot(request.expect("a request")).await.expect("an answer");
    assert_eq!(response.status(), 200);
    Object::parse(response.into_body().collect().await.expect("a whole answer").to_bytes()).expect("JSON")
}

fn continuing(id: &str) -> String {
    format!(r#","previous_response_id":"{id}""#)
}

/// A conversation of so many turns; the id of the last.
async fn conversation(service: &Service, turns: usize) -> String {
    let mut id = None;
    for _ in 0..turns {
        let response = ask(service, id.as_deref().map(continuing).unwrap_or_default()).await;
        id = response.get_str("id").map(|id| id.into_owned());
    }
    id.expect("a turn")
}

struct Place {
    url: String,
    turns: usize,
    /// Whether the gateway has seen the conversation.
    same: bool,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let store = self.url.split(':').next().unwrap_or_default();
        write!(f, "{store} {} {}", if self.same { "same" } else { "other" }, self.turns)
    }
}

fn places() -> Vec<Place> {
    let others = std::env::var("TOWER_RESPONSES_BENCH_STORES").unwrap_or_default();
    let urls: Vec<_> = ["memory", "sqlite:"].into_iter().chain(others.split_whitespace()).map(str::to_owned).collect();
    let place = |url: &String, same| [10, 100, 1_000].map(|turns| Place { url: url.clone(), turns, same });
    urls.iter().flat_map(|url| [place(url, false), place(url, true)]).flatten().collect()
}

/// A continuation that is not stored itself; per turn of its history.
#[divan::bench(args = places())]
fn hydrate(bencher: Bencher<'_, '_>, place: &Place) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("tower-responses-hydrate-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let url = match &*place.url {
        "sqlite:" => format!("sqlite:{}", folder.join(format!("{}.db", place.turns)).display()),
        url => url.to_owned(),
    };
    let store = runtime.block_on(open(&url)).expect("a store");
    let same = service(&store);
    let id = runtime.block_on(conversation(&same, place.turns));
    bencher
        .counter(ItemsCount::new(place.turns))
        .with_inputs(|| if place.same { same.clone() } else { service(&store) })
        .bench_local_values(|service| {
            let response = runtime.block_on(ask(&service, format!(r#"{},"store":false"#, continuing(&id))));
            let asked =
                response.get("metadata").and_then(|metadata| metadata.member_str("asked")?.parse::<usize>().ok());
            assert!(asked > Some(place.turns * 4096), "the whole history: {asked:?}");
        });
    drop((same, store));
    let _ = std::fs::remove_dir_all(&folder);
}
