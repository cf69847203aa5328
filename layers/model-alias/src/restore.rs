use http::response::Parts;
use tower_responses_core::{
    ApiError,
    json::Object,
    rewrite::RewriteResponse,
    sse::{Event, EventFilter, Events},
};

/// Gives a response the model name that the client used.
#[derive(Debug, Clone)]
pub struct RestoreModel {
    name: String,
}

impl RestoreModel {
    /// `name` is what the client asked for.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Changes a response object. One that names no model stays without.
    pub fn response(&self, response: &mut Object) {
        if response.get("model").is_some_and(|model| model.is_string()) {
            response.set("model", self.name.as_str());
        }
    }
}

impl EventFilter for RestoreModel {
    fn passes_by(&mut self, event: &Event) -> bool {
        event.is_delta()
    }

    fn event(&mut self, mut event: Event, next: &mut Events) {
        if let Some(response) = event.response_mut() {
            self.response(response);
        }
        next.push(event);
    }
}

impl RewriteResponse for RestoreModel {
    fn object(&mut self, head: &mut Parts, object: &mut Object) -> Result<(), ApiError> {
        if head.status.is_success() {
            self.response(object);
        }
        Ok(())
    }
}
