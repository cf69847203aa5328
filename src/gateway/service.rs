use std::{
    collections::HashSet, convert::Infallible, future::ready, net::SocketAddr, path::Path, sync::Arc, time::Duration,
};

use futures_util::future::{BoxFuture, Either, FutureExt};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header::CONTENT_ENCODING};
use http_body_util::BodyExt;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::{ServiceBuilder, ServiceExt, util::option_layer};
use tower_http::{
    decompression::RequestDecompression,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
};
use tower_layer::layer_fn;
use tower_responses_core::{ApiError, RequestBody, ResponseBody, rewrite::Limits};
use tower_service::Service;

use super::{
    ConfigError, Settings,
    access::AccessLayer,
    admin::{AdminLayer, Internal},
    body_limits::BodyLimits,
    config::{UpstreamSettings, suggestion::nearest},
    cors::{self, NoUpstreamCorsLayer},
    cross_site::{Allowed, CrossSiteLayer},
    encodings::{Encoding, unsupported},
    exchange_log::ExchangeLogLayer,
    in_flight::InFlightLayer,
    passed_on::PassedOn,
    paths::Paths,
    routes::{Routes, Target},
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
    /// Where it listens. On loopback, without keys, it answers only requests for loopback.
    pub address: Option<SocketAddr>,
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
        Request<RequestBody>,
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
        metrics: gateway.metrics.clone(),
        internal: match settings.admin_listen {
            Some(_) => Internal::Elsewhere,
            None => Internal::Shown(access.clone()),
        },
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
    let bodies = BodyLimits::new(&settings.limits, limits.request)?;
    let in_flight = in_flight(settings);
    let default = Target { upstream, paths: Arc::new(Paths::new(&settings.upstream.paths)?) };
    let routes = Routes::new(default, further_upstreams(settings)?);

    Ok(ServiceBuilder::new()
        // Requests that pages of other sites make a browser send end here.
        .layer(cross_site(settings, gateway.address, !settings.api_keys.is_empty()))
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
        .layer(layer_fn(|inner| Decompress { inner, limits: bodies.clone() }))
        .layer(stack)
        .layer(layer_fn(SharedResponseBody::new))
        .layer(layer_fn(|inner| PassedOn::new(inner, limits.request)))
        // Innermost: a request that is still arriving must not hold a place.
        .layer(option_layer(in_flight))
        .service(routes))
}

/// The service at the address of `admin_listen`. It asks for no key.
///
/// # Errors
/// As [`build`].
#[allow(clippy::type_complexity, reason = "it has no name, and is spelled only here")]
pub(super) fn build_admin<B: Send + 'static>(
    settings: &Settings,
    gateway: &Gateway,
    address: SocketAddr,
) -> Result<
    impl Service<
        Request<B>,
        Response = Response<ResponseBody>,
        Error = Infallible,
        Future: Future<Output = Result<Response<ResponseBody>, Infallible>> + Send,
    > + Clone
    + Send
    + 'static,
    ConfigError,
> {
    let upstream = upstream(&settings.upstream)?;
    let admin = AdminLayer {
        upstream,
        store: gateway.store.clone(),
        metrics: gateway.metrics.clone(),
        internal: Internal::Shown(AccessLayer::default()),
    };
    let nothing = |_: Request<B>| {
        let error = ApiError::new(StatusCode::NOT_FOUND, "here are /health, /ready and /metrics").code("unknown_path");
        ready(Ok(error.into_response()))
    };
    Ok(ServiceBuilder::new().layer(cross_site(settings, Some(address), false)).layer(admin).service_fn(nothing))
}

/// Checks hosts and origins where the gateway listens on loopback and asks for no key, and where the
/// configuration names hosts. A page knows no key, and a gateway that listens elsewhere is asked by
/// names that are not known here.
fn cross_site(settings: &Settings, address: Option<SocketAddr>, has_keys: bool) -> CrossSiteLayer {
    let is_loopback = address.is_some_and(|address| address.ip().to_canonical().is_loopback());
    if settings.allowed_hosts.is_empty() && (has_keys || !is_loopback) {
        return CrossSiteLayer::default();
    }
    let allowed = settings.allowed_hosts.iter().fold(Allowed::default(), |allowed, host| allowed.host(host));
    let allowed = settings.cors.iter().fold(allowed, |allowed, origin| allowed.origin(origin));
    let allowed = address.into_iter().fold(allowed, Allowed::address);
    CrossSiteLayer::new(settings.listen.iter().fold(allowed, |allowed, listen| allowed.host(listen)))
}

/// Decompresses the requests that are compressed; the others do not pay for it.
#[derive(Debug, Clone)]
struct Decompress<S> {
    inner: S,
    limits: BodyLimits,
}

impl<S> Service<Request<RequestBody>> for Decompress<S>
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

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let encoding = if request.headers().contains_key(CONTENT_ENCODING) {
            Encoding::read(request.headers_mut())
        } else {
            Encoding::None
        };
        self.limits.apply(&mut request, !matches!(encoding, Encoding::None));
        match encoding {
            Encoding::None => return Either::Left(self.inner.call(request)),
            Encoding::Known => {}
            Encoding::Unknown(name) => return Either::Right(ready(Ok(unsupported(&name))).boxed()),
        }
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let limits = self.limits.clone();
        let inner = inner.map_request(move |request: Request<_>| request.map(|body| limits.inflated(body)));
        let future = RequestDecompression::new(inner).oneshot(request);
        Either::Right(
            async move {
                Ok(match future.await {
                    Ok(response) => response.map(|body| ResponseBody::new(body.boxed_unsync())),
                    Err(error) => {
                        tracing::debug!(%error, "a request could not be decompressed");
                        ApiError::bad_request("the body could not be decompressed").into_response()
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

fn in_flight(settings: &Settings) -> Option<InFlightLayer> {
    if let Some(n) = settings.limits.in_flight {
        return Some(InFlightLayer::new(n, settings.limits.queue.unwrap_or(n)));
    }
    let mut upstreams = settings.upstreams.values().chain([&settings.upstream]);
    let has_times = upstreams.any(|upstream| seconds(upstream.total_timeout, None).is_some());
    has_times.then(InFlightLayer::unbounded)
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
        retry_dead_connections: settings.retry_dead_connections.unwrap_or(default.retry_dead_connections),
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

/// Each with the models that it serves.
fn further_upstreams(settings: &Settings) -> Result<Vec<(Target, Vec<String>)>, ConfigError> {
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
        let target = Target { upstream: upstream(further)?, paths: Arc::new(Paths::new(&further.paths)?) };
        Ok((target, further.models.clone()))
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
    let fix = |name: &String| {
        name.parse::<Fix>().map_err(|error| {
            let meant = nearest(name, Fix::ALL.iter().map(|fix| fix.name()));
            ConfigError::new(meant.map_or_else(|| error.to_string(), |meant| format!("{error}: did you mean {meant}?")))
        })
    };
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
