//! A tower [`Layer`](tower_layer::Layer) that lets clients ask for models under other names.
//!
//! The upstream gets the name it knows; the client reads the name it asked for, in the JSON
//! response and in every event that carries a response object. An alias changes the model name
//! and nothing else: in particular it says nothing about who approves what.
//!
//! ```
//! use http_body_util::BodyExt;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_responses_core::RequestBody;
//! use tower_responses_model_alias::{Aliases, ModelAliasLayer};
//!
//! # async fn upstream(request: http::Request<RequestBody>) -> Result<http::Response<String>, std::convert::Infallible> {
//! #     let body = request.into_body().collect().await.unwrap().to_bytes();
//! #     assert_eq!(body, r#"{"model":"qwen3","input":"hi"}"#);
//! #     let body = r#"{"id":"resp_1","model":"qwen3"}"#.to_owned();
//! #     Ok(http::Response::builder().header("content-type", "application/json").body(body).unwrap())
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let aliases = Aliases::new().with("codex-auto-review", "qwen3").with("gpt-*", "qwen3");
//! let service = ServiceBuilder::new().layer(ModelAliasLayer::new(aliases)).service_fn(upstream);
//!
//! let body = r#"{"model":"gpt-5","input":"hi"}"#.to_owned();
//! let response = service.oneshot(http::Request::post("/v1/responses").body(body).unwrap()).await.unwrap();
//! let body = response.into_body().collect().await.unwrap().to_bytes();
//! assert_eq!(body, r#"{"id":"resp_1","model":"gpt-5"}"#);
//! # }
//! ```

mod aliases;
mod layer;
mod restore;

pub use self::{
    aliases::{AliasError, Aliases},
    layer::{ModelAlias, ModelAliasLayer, RenameRequest},
    restore::RestoreModel,
};
