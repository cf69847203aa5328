//! A tower [`Layer`](tower_layer::Layer) that answers `GET …/models` and `GET …/models/{id}` for
//! OpenAI clients and for Codex, in one document:
//! `{"object":"list","data":[…],"models":[…]}`.
//!
//! `data` is the upstream's own list with the aliases beside it. `models` is what Codex reads: it
//! refuses the whole catalog if a single entry lacks a member that it requires, so every entry
//! here has them all. The upstream's list is asked for through the service inside, with the
//! client's own credentials, and kept for a short while; while the upstream is down the last
//! known list is given, with the header `x-tower-responses-models: stale`.
//!
//! ```
//! use http::Request;
//! use http_body_util::BodyExt;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_responses_core::{RequestBody, json::Object};
//! use tower_responses_model_catalog::{ModelCatalogLayer, ModelSettings, Settings};
//!
//! # async fn upstream(_: Request<RequestBody>) -> Result<http::Response<String>, std::convert::Infallible> {
//! #     Ok(http::Response::new(r#"{"object":"list","data":[{"id":"qwen3","object":"model","max_model_len":65536}]}"#.to_owned()))
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let settings = Settings::new().with("*", ModelSettings { tool_search: Some(true), ..Default::default() });
//! let layer = ModelCatalogLayer::new().aliases([("coder", "qwen3")]).settings(settings);
//! let service = ServiceBuilder::new().layer(layer).service_fn(upstream);
//!
//! let request = Request::get("/v1/models?client_version=0.169.0").body(String::new()).unwrap();
//! let body = service.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
//! let models: Vec<_> = Object::parse(body).unwrap().get("models").unwrap().elements().unwrap().collect();
//! assert_eq!(models[0].member_str("slug").unwrap(), "qwen3");
//! assert_eq!(models[1].member_str("slug").unwrap(), "coder");
//! assert_eq!(models[1].member("context_window").unwrap().as_i64(), Some(65536));
//! # }
//! ```
//!
//! [`Catalog`] is the same without a service: it makes the document, and the file that Codex reads
//! as `model_catalog_json`.
//!
//! # Without the upstream's list
//! A last known list is given instead of whatever else comes: no answer, one that is late, an
//! error, something unreadable. Only 401 and 403 pass, and end what was known for that credential.
//! Where no list is known there is one of the aliases and the settings, marked `configured`; where
//! there are none of these either, the client gets what the upstream said.
//!
//! # Metrics
//! `tower_responses_model_lists_total` by `answer`: `fresh`, `cached`, `stale`, `configured`,
//! `refused`, `failed`.
//!
//! # Runtime
//! The time that the upstream has is kept by tokio's timer.

mod cache;
mod catalog;
mod entry;
mod layer;
mod list;
mod route;
mod service;
mod settings;

pub use self::{
    catalog::Catalog,
    entry::{DEFAULT_INSTRUCTIONS, check_entry},
    layer::{ModelCatalog, ModelCatalogLayer},
    list::{ListError, ModelHints, UpstreamModels},
    service::{CatalogFuture, STATE_HEADER},
    settings::{
        Modality, ModelSettings, ReasoningSummary, Settings, ShellType, Truncation, TruncationMode, Verbosity,
        Visibility, WebSearchType,
    },
};
