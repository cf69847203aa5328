//! A layer of one's own between two of ours. The body has been parsed by the layer outside of it,
//! is not parsed again, and is written once, by whoever sends it.
//!
//! ```sh
//! UPSTREAM=http://127.0.0.1:8000 LISTEN=127.0.0.1:8080 cargo run --example custom_layer --features upstream
//! ```

use std::{convert::Infallible, env};

use http::{Request, request, response};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_layer::layer_fn;
use tower_responses::{
    ApiError, BodyUse, BoxError, RequestBody,
    call_restore::CallRestoreLayer,
    json::{Object, Value},
    model_alias::{Aliases, ModelAliasLayer},
    rewrite::{Rewrite, RewriteRequest, RewriteResponse},
    sse::{Event, EventFilter, Events},
    tool_normalize::ToolNormalizeLayer,
    upstream::Upstream,
};

/// Nobody gets more than so many tokens, and everybody is told what they have cost.
#[derive(Debug, Clone, Copy)]
struct Budget {
    max_output_tokens: i64,
    cents_per_thousand: f64,
}

impl RewriteRequest for Budget {
    type Response = Cost;

    fn rewrite(&self, _: &mut request::Parts, body: &mut Object) -> Result<Option<Cost>, ApiError> {
        if body.get("background").and_then(Value::as_bool) == Some(true) {
            return Err(ApiError::bad_request("answers in the background cannot be paid for").param("background"));
        }
        let asked = body.get("max_output_tokens").and_then(Value::as_i64);
        if asked.is_none_or(|asked| asked > self.max_output_tokens) {
            body.set("max_output_tokens", Value::serialize(&self.max_output_tokens));
        }
        Ok(Some(Cost { cents_per_token: self.cents_per_thousand / 1000.0 }))
    }
}

/// What the response to one request costs.
#[derive(Debug)]
struct Cost {
    cents_per_token: f64,
}

impl Cost {
    fn note(&self, response: &mut Object) {
        let usage = response.get("usage").and_then(|usage| usage.member("output_tokens"));
        if let Some(tokens) = usage.and_then(|tokens| tokens.decode::<f64>().ok()) {
            response.set("cost_in_cents", Value::serialize(&(tokens * self.cents_per_token)));
        }
    }
}

/// Every event but the last leaves as the bytes that came.
impl EventFilter for Cost {
    fn event(&mut self, mut event: Event, next: &mut Events) {
        if event.kind() == "response.completed"
            && let Some(response) = event.object_mut().and_then(|event| event.object_mut("response"))
        {
            self.note(response);
        }
        next.push(event);
    }
}

impl RewriteResponse for Cost {
    fn object(&mut self, _: &mut response::Parts, object: &mut Object) -> Result<(), ApiError> {
        self.note(object);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let upstream = Upstream::new(env::var("UPSTREAM").unwrap_or("http://127.0.0.1:8000".to_owned()).parse()?);
    let budget = Budget { max_output_tokens: 4096, cents_per_thousand: 2.0 };

    let service = ServiceBuilder::new()
        .layer(ModelAliasLayer::new(Aliases::new().with("coder", "qwen3")))
        .layer(layer_fn(move |inner| Rewrite::new(inner, budget)))
        .layer(ToolNormalizeLayer::new())
        .layer(CallRestoreLayer::new())
        .service(service_fn(move |request: Request<RequestBody>| {
            let upstream = upstream.clone();
            // Four layers have read the body: this says how often it was parsed for them.
            let parsed = request.extensions().get::<BodyUse>().copied().unwrap_or_default().parsed;
            async move {
                let mut response = upstream.oneshot(request).await?;
                response.headers_mut().insert("x-body-parsed", parsed.into());
                Ok::<_, Infallible>(response)
            }
        }));

    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("a connection ended with an error: {error}");
            }
        });
    }
}
