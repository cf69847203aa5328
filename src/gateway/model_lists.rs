//! One list of models from all upstreams.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, Limited};
use tower_responses_core::{
    ApiError, RequestBody, ResponseBody,
    json::{Array, Object, Value},
};
use tower_service::Service;

use crate::upstream::Upstream;

/// The largest list that is read, in bytes.
const LIMIT: usize = 8 << 20;

/// A further upstream has so long for its list. Those who ask us wait for 4 seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// An upstream and the models that are asked of it.
#[derive(Debug, Clone)]
pub(super) struct Further {
    pub(super) upstream: Upstream,
    pub(super) models: Vec<String>,
}

/// Whether this asks for the list.
pub(super) fn is_list<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET && request.uri().path().trim_end_matches('/').ends_with("/models")
}

/// The default upstream's list, with what each further one says of the models that it serves. One
/// that says nothing adds nothing: its models stand in the catalog by name.
pub(super) async fn ask(
    default: Upstream,
    further: Vec<Further>,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, Infallible> {
    let (head, _) = request.into_parts();
    let same = || Request::from_parts(head.clone(), RequestBody::empty());
    let others = join_all(further.iter().map(|further| cards(further, same())));
    let (answer, others) = futures_util::future::join(call(default, same()), others).await;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let (mut head, body) = answer.into_parts();
    let text = match Limited::new(body, LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let message = format!("the upstream's model list cannot be read: {error}");
            return Ok(ApiError::new(StatusCode::BAD_GATEWAY, message).code("upstream_error").into_response());
        }
    };
    head.headers.remove(CONTENT_LENGTH);
    let body = merged(text, others.into_iter().flatten().collect());
    Ok(Response::from_parts(head, ResponseBody::from(body)))
}

async fn call(mut upstream: Upstream, request: Request<RequestBody>) -> Response<ResponseBody> {
    upstream.call(request).await.unwrap_or_else(|never| match never {})
}

/// What an upstream says of its models, by their names.
async fn cards(further: &Further, request: Request<RequestBody>) -> Vec<(String, Value)> {
    let asked = async {
        let answer = call(further.upstream.clone(), request).await;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LIMIT).collect().await.ok()?;
        status.is_success().then(|| body.to_bytes())
    };
    let listed = tokio::time::timeout(PATIENCE, asked).await.ok().flatten();
    let Some(list) = listed.and_then(|text| Value::parse(text).ok()) else {
        tracing::warn!(upstream = %further.upstream.url(), "an upstream gave no list of its models");
        return Vec::new();
    };
    let cards = list.elements().or_else(|| list.member("data")?.elements()).into_iter().flatten();
    let named = cards.into_iter().filter_map(|card| Some((card.member_str("id")?.into_owned(), card)));
    named.filter(|(id, _)| further.models.contains(id)).collect()
}

/// A list with these cards in place of its own of the same names; anything else as it is.
fn merged(text: Bytes, cards: Vec<(String, Value)>) -> Bytes {
    let Ok(mut document) = Object::parse(text.clone()) else { return text };
    let Some(own) = document.get("data").and_then(Value::elements) else { return text };
    let is_others = |card: &Value| cards.iter().any(|(id, _)| card.member_str("id").is_some_and(|own| *own == **id));
    let kept: Vec<_> = own.into_iter().filter(|card| !is_others(card)).collect();
    let all: Array = kept.into_iter().chain(cards.into_iter().map(|(_, card)| card)).collect();
    document.set("data", all);
    document.text()
}
