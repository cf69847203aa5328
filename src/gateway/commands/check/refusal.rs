//! What an answer means that is not what was asked for.

use http::{StatusCode, header::LOCATION};

use crate::gateway::commands::http::Answer;

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It wants another credential.
    Key,
    /// It does not have the model that was asked.
    Model,
    /// It does not have the route.
    Route,
    /// It is elsewhere.
    Moved,
    /// It is for people.
    Page,
    /// It is not ready.
    Later,
    /// Something else, which its words say.
    Other,
}

impl Refusal {
    /// What `answer`, which is not what a request for `model` wants, means.
    pub(super) fn of(answer: &Answer, model: Option<&str>) -> Self {
        let status = answer.status;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Key,
            _ if status.is_redirection() && answer.headers.contains_key(LOCATION) => Self::Moved,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Self::Later,
            _ if answer.is_page() => Self::Page,
            _ if is_about_model(answer, model) => Self::Model,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Self::Route,
            _ => Self::Other,
        }
    }

    /// What can be done about it, if that is known.
    pub(super) fn hint(self, shown_key: bool) -> &'static str {
        match self {
            Self::Key if shown_key => "shows it the key it was given, which is refused",
            Self::Key => "give it the upstream's key: --upstream-api-key-env",
            Self::Moved => "follows no redirects: name the URL that this leads to",
            Self::Page => "is there an API below this URL?",
            Self::Later => "try again when it is ready",
            Self::Model => "name one that it has with --model",
            Self::Route | Self::Other => "",
        }
    }

    /// Why nothing more was asked, where that does not say that the upstream is of no use.
    pub(super) fn stops(self) -> Option<&'static str> {
        match self {
            Self::Key => Some("it wants another key"),
            Self::Model => Some("it does not have this model"),
            Self::Moved => Some("it leads elsewhere"),
            Self::Page => Some("a web page answers"),
            Self::Later => Some("it is not ready"),
            Self::Route | Self::Other => None,
        }
    }
}

/// Servers say that they do not have a model in many ways: with 404 as for a route (vLLM, Ollama), or
/// with 400 (LiteLLM, OpenRouter). What they say of a route does not speak of models.
fn is_about_model(answer: &Answer, model: Option<&str>) -> bool {
    let Some(said) = answer.error() else { return false };
    if said.code.as_deref() == Some("model_not_found") {
        return true;
    }
    let not_found = answer.status == StatusCode::NOT_FOUND;
    let text = said.message.to_lowercase();
    if !answer.status.is_client_error() || !text.contains("model") {
        return not_found && said.param.as_deref() == Some("model");
    }
    let named = model.is_some_and(|model| text.contains(&model.to_lowercase()));
    let missing =
        ["not found", "not exist", "unknown", "invalid model", "no such", "not a valid model", "must provide"];
    not_found && named || missing.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: http::HeaderMap::new(),
            body: body.to_owned().into(),
            cut: None,
            unanswered: None,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn what_is_said_of_models_and_routes() {
        for (status, body, refusal) in [
            (
                404,
                r#"{"error":{"message":"The model `m` does not exist.","param":"model","code":404}}"#,
                Refusal::Model,
            ),
            (404, r#"{"error":{"message":"Not here.","param":"model"}}"#, Refusal::Model),
            (404, r#"{"error":{"message":"?","code":"model_not_found"}}"#, Refusal::Model),
            (400, r#"{"error":{"message":"m is not a valid model ID","code":400}}"#, Refusal::Model),
            (404, r#"{"error":"model 'm' not found"}"#, Refusal::Model),
            (404, r#"{"detail":"Model m is gone"}"#, Refusal::Model),
            (404, r#"{"object":"error","message":"unknown model","code":"1"}"#, Refusal::Model),
            (404, r#"{"detail":"Not Found"}"#, Refusal::Route),
            (404, "404 page not found", Refusal::Route),
            (404, "", Refusal::Route),
            (405, r#"{"detail":"Method Not Allowed"}"#, Refusal::Route),
            (400, r#"{"error":{"message":"the model m cannot call tools","param":"tools"}}"#, Refusal::Other),
            (500, r#"{"error":{"message":"model m not found in cache"}}"#, Refusal::Other),
            (502, "<html>Bad Gateway</html>", Refusal::Page),
            (503, "<html>Service Unavailable</html>", Refusal::Later),
        ] {
            assert_eq!(Refusal::of(&answer(status, body), Some("m")), refusal, "{status} {body}");
        }
    }
}
