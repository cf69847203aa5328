//! Which requests are answered here.

use http::Method;

use crate::ResponseId;

/// A request for a stored response, or one that this service does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `POST …/responses`
    Create,
    /// `GET …/responses/{id}`
    Get(Name),
    /// `DELETE …/responses/{id}`: what continues the response keeps its items, until the last such
    /// response is gone.
    Delete(Name),
    /// `GET …/responses/{id}/input_items`
    InputItems(Name),
    /// `POST …/responses/{id}/cancel`
    Cancel(Name),
    /// `POST …/responses/compact` and the like.
    Unsupported(&'static str),
}

/// What a path calls a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

impl Name {
    /// The id, if it can be one.
    pub(crate) fn id(&self) -> Option<ResponseId> {
        self.0.parse().ok()
    }
}

impl Route {
    /// `None` for what passes untouched.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        let mut segments = path.trim_end_matches('/').rsplit('/');
        let (last, before, third) = (segments.next()?, segments.next(), segments.next());
        let name = |name: &str| Name(name.to_owned());
        match (method, last, before, third) {
            (&Method::POST, "responses", _, _) => Some(Self::Create),
            (&Method::POST, "compact", Some("responses"), _) => Some(Self::Unsupported("compact")),
            (&Method::POST, "input_tokens", Some("responses"), _) => Some(Self::Unsupported("input_tokens")),
            (&Method::GET, id, Some("responses"), _) => Some(Self::Get(name(id))),
            (&Method::DELETE, id, Some("responses"), _) => Some(Self::Delete(name(id))),
            (&Method::GET, "input_items", Some(id), Some("responses")) => Some(Self::InputItems(name(id))),
            (&Method::POST, "cancel", Some(id), Some("responses")) => Some(Self::Cancel(name(id))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
