use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, service_fn, util::BoxCloneService};
use tower_responses::{
    RequestBody, ResponseBody, ResponsesStack,
    call_restore::CallRestoreLayer,
    model_alias::{Aliases, ModelAliasLayer},
    model_catalog::ModelCatalogLayer,
    response_store::{ResponseStore, ResponseStoreLayer},
    tool_normalize::ToolNormalizeLayer,
    upstream_quirks::{Profile, UpstreamQuirksLayer},
    websocket::WebSocketLayer,
};

use crate::answer::Model;

/// All layers, as the gateway puts them on, around a service that answers at once.
pub(crate) struct Stack {
    service: BoxCloneService<Request<RequestBody>, Response<ResponseBody>, Infallible>,
    request: Bytes,
}

impl Stack {
    pub(crate) fn new(model: Arc<Model>, store: Arc<dyn ResponseStore>, request: Bytes) -> Self {
        let upstream = service_fn(move |request: Request<RequestBody>| {
            let model = model.clone();
            async move {
                let request = request.into_body().collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(model.answer(&request).response())
            }
        });
        let stack = ResponsesStack::new()
            .websocket(WebSocketLayer::new())
            .store(ResponseStoreLayer::new(store))
            .catalog(ModelCatalogLayer::new())
            .alias(ModelAliasLayer::new(Aliases::new().with("codex-auto-review", "m")))
            .tools(ToolNormalizeLayer::new(), CallRestoreLayer::new())
            .quirks(UpstreamQuirksLayer::new(Profile::Vllm).heartbeat(Duration::from_secs(15)));
        Self { service: BoxCloneService::new(stack.layer(upstream)), request }
    }

    pub(crate) async fn exchange(&mut self, answer: &mut Vec<u8>) {
        answer.clear();
        let request = Request::post("/v1/responses").header("content-type", "application/json");
        let request = request.body(RequestBody::new(Full::new(self.request.clone()))).unwrap();
        let mut body = self.service.call(request).await.unwrap().into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.unwrap().into_data() {
                answer.extend_from_slice(&data);
            }
        }
    }
}
