//! The client for what is found out when a connection is made: HTTP/1 or HTTP/2, TLS or not.
//!
//! hyper-util's client sends again what it has not begun to send. What was sent over a connection
//! that turns out to be dead is sent again here.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use http::{Extensions, Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        self, Client,
        connect::{CaptureConnection, HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::net::TcpStream;
use tower::util::MapResponse;
use tower_responses_core::RequestBody;

use super::{
    UpstreamConfig,
    again::Again,
    connect::RetryConnect,
    failure::{NoAnswer, sources},
    watched::{Traffic, Watched},
};

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type WatchedStream = TokioIo<Watched<TokioIo<Stream>>>;
type Connector = RetryConnect<MapResponse<HttpsConnector<HttpConnector>, fn(Stream) -> WatchedStream>>;

#[derive(Clone)]
pub(super) struct AnyClient {
    client: Client<Connector, RequestBody>,
    /// Never uses a connection again.
    fresh: Client<Connector, RequestBody>,
    retry_dead_connections: bool,
}

impl AnyClient {
    pub(super) fn new(http: HttpConnector, is_tls: bool, config: &UpstreamConfig) -> Self {
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config.roots.client_config(is_tls))
            .https_or_http();
        let https = if config.http2 { https.enable_http2() } else { https.enable_all_versions() };
        let watch: fn(Stream) -> WatchedStream = |stream| TokioIo::new(Watched::new(TokioIo::new(stream)));
        let connector = RetryConnect::new(MapResponse::new(https.wrap_connector(http), watch), config.connect_retries);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(config.pool_idle_timeout).http2_only(config.http2);
        let client = builder.build(connector.clone());
        let fresh = builder.pool_max_idle_per_host(0).build(connector);
        Self { client, fresh, retry_dead_connections: config.retry_dead_connections }
    }

    pub(super) async fn ask(self, mut request: Request<RequestBody>) -> Result<Response<Incoming>, NoAnswer> {
        let again = if self.retry_dead_connections { Again::of(&mut request) } else { None };
        let captured = capture_connection(&mut request);
        let mut used = None;
        let mut answer = pin!(self.client.request(request));
        let answer = poll_fn(|cx| {
            let answer = answer.as_mut().poll(cx);
            if answer.is_pending() {
                Used::note(&mut used, &captured);
            }
            answer
        });
        match answer.await {
            Ok(mut response) => {
                if let Some(traffic) = response.extensions_mut().remove::<Arc<Traffic>>() {
                    traffic.answer();
                }
                Ok(response)
            }
            Err(error) => match again {
                Some(again) if used.is_some_and(|used| used.was_dead(&error)) => {
                    Ok(self.fresh.request(again.request()).await?)
                }
                _ => Err(error.into()),
            },
        }
    }
}

/// The connection that a request was sent over.
struct Used {
    traffic: Arc<Traffic>,
    again: bool,
    received: usize,
}

impl Used {
    /// Notes what the connection is, as soon as the request has one. It gets another one if the
    /// first closes before anything was sent.
    fn note(used: &mut Option<Self>, captured: &CaptureConnection) {
        let mut extras = Extensions::new();
        if let Some(connected) = captured.connection_metadata().as_ref() {
            connected.get_extras(&mut extras);
        }
        let Some(traffic) = extras.remove::<Arc<Traffic>>() else { return };
        if used.as_ref().is_none_or(|used| !Arc::ptr_eq(&used.traffic, &traffic)) {
            *used = Some(Self { again: traffic.is_answered(), received: traffic.received(), traffic });
        }
    }

    /// Returns whether it was used again, and ended before the first byte of an answer.
    fn was_dead(&self, error: &legacy::Error) -> bool {
        if !self.again {
            return false;
        }
        match http2(error) {
            // Other streams have their answers over the same connection. There is none to this
            // request; what counts is whether the connection ended, or only the stream.
            Some(error) => {
                error.is_io()
                    || (error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)))
            }
            None => self.traffic.received() == self.received,
        }
    }
}

fn http2(error: &legacy::Error) -> Option<&h2::Error> {
    sources(error).find_map(|source| source.downcast_ref())
}
