use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response, Uri, Version,
    header::{HOST, InvalidHeaderValue},
    request::Parts,
};
use http_body::Body;
use hyper_util::client::legacy::connect::HttpConnector;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tower_responses_core::{BoxError, RequestBody, ResponseBody};
use tower_service::Service;

use super::{
    TrustedRoots, UpstreamUrl,
    answer::Accepted,
    any_client::AnyClient,
    connect::RetryConnect,
    failure::{self, Call, NoAnswer},
    headers::{Credential, prepare_request, remove_hop_by_hop},
    pool::{Pool, PooledBody},
    timed_body::{Limits, TimedBody},
    upload::{Fault, Upload},
};

/// The name that a request has in logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// When an answer has to be at its end, as an extension of it. The body sees to that whenever it is
/// asked for more; whoever may stop to ask sees to it by this.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "nobody else looks at it"))]
pub(crate) struct Deadline(pub(crate) Instant);

/// How an upstream is asked. Every time may be switched off with `None`.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// For a connection to be made. 5 seconds.
    pub connect_timeout: Option<Duration>,
    /// How often a connection that could not be made is tried again. Twice.
    pub connect_retries: u32,
    /// For the first byte of an answer; without streaming that is the whole answer. 10 minutes.
    pub first_byte_timeout: Option<Duration>,
    /// Between two pieces of an answer. 5 minutes.
    pub idle_timeout: Option<Duration>,
    /// For an answer to its end, of a stream too. None.
    pub total_timeout: Option<Duration>,
    /// How long a connection that nobody uses is kept. 4 seconds: vLLM closes its own after 5.
    pub pool_idle_timeout: Duration,
    /// Send a request once more, over a new connection, if it was sent over one that had been used
    /// before and that ended before the first byte of an answer: a server may close such a
    /// connection without saying so. Holds for requests that make a response or whose method is
    /// idempotent, and whose body is at hand. Yes.
    pub retry_dead_connections: bool,
    /// Speak HTTP/2 from the start, also without TLS.
    pub http2: bool,
    /// Whose certificates an upstream with `https://` may show. Those that the system trusts.
    pub roots: TrustedRoots,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(5)),
            connect_retries: 2,
            first_byte_timeout: Some(Duration::from_secs(600)),
            idle_timeout: Some(Duration::from_secs(300)),
            total_timeout: None,
            pool_idle_timeout: Duration::from_secs(4),
            retry_dead_connections: true,
            http2: false,
            roots: TrustedRoots::system(),
        }
    }
}

/// Over what the upstream is asked.
#[derive(Clone)]
enum Client {
    /// HTTP/1 without TLS, as nearly all model servers speak it.
    Plain(Arc<Pool>, HeaderValue),
    /// What is found out when a connection is made.
    Any(Box<AnyClient>),
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<PooledBody>, NoAnswer>> + Send>>;

impl Client {
    fn new(url: &UpstreamUrl, config: &UpstreamConfig) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(config.connect_timeout);
        http.set_keepalive(Some(Duration::from_secs(60)));
        if let Some(host) = url.host().filter(|_| !url.is_tls() && !config.http2) {
            let connector = RetryConnect::new(http, config.connect_retries);
            let pool = Pool::new(connector, url.join(&Uri::default()), config);
            return Self::Plain(Arc::new(pool), host);
        }
        Self::Any(Box::new(AnyClient::new(http, url.is_tls(), config)))
    }

    fn ask(&self, url: &UpstreamUrl, mut head: Parts, body: RequestBody) -> Answer {
        match self {
            Self::Plain(pool, host) => {
                head.uri = url.path(&head.uri).into();
                head.headers.insert(HOST, host.clone());
                Box::pin(pool.clone().ask(Request::from_parts(head, body)))
            }
            Self::Any(client) => {
                head.uri = url.join(&head.uri);
                // The client takes it from the URL.
                head.headers.remove(HOST);
                let answer = AnyClient::clone(client).ask(Request::from_parts(head, body));
                Box::pin(async move { Ok(answer.await?.map(PooledBody::elsewhere)) })
            }
        }
    }
}

/// Asks one upstream. Clones share its connections.
///
/// It never fails: what goes wrong is an HTTP response with an error in OpenAI's shape, 502 where
/// the upstream cannot be reached or gives up, 504 where it is too slow.
#[derive(Clone)]
pub struct Upstream {
    /// One reference: a service is cloned for every request.
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    url: UpstreamUrl,
    client: Client,
    credential: Credential,
    config: UpstreamConfig,
}

impl Upstream {
    /// An upstream with the default configuration.
    pub fn new(url: UpstreamUrl) -> Self {
        Self::with_config(url, UpstreamConfig::default())
    }

    /// An upstream that is asked as `config` says.
    pub fn with_config(url: UpstreamUrl, config: UpstreamConfig) -> Self {
        let client = Client::new(&url, &config);
        Self { shared: Arc::new(Shared { url, client, credential: Credential::default(), config }) }
    }

    /// The upstream gets this key as a bearer token, and never the client's credential.
    ///
    /// # Errors
    /// Where the key cannot stand in a header.
    pub fn with_key(mut self, key: &str) -> Result<Self, InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))?;
        value.set_sensitive(true);
        Arc::make_mut(&mut self.shared).credential = Credential::Ours(value);
        Ok(self)
    }

    /// The upstream gets no credential, the client's neither.
    #[must_use]
    pub fn without_credential(mut self) -> Self {
        Arc::make_mut(&mut self.shared).credential = Credential::None;
        self
    }

    /// Whether the upstream is shown a key of ours.
    pub fn has_key(&self) -> bool {
        matches!(self.shared.credential, Credential::Ours(_))
    }

    /// Where the upstream is.
    pub fn url(&self) -> &UpstreamUrl {
        &self.shared.url
    }
}

impl<B> Service<Request<B>> for Upstream
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = UpstreamFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The client makes connections as it needs them.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> UpstreamFuture {
        let Shared { url, client, credential, config } = &*self.shared;
        let (mut head, body) = request.into_parts();
        head.version = if config.http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        prepare_request(&mut head.headers, credential);
        // What our own transport put there means nothing further in.
        head.extensions = http::Extensions::new();
        let request_id = head.headers.get(REQUEST_ID).cloned();
        let UpstreamConfig { first_byte_timeout, idle_timeout, total_timeout, .. } = *config;
        let first_byte_timeout = first_byte_timeout.into_iter().chain(total_timeout).min();
        let accepted = Accepted::of(&head.headers);
        let (body, fault) = Upload::follow(RequestBody::new(body));
        UpstreamFuture {
            answer: client.ask(url, head, body),
            accepted,
            fault,
            sleep: first_byte_timeout.map(tokio::time::sleep),
            first_byte_timeout: first_byte_timeout.unwrap_or_default(),
            shared: self.shared.clone(),
            request_id,
            limits: Limits { idle: idle_timeout, total: total_timeout.map(|limit| (limit, Instant::now() + limit)) },
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { url, credential, config, client: _ } = &*self.shared;
        f.debug_struct("Upstream")
            .field("url", url)
            .field("credential", credential)
            .field("config", config)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// Future of [`Upstream`].
    pub struct UpstreamFuture {
        answer: Answer,
        accepted: Accepted,
        fault: Option<Fault>,
        #[pin]
        sleep: Option<Sleep>,
        first_byte_timeout: Duration,
        shared: Arc<Shared>,
        request_id: Option<HeaderValue>,
        limits: Limits,
    }
}

impl Future for UpstreamFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let call = || Call { upstream: &this.shared.url, request_id: this.request_id.as_ref() };
        if let Poll::Ready(answer) = this.answer.as_mut().poll(cx) {
            return Poll::Ready(Ok(match answer {
                Ok(response) => match this.accepted.refuse(&response) {
                    Some(error) => error.into_response(),
                    None => received(response, *this.limits),
                },
                Err(error) => match this.fault.as_ref().and_then(Fault::get) {
                    Some(fault) => fault.clone().into_response(),
                    None => error.into_response(&call()),
                },
            }));
        }
        if let Some(sleep) = this.sleep.as_pin_mut()
            && sleep.poll(cx).is_ready()
        {
            return Poll::Ready(Ok(failure::too_slow(*this.first_byte_timeout, &call()).into_response()));
        }
        Poll::Pending
    }
}

fn received(mut response: Response<PooledBody>, limits: Limits) -> Response<ResponseBody> {
    remove_hop_by_hop(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    if limits.is_empty() {
        return response.map(ResponseBody::new);
    }
    if let Some((_, end)) = limits.total {
        response.extensions_mut().insert(Deadline(end));
    }
    response.map(|body| ResponseBody::new(TimedBody::new(body, limits)))
}

impl fmt::Debug for UpstreamFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamFuture").finish_non_exhaustive()
    }
}
