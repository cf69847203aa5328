//! The layers in the right order, as one layer.
//!
//! ```text
//! WebSocket → (log, metrics, records) → ResponseStore → ModelCatalog → ModelAlias
//!           → ToolNormalize → CallRestore → UpstreamQuirks → your service
//! ```
//!
//! [`ResponsesStack`] puts on what it is given and leaves out the rest. The same by hand:
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_responses::{
//!     RequestBody,
//!     call_restore::CallRestoreLayer,
//!     model_alias::{Aliases, ModelAliasLayer},
//!     tool_normalize::ToolNormalizeLayer,
//! };
//! # async fn proxy(_: Request<RequestBody>) -> Result<Response<String>, std::convert::Infallible> {
//! #     Ok(Response::new(String::new()))
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(ModelAliasLayer::new(Aliases::new().with("coder", "qwen3")))
//!     .layer(ToolNormalizeLayer::new())
//!     .layer(CallRestoreLayer::new())
//!     .service_fn(proxy);
//! # let body = r#"{"input":"hi"}"#.to_owned();
//! # service.oneshot(Request::post("/v1/responses").body(body).unwrap()).await.unwrap();
//! # }
//! ```
//!
//! Another order goes wrong in these ways:
//!
//! - The store inside the tool layers keeps what the upstream saw; a conversation that goes on
//!   with other tools then holds calls of names that nobody declares.
//! - `CallRestore` outside `ToolNormalize` finds no tool map, restores nothing and says so in the
//!   log, once and loudly. So it does without any `ToolNormalize`.
//! - The alias layer inside the tool layers works; inside the quirks it gives the client the
//!   upstream's name in the events that the quirks make.
//! - The quirks outside the store let a cut stream be stored as complete.
//! - The WebSocket further in leaves frames without what stands outside of it.

mod bodies;

use tower::{layer::util::Identity, util::Either};
use tower_layer::Layer;

use crate::{
    call_restore::CallRestoreLayer, model_alias::ModelAliasLayer, model_catalog::ModelCatalogLayer,
    response_store::ResponseStoreLayer, tool_normalize::ToolNormalizeLayer, upstream_quirks::UpstreamQuirksLayer,
    websocket::WebSocketLayer,
};

pub use self::bodies::{AnyRequestBody, SharedResponseBody};

type Optional<L> = Either<L, Identity>;
type Served<L, S> = <Optional<L> as Layer<S>>::Service;

type Upstream<S> = Served<UpstreamQuirksLayer, SharedResponseBody<S>>;
type Tools<S> = Served<ToolNormalizeLayer, Served<CallRestoreLayer, Upstream<S>>>;
type Models<S> = Served<ModelCatalogLayer, Served<ModelAliasLayer, Tools<S>>>;
type State<S> = Served<ResponseStoreLayer, Models<S>>;

/// The service that [`ResponsesStack`] makes.
pub type Responses<S, O = Identity> = AnyRequestBody<Served<WebSocketLayer, <O as Layer<State<S>>>::Service>>;

/// Puts the layers on in the right order, each only if it is given.
///
/// The service inside takes a `Request<RequestBody>`, as hyper's client and axum's routes do; one
/// that takes another body wants `map_request` around it. What comes out takes any body.
///
/// ```
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_responses::{RequestBody, ResponsesStack, call_restore::CallRestoreLayer, tool_normalize::ToolNormalizeLayer};
///
/// # async fn proxy(_: Request<RequestBody>) -> Result<Response<String>, std::convert::Infallible> {
/// #     Ok(Response::new(String::new()))
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stack = ResponsesStack::new().tools(ToolNormalizeLayer::new(), CallRestoreLayer::new());
/// let service = stack.layer(service_fn(proxy));
/// # let body = r#"{"input":"hi"}"#.to_owned();
/// # service.oneshot(Request::post("/v1/responses").body(body).unwrap()).await.unwrap();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ResponsesStack<O = Identity> {
    websocket: Option<WebSocketLayer>,
    observe: O,
    store: Option<ResponseStoreLayer>,
    catalog: Option<ModelCatalogLayer>,
    alias: Option<ModelAliasLayer>,
    normalize: Option<ToolNormalizeLayer>,
    restore: Option<CallRestoreLayer>,
    quirks: Option<UpstreamQuirksLayer>,
}

impl ResponsesStack {
    /// A stack without layers.
    pub fn new() -> Self {
        Self {
            websocket: None,
            observe: Identity::new(),
            store: None,
            catalog: None,
            alias: None,
            normalize: None,
            restore: None,
            quirks: None,
        }
    }
}

impl Default for ResponsesStack {
    fn default() -> Self {
        Self::new()
    }
}

impl<O> ResponsesStack<O> {
    /// Serves `GET …/responses` as a WebSocket.
    #[must_use]
    pub fn websocket(mut self, layer: WebSocketLayer) -> Self {
        self.websocket = Some(layer);
        self
    }

    /// What is to see each request once, over HTTP and over a WebSocket alike, in the shapes of
    /// the client: a log, metrics, records. Several are a tuple, the outermost first. The place of
    /// the store's `FinishLayer` (feature `finish`) is here, innermost.
    #[must_use]
    pub fn observe<P>(self, layer: P) -> ResponsesStack<P> {
        ResponsesStack {
            websocket: self.websocket,
            observe: layer,
            store: self.store,
            catalog: self.catalog,
            alias: self.alias,
            normalize: self.normalize,
            restore: self.restore,
            quirks: self.quirks,
        }
    }

    /// Keeps responses, and continues from them.
    #[must_use]
    pub fn store(mut self, layer: ResponseStoreLayer) -> Self {
        self.store = Some(layer);
        self
    }

    /// Answers `GET …/models`.
    #[must_use]
    pub fn catalog(mut self, layer: ModelCatalogLayer) -> Self {
        self.catalog = Some(layer);
        self
    }

    /// Rewrites model names.
    #[must_use]
    pub fn alias(mut self, layer: ModelAliasLayer) -> Self {
        self.alias = Some(layer);
        self
    }

    /// Makes functions of the client's tools, and the client's calls of the upstream's. The two
    /// need each other, so they come together.
    #[must_use]
    pub fn tools(mut self, normalize: ToolNormalizeLayer, restore: CallRestoreLayer) -> Self {
        self.normalize = Some(normalize);
        self.restore = Some(restore);
        self
    }

    /// Makes true what the upstream says.
    #[must_use]
    pub fn quirks(mut self, layer: UpstreamQuirksLayer) -> Self {
        self.quirks = Some(layer);
        self
    }
}

fn optional<L: Clone>(layer: Option<&L>) -> Optional<L> {
    tower::util::option_layer(layer.cloned())
}

impl<S, O> Layer<S> for ResponsesStack<O>
where
    O: Layer<State<S>>,
{
    type Service = Responses<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        let service = SharedResponseBody::new(inner);
        // What is done nearest to the upstream comes first.
        let service = optional(self.quirks.as_ref()).layer(service);
        // Function calls become again what the client declared …
        let service = optional(self.restore.as_ref()).layer(service);
        // … by the map that this one hands inward.
        let service = optional(self.normalize.as_ref()).layer(service);
        let service = optional(self.alias.as_ref()).layer(service);
        // Asks the upstream for its models; the aliases stand in the list by their own names.
        let service = optional(self.catalog.as_ref()).layer(service);
        // Outside the tools: history is kept in the client's own shapes.
        let service = optional(self.store.as_ref()).layer(service);
        // Each request once, whatever it came by.
        let service = self.observe.layer(service);
        // Each frame is a request to everything inside.
        let service = optional(self.websocket.as_ref()).layer(service);
        AnyRequestBody::new(service)
    }
}
