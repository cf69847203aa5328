//! A client of good will, who gets what it asks for whatever others do.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use tokio::time::{Instant, sleep, timeout};

use crate::{rig::Target, support::client};

/// Longer than an answer may take on a machine that has no time for anything.
const SOON: Duration = Duration::from_secs(15);
/// The same of `/health`, which machines ask for.
const AT_ONCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// What it has to tell.
#[derive(Debug, Default)]
pub(crate) struct Life {
    answers: usize,
    slowest: Duration,
    slowest_health: Duration,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, slowest, slowest_health } = self;
        write!(f, "{answers} answers, the slowest after {slowest:?}, the slowest of /health after {slowest_health:?}")
    }
}

/// Asks for health, an object and a stream in turn.
pub(crate) async fn live(target: Arc<Target>) -> Life {
    let (client, url) = (client(), format!("http://{}", target.gateway));
    let mut life = Life::default();
    while !target.has_ended() {
        let request = Request::get(format!("{url}/health")).body(Full::default()).unwrap();
        life.slowest_health = life.slowest_health.max(ask(&target, &client, request, AT_ONCE, "ok").await);
        let stream = life.answers.is_multiple_of(2);
        let body = format!(r#"{{"model":"m","input":"hi","stream":{stream}}}"#);
        let request = Request::post(format!("{url}/v1/responses")).header("content-type", "application/json");
        let request = request.body(Full::from(body)).unwrap();
        life.slowest = life.slowest.max(ask(&target, &client, request, SOON, "hello").await);
        life.answers += 1;
        sleep(PAUSE).await;
    }
    life
}

/// How long the answer took. It has to be a good one, with this word in it.
async fn ask(
    target: &Target,
    client: &Client<HttpConnector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
    soon: Duration,
    word: &str,
) -> Duration {
    let (started, path) = (Instant::now(), request.uri().path().to_owned());
    let exchange = async {
        let response = client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        if status.is_success() && text.contains(word) { Ok(()) } else { Err(format!("{status} {text}")) }
    };
    let outcome = timeout(soon, exchange).await;
    if !target.has_ended() {
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => target.fault(format!("{path}: {error}")),
            Err(_) => target.fault(format!("{path}: no answer in {soon:?}")),
        }
    }
    started.elapsed()
}
