use std::{collections::HashSet, convert::Infallible, path::Path, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, Either, FutureExt};
use http::{HeaderName, HeaderValue, Request, Response, header::CONTENT_ENCODING};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::{ServiceBuilder, ServiceExt, util::option_layer};
use tower_http::{
    decompression::RequestDecompression,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
};
use tower_layer::layer_fn;
use tower_responses_core::{RequestBody, ResponseBody, rewrite::Limits};
use tower_service::Service;

use super::{
    ConfigError, Settings,
    access::AccessLayer,
    admin::AdminLayer,
    config::UpstreamSettings,
    cors::{self, NoUpstreamCorsLayer},
    exchange_log::ExchangeLogLayer,
    in_flight::InFlightLayer,
    model_lists::Further,
    routes::Routes,
};
use crate::{
    ResponsesStack,
    call_restore::CallRestoreLayer,
    model_alias::{Aliases, ModelAliasLayer},
    model_catalog::{self, ModelCatalogLayer},
    response_store::{FinishLayer, ResponseStore, ResponseStoreLayer},
    stack::SharedResponseBody,
    tool_normalize::{Policy, Strict, ToolNormalizeLayer, ToolPolicies},
    upstream::{TrustedRoots, Upstream, UpstreamConfig},
    upstream_quirks::{Fix, Profile, UnknownProfile, UpstreamQuirksLayer},
    websocket::WebSocketLayer,
};

/// What the gateway is made of beside its settings.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Where responses are kept; `None` keeps none.
    pub store: Option<Arc<dyn ResponseStore>>,
    /// What `/metrics` shows.
    pub metrics: Option<PrometheusHandle>,
    /// The connections that are WebSockets.
    pub websocket: WebSocketLayer,
}

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The whole gateway as one service.
///
/// # Errors
/// Where the settings contradict themselves or name what is not there.
#[allow(clippy::type_complexity, reason = "it has no name, and is spelled only here")]
pub fn build(
    settings: &Settings,
    gateway: Gateway,
) -> Result<
    impl Service<
        Request<Incoming>,
        Response = Response<ResponseBody>,
        Error = Infallible,
        Future: Future<Output = Result<Response<ResponseBody>, Infallible>> + Send,
    > + Clone
    + Send
    + 'static,
    ConfigError,
> {
    let limits = limits(settings);
    let upstream = upstream(&settings.upstream)?;
    let access = AccessLayer::new(&settings.api_keys)?;
    let admin = AdminLayer {
        upstream: upstream.clone(),
        store: gateway.store.clone(),
        metrics: gateway.metrics,
        guarded: !settings.api_keys.is_empty(),
    };
    let store = match gateway.store {
        Some(store) => match settings.retention.cache_bytes {
            Some(bytes) => ResponseStoreLayer::with_cache(store, bytes, Duration::from_secs(60)),
            None => ResponseStoreLayer::new(store),
        },
        None => ResponseStoreLayer::disabled(),
    };
    let finish = settings.retention.finish_abandoned.filter(|&n| n > 0).map(FinishLayer::new);
    let stack = ResponsesStack::new()
        .websocket(gateway.websocket)
        .observe((ExchangeLogLayer::new(limits), option_layer(finish)))
        .store(store.limits(limits))
        .catalog(catalog(settings))
        .alias(ModelAliasLayer::new(aliases(settings)).limits(limits))
        .tools(normalize(settings)?.limits(limits), CallRestoreLayer::new().limits(limits))
        .quirks(quirks(settings, &upstream)?.limits(limits));
    let in_flight = settings.limits.in_flight.map(|n| InFlightLayer::new(n, settings.limits.queue.unwrap_or(n)));
    let routes = Routes::new(upstream, further_upstreams(settings)?);

    Ok(ServiceBuilder::new()
        // Is asked by machines, often, and needs nothing of the rest.
        .layer(admin)
        // Every request has an id, in our log, upstream, and in the answer.
        .layer(SetRequestIdLayer::new(REQUEST_ID, RandomId))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        // Browsers ask without a credential whether they may come.
        .layer(layer_fn(SharedResponseBody::new))
        .layer(option_layer(cors::layer(settings)?))
        .layer(NoUpstreamCorsLayer)
        .layer(access)
        // What clients compress, nobody further in could read.
        .layer(layer_fn(Decompress::new))
        .layer(stack)
        .layer(layer_fn(SharedResponseBody::new))
        // Innermost: a request that is still arriving must not hold a place.
        .layer(option_layer(in_flight))
        .service(routes))
}

/// Decompresses the requests that are compressed; the others do not pay for it.
#[derive(Debug, Clone)]
struct Decompress<S> {
    inner: S,
}

impl<S> Decompress<S> {
    fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S> Service<Request<Incoming>> for Decompress<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if !request.headers().contains_key(CONTENT_ENCODING) {
            return Either::Left(self.inner.call(request.map(RequestBody::new)));
        }
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let inner = inner.map_request(|request: Request<_>| request.map(RequestBody::new));
        let future = RequestDecompression::new(inner).oneshot(request);
        Either::Right(
            async move {
                Ok(match future.await {
                    Ok(response) => response.map(|body| ResponseBody::new(body.boxed_unsync())),
                    Err(error) => {
                        tracing::debug!(%error, "a request could not be decompressed");
                        crate::ApiError::bad_request("the body could not be decompressed").into_response()
                    }
                })
            }
            .boxed(),
        )
    }
}

fn limits(settings: &Settings) -> Limits {
    let default = Limits::default();
    Limits {
        request: settings.limits.request_bytes.unwrap_or(default.request),
        response: settings.limits.response_bytes.unwrap_or(default.response),
    }
}

fn seconds(value: Option<f64>, default: Option<Duration>) -> Option<Duration> {
    match value {
        None => default,
        Some(value) => Duration::try_from_secs_f64(value).ok().filter(|value| !value.is_zero()),
    }
}

fn upstream(settings: &UpstreamSettings) -> Result<Upstream, ConfigError> {
    let url = settings.url.as_deref().ok_or_else(|| ConfigError::new("an upstream has no url"))?;
    let url = url.parse().map_err(|error: crate::upstream::BadUrl| ConfigError::new(error.to_string()))?;
    let default = UpstreamConfig::default();
    let config = UpstreamConfig {
        connect_timeout: seconds(settings.connect_timeout, default.connect_timeout),
        first_byte_timeout: seconds(settings.first_byte_timeout, default.first_byte_timeout),
        idle_timeout: seconds(settings.idle_timeout, default.idle_timeout),
        total_timeout: seconds(settings.total_timeout, default.total_timeout),
        http2: settings.http2,
        roots: roots(settings.ca_file.as_deref())?,
        ..default
    };
    let upstream = Upstream::with_config(url, config);
    match &settings.api_key_env {
        Some(variable) => {
            let key = std::env::var(variable).unwrap_or_default();
            if key.trim().is_empty() {
                return Err(ConfigError::new(format!("the environment variable {variable} holds no key")));
            }
            upstream
                .with_key(key.trim())
                .map_err(|_| ConfigError::new(format!("the key in {variable} cannot stand in a header")))
        }
        None if settings.drop_authorization => Ok(upstream.without_credential()),
        None => Ok(upstream),
    }
}

/// The authorities of this file, or the system's.
pub(super) fn roots(file: Option<&Path>) -> Result<TrustedRoots, ConfigError> {
    let roots = file.map(TrustedRoots::from_pem_file).transpose();
    Ok(roots.map_err(|error| ConfigError::new(error.to_string()))?.unwrap_or_default())
}

fn further_upstreams(settings: &Settings) -> Result<Vec<Further>, ConfigError> {
    let mut served = HashSet::new();
    let further = settings.upstreams.iter().map(|(name, further)| {
        if further.models.is_empty() {
            return Err(ConfigError::new(format!(
                "the upstream '{name}' serves no models: set upstreams.{name}.models"
            )));
        }
        if let Some(model) = further.models.iter().find(|model| !served.insert(*model)) {
            return Err(ConfigError::new(format!("two upstreams serve the model '{model}'")));
        }
        Ok(Further { upstream: upstream(further)?, models: further.models.clone() })
    });
    further.collect()
}

fn aliases(settings: &Settings) -> Aliases {
    let aliases = settings.aliases.iter().fold(Aliases::new(), |aliases, (name, target)| aliases.with(name, target));
    match &settings.default_model {
        Some(model) => aliases.with_default(model),
        None => aliases,
    }
}

fn catalog(settings: &Settings) -> ModelCatalogLayer {
    // The models of further upstreams are listed by name even where those say nothing of them.
    let further = settings.upstreams.values().flat_map(|upstream| &upstream.models);
    let further = further.map(|name| (name, settings.models.get(name).cloned().unwrap_or_default()));
    let named = settings.models.iter().map(|(name, model)| (name, model.clone()));
    let models = further.chain(named).fold(model_catalog::Settings::new(), |all, (name, model)| all.with(name, model));
    let aliases = settings.aliases.iter().filter(|(name, _)| !name.ends_with('*'));
    ModelCatalogLayer::new().aliases(aliases.map(|(name, target)| (name.as_str(), target.as_str()))).settings(models)
}

fn normalize(settings: &Settings) -> Result<ToolNormalizeLayer, ConfigError> {
    let mut policies = ToolPolicies::new();
    for (kind, policy) in &settings.tools.policies {
        let policy = match policy.as_str() {
            "drop" => Policy::Drop,
            "pass" => Policy::Pass,
            "reject" => Policy::Reject,
            other => {
                return Err(ConfigError::new(format!("tools.policies.{kind}: '{other}' is not drop, pass or reject")));
            }
        };
        policies = if kind == "unknown" { policies.unknown(policy) } else { policies.set(kind, policy) };
    }
    let strict = match settings.tools.strict.as_deref() {
        None | Some("as-declared") => Strict::AsDeclared,
        Some("force") => Strict::Force,
        Some(other) => return Err(ConfigError::new(format!("tools.strict: '{other}' is not as-declared or force"))),
    };
    Ok(ToolNormalizeLayer::new().tools(policies).strict(strict))
}

fn quirks(settings: &Settings, upstream: &Upstream) -> Result<UpstreamQuirksLayer, ConfigError> {
    let profile = settings.upstream.profile.as_deref().map_or(Ok(Profile::Vllm), str::parse);
    let profile = profile.map_err(|error: UnknownProfile| ConfigError::new(error.to_string()))?;
    let heartbeat = seconds(settings.heartbeat, Some(Duration::from_secs(15))).unwrap_or_default();
    let fix = |name: &String| name.parse::<Fix>().map_err(|error| ConfigError::new(error.to_string()));
    let mut layer = UpstreamQuirksLayer::new(profile).heartbeat(heartbeat).gateway_key(upstream.has_key());
    for name in &settings.upstream.fixes_on {
        layer = layer.with(fix(name)?);
    }
    for name in &settings.upstream.fixes_off {
        layer = layer.without(fix(name)?);
    }
    Ok(layer)
}

/// 128 random bits.
#[derive(Debug, Clone, Copy)]
struct RandomId;

impl MakeRequestId for RandomId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let text = format!("req_{:032x}", rand::random::<u128>());
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok().map(RequestId::new)
    }
}
