//! A few requests to a server, each with a bound on time and size.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, Method, Request, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower_service::Service;

use crate::{
    BoxError, RequestBody, ResponseBody,
    gateway::{ConfigError, service::roots},
    json, shown,
    upstream::{Unanswered, Upstream, UpstreamConfig},
};

/// The most that is read of an answer, in bytes.
const LIMIT: usize = 16 << 20;

/// A server that is asked.
#[derive(Debug, Clone)]
pub(super) struct Server {
    upstream: Upstream,
    timeout: Duration,
}

/// What it said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The body broke off, for this reason: it is what came until then.
    pub(super) cut: Option<String>,
    /// No server answered: all this is our own word.
    pub(super) unanswered: Option<Unanswered>,
    pub(super) took: Duration,
}

/// What a server says of an error.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) message: String,
    pub(super) param: Option<String>,
    pub(super) code: Option<String>,
}

impl Server {
    /// The server at `url`, which is shown the key that the variable holds, and may have a
    /// certificate of the authorities in a file.
    pub(super) fn new(
        url: &str,
        key_variable: Option<&str>,
        ca_file: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, BoxError> {
        let config = UpstreamConfig {
            connect_retries: 0,
            first_byte_timeout: None,
            roots: roots(ca_file)?,
            ..UpstreamConfig::default()
        };
        let mut upstream = Upstream::with_config(url.parse()?, config);
        if let Some(variable) = key_variable {
            let key = std::env::var(variable).unwrap_or_default();
            if key.trim().is_empty() {
                return Err(ConfigError::new(format!("the environment variable {variable} holds no key")).into());
            }
            upstream = upstream.with_key(key.trim())?;
        }
        Ok(Self { upstream, timeout })
    }

    /// Its URL as it was given, without a slash at the end.
    pub(super) fn url(&self) -> String {
        self.upstream.url().to_string()
    }

    /// The URL that clients use, with `/v1`.
    pub(super) fn base_url(&self) -> String {
        self.upstream.url().join(&http::Uri::from_static("/v1")).to_string()
    }

    /// Whether it is shown a key.
    pub(super) fn has_key(&self) -> bool {
        self.upstream.has_key()
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, BoxError> {
        self.ask(Method::GET, path, RequestBody::empty()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, BoxError> {
        self.ask(Method::POST, path, RequestBody::from(Bytes::from(body.to_string()))).await
    }

    /// Fails only where the request cannot be made.
    async fn ask(&self, method: Method, path: &str, body: RequestBody) -> Result<Answer, BoxError> {
        let request =
            Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json").body(body)?;
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + self.timeout;
        let mut upstream = self.upstream.clone();
        let late = || format!("no end after {} s", self.timeout.as_secs_f32());
        let Ok(Ok(response)) = tokio::time::timeout_at(deadline, upstream.call(request)).await else {
            return Ok(Answer {
                status: StatusCode::GATEWAY_TIMEOUT,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                cut: Some(late()),
                unanswered: Some(Unanswered::Unreachable(late())),
                took: started.elapsed(),
            });
        };
        let (mut head, body) = response.into_parts();
        let unanswered = head.extensions.remove();
        let mut text = BytesMut::new();
        let cut = match tokio::time::timeout_at(deadline, read(body, &mut text)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(late()),
        };
        let body = text.freeze();
        Ok(Answer { status: head.status, headers: head.headers, body, cut, unanswered, took: started.elapsed() })
    }
}

async fn read(mut body: ResponseBody, text: &mut BytesMut) -> Result<(), BoxError> {
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if text.len() + data.len() > LIMIT {
            return Err(format!("it is larger than {LIMIT} bytes").into());
        }
        text.extend_from_slice(&data);
    }
    Ok(())
}

impl Answer {
    /// The body, if it is a JSON value.
    pub(super) fn json(&self) -> Option<Value> {
        json::Value::parse(self.body.clone()).ok()?.decode().ok()
    }

    /// What the body says of an error, in one of the shapes that servers have for it.
    pub(super) fn error(&self) -> Option<Said> {
        let body = self.json()?;
        let error = body.get("error").or_else(|| body.get("detail")).unwrap_or(&body);
        let text = |name| error.get(name).or_else(|| body.get(name))?.as_str().map(str::to_owned);
        let message = match error.get("message") {
            Some(message) => message.as_str().map_or_else(|| message.to_string(), str::to_owned),
            None if error == &body => return None,
            None => error.as_str().map_or_else(|| error.to_string(), str::to_owned),
        };
        Some(Said { message, param: text("param"), code: text("code") })
    }

    /// Whether it is for people to look at.
    pub(super) fn is_page(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let body = self.body.trim_ascii_start();
        let begins = |tag: &[u8]| body.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
        kind.starts_with(b"text/html") || begins(b"<!doctype html") || begins(b"<html")
    }

    /// The status, and the beginning of what the server says to it.
    pub(super) fn reason(&self) -> String {
        match &self.unanswered {
            Some(Unanswered::Unreachable(why)) => return why.clone(),
            Some(Unanswered::Broken(why)) => return format!("no HTTP answer: {why}"),
            None => {}
        }
        let status = self.status.as_u16();
        if let Some(place) = self.headers.get(LOCATION).filter(|_| self.status.is_redirection()) {
            return format!("{status} to {}", shorten(&String::from_utf8_lossy(place.as_bytes()), 300));
        }
        if self.is_page() {
            return format!("{status} and a web page");
        }
        let said = self.error().map(|said| said.message);
        let said =
            said.or_else(|| self.cut.clone()).unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        format!("{status} {}", shorten(&said, 300)).trim_end().to_owned()
    }
}

/// One line of at most so many characters.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    line.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// Writes to standard output, with control characters escaped. Whoever does not read on need not
/// hear the rest.
pub(super) fn say(text: &str) -> std::io::Result<()> {
    use std::io::{ErrorKind, Write, stdout};
    let mut out = stdout().lock();
    match out.write_all(shown::text(text).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}
