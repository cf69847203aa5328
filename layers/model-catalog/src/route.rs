//! Which requests are for the catalog.

use http::{Method, Uri, request::Parts, uri::PathAndQuery};
use percent_encoding::percent_decode_str;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// All models.
    List,
    /// The model with this id.
    One(String),
}

impl Route {
    /// The route, and where the list is found: the same path without an id, the same query.
    pub(crate) fn of(head: &Parts) -> Option<(Self, Uri)> {
        if head.method != Method::GET {
            return None;
        }
        let path = head.uri.path().trim_end_matches('/');
        if path.ends_with("/models") {
            return Some((Self::List, head.uri.clone()));
        }
        // Ids may have slashes: the first `models` is the route's.
        let (prefix, id) = path.split_once("/models/")?;
        let id = percent_decode_str(id).decode_utf8().ok()?.into_owned();
        let query = head.uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let mut parts = head.uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(format!("{prefix}/models{query}")).ok()?);
        Some((Self::One(id), Uri::from_parts(parts).ok()?))
    }
}

#[cfg(test)]
mod tests;
