//! The layers' work inside the filters of a pingora proxy, for those who have a [`ProxyHttp`].
//!
//! Nothing of tower is in it: the sans-IO parts of the layers take the pieces that pingora's
//! filters see and give the pieces that go on. The request's body is collected, normalized and
//! sent at its end; the events of a stream are restored as they come.
//!
//! ```sh
//! cargo run --bin proxy_filter -- --upstream http://127.0.0.1:8000
//! ```

#[path = "proxy_filter/exchange.rs"]
mod exchange;

use std::{io, net::SocketAddr, net::ToSocketAddrs, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use pingora_core::{
    BError, Error, ErrorSource, ErrorType, OrErr, Result, apps::HttpServerOptions, upstreams::peer::HttpPeer,
};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyServiceBuilder, Session};
use tower_responses::{
    ApiError,
    rewrite::{Limits, is_create},
    tool_normalize::Normalizer,
    upstream::UpstreamUrl,
};

use self::exchange::Exchange;

fn main() -> Result<(), io::Error> {
    let (options, mut server) = tower_responses_example_pingora::start();
    let proxy = ResponsesProxy::new(options.upstream)?;
    let mut http = HttpServerOptions::default();
    http.h2c = true;
    let mut service =
        ProxyServiceBuilder::new(&server.configuration, proxy).name("responses").server_options(http).build();
    service.add_tcp(&options.listen);
    server.add_service(service);
    server.run_forever()
}

struct ResponsesProxy {
    url: UpstreamUrl,
    address: SocketAddr,
    normalizer: Normalizer,
    limits: Limits,
}

/// What pingora keeps for us from filter to filter.
#[derive(Default)]
struct Context {
    exchange: Exchange,
    /// What the client is told in place of an answer.
    refusal: Option<ApiError>,
}

impl ResponsesProxy {
    fn new(url: UpstreamUrl) -> Result<Self, io::Error> {
        if !url.to_string().starts_with("http://") {
            // Pingora speaks TLS with one of its features, such as `rustls`.
            return Err(io::Error::other("this example speaks http:// only"));
        }
        let authority = url.authority();
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let address = (host, authority.port_u16().unwrap_or(80)).to_socket_addrs()?.next();
        let address = address.ok_or_else(|| io::Error::other("the upstream has no address"))?;
        Ok(Self { url, address, normalizer: Normalizer::new(), limits: Limits::default() })
    }
}

#[async_trait]
impl ProxyHttp for ResponsesProxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::default()
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        let head = session.req_header();
        if !is_create(&head.method, head.uri.path()) {
            return Ok(false);
        }
        match Exchange::begin(&head.headers, self.limits) {
            Ok(exchange) => {
                ctx.exchange = exchange;
                Ok(false)
            }
            Err(refusal) => respond(session, &refusal).await.map(|()| true),
        }
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Context) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.address, false, String::new());
        peer.options.connection_timeout = Some(Duration::from_secs(5));
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        upstream.set_uri(self.url.join(&upstream.uri));
        upstream.insert_header(HOST, self.url.authority().as_str())?;
        if ctx.exchange.changes_request() {
            // Its length is known when all of it is there; so it goes in chunks.
            upstream.remove_header(&CONTENT_LENGTH);
            upstream.insert_header(TRANSFER_ENCODING, "chunked")?;
            // What comes back compressed could not be read.
            upstream.remove_header(&ACCEPT_ENCODING);
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        // Pingora takes no bytes for "nothing yet", and `None` for the end.
        match ctx.exchange.request_piece(&self.normalizer, body.take(), end_of_stream) {
            Ok(piece) => {
                *body = piece;
                Ok(())
            }
            Err(refusal) => {
                let status = ErrorType::HTTPStatus(refusal.status().as_u16());
                let error = Error::explain(status, refusal.message().to_owned());
                ctx.refusal = Some(refusal);
                Err(error)
            }
        }
    }

    async fn response_filter(&self, _: &mut Session, response: &mut ResponseHeader, ctx: &mut Context) -> Result<()> {
        if !response.status.is_informational() && ctx.exchange.answer_head(response.status, &response.headers) {
            response.remove_header(&CONTENT_LENGTH);
            response.insert_header(TRANSFER_ENCODING, "chunked")?;
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        let piece = ctx.exchange.answer_piece(body.take(), end_of_stream);
        *body = piece.or_err(ErrorType::InternalError, "the answer cannot be restored")?;
        Ok(None)
    }

    /// As pingora's own, with a body that clients of OpenAI can read.
    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        let refusal = ctx.refusal.take().or_else(|| refusal(error));
        if let Some(refusal) = &refusal
            && let Err(error) = respond(session, refusal).await
        {
            tracing::debug!(%error, "the client could not be told of an error");
        }
        let error_code = refusal.map_or(0, |refusal| refusal.status().as_u16());
        FailToProxy { error_code, can_reuse_downstream: false }
    }
}

/// What a client is told of an error, unless it is gone.
fn refusal(error: &Error) -> Option<ApiError> {
    let (status, message) = match (error.esource(), error.etype()) {
        (ErrorSource::Upstream, _) => (502, "the upstream gave no answer"),
        (ErrorSource::Downstream, ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed) => {
            return None;
        }
        (ErrorSource::Downstream, _) => (400, "the request could not be read"),
        _ => (500, "the proxy failed"),
    };
    Some(ApiError::new(http::StatusCode::from_u16(status).ok()?, message))
}

/// Sends an answer of our own, unless another one has begun.
async fn respond(session: &mut Session, refusal: &ApiError) -> Result<(), BError> {
    let body = refusal.to_body();
    let mut head = ResponseHeader::build(refusal.status(), Some(2))?;
    head.insert_header(CONTENT_TYPE, "application/json")?;
    head.set_content_length(body.len())?;
    session.as_downstream_mut().write_error_response(head, body).await
}
