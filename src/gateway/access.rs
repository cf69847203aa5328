use std::{
    collections::HashMap,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{Either, Ready, ready};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tower_layer::Layer;
use tower_responses_core::{ApiError, ResponseBody};
use tower_service::Service;

use super::{ConfigError, config::ApiKeySettings};
use crate::response_store::Owner;

/// Lets in only who shows one of our keys, if there are any. A key that was shown here goes no
/// further; the request belongs to its owner from here on.
#[derive(Debug, Clone, Default)]
pub(super) struct AccessLayer {
    keys: Option<Arc<Keys>>,
}

struct Keys {
    /// The hash of a key, and whose it is.
    owners: Vec<([u8; 32], Owner)>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.owners.len())
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl AccessLayer {
    /// Takes the keys from the environment.
    ///
    /// # Errors
    /// Where a variable is missing or empty: that must not open the door.
    pub(super) fn new(settings: &[ApiKeySettings]) -> Result<Self, ConfigError> {
        if settings.is_empty() {
            return Ok(Self::default());
        }
        let mut owners = HashMap::new();
        for ApiKeySettings { env, owner } in settings {
            let value = std::env::var(env).unwrap_or_default();
            let keys: Vec<_> = value.split(',').map(str::trim).filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                return Err(ConfigError::new(format!("the environment variable {env} holds no key")));
            }
            for key in keys {
                let owner = match owner {
                    Some(name) => Owner::named(name),
                    None => Owner::of_authorization(format!("Bearer {key}").as_bytes()),
                };
                owners.insert(hash(key), owner);
            }
        }
        Ok(Self { keys: Some(Arc::new(Keys { owners: owners.into_iter().collect() })) })
    }

    /// Returns whether there are no keys, or one of them is shown.
    pub(super) fn lets_in(&self, headers: &HeaderMap) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.owner_of(headers).is_some())
    }
}

/// Where clients of other APIs show keys, which are not looked at here.
const OTHER_CREDENTIALS: [HeaderName; 2] = [HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

impl Keys {
    /// Removes the credential that was shown, and keys of ours from other headers.
    fn hide(&self, headers: &mut HeaderMap) {
        headers.remove(AUTHORIZATION);
        for name in &OTHER_CREDENTIALS {
            let mut shown = headers.get_all(name).iter();
            if shown.any(|value| value.to_str().is_ok_and(|key| self.owner(key.trim()).is_some())) {
                headers.remove(name);
            }
        }
    }

    fn owner_of(&self, headers: &HeaderMap) -> Option<&Owner> {
        let shown = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = shown.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") { self.owner(token.trim()) } else { None }
    }

    /// Compares with every key, so that the time tells nothing of how near one came.
    fn owner(&self, key: &str) -> Option<&Owner> {
        let shown = hash(key);
        self.owners
            .iter()
            .fold(None, |found, (key, owner)| if bool::from(key.ct_eq(&shown)) { Some(owner) } else { found })
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access { inner, keys: self.keys.clone() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Access<S> {
    inner: S,
    keys: Option<Arc<Keys>>,
}

impl<S, B> Service<Request<B>> for Access<S>
where
    S: Service<Request<B>, Response = Response<ResponseBody>, Error = Infallible>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<ResponseBody>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(keys) = &self.keys else { return Either::Left(self.inner.call(request)) };
        match keys.owner_of(request.headers()) {
            Some(owner) => {
                let owner = owner.clone();
                keys.hide(request.headers_mut());
                request.extensions_mut().insert(owner);
                Either::Left(self.inner.call(request))
            }
            None => {
                let error = ApiError::new(StatusCode::UNAUTHORIZED, "the API key is missing or not known here")
                    .code("invalid_api_key");
                let mut response = error.into_response();
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                Either::Right(ready(Ok(response)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
