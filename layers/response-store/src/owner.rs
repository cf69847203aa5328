//! Whose response it is.

use std::{fmt, sync::Arc};

use http::{header::AUTHORIZATION, request::Parts};
use sha2::{Digest as _, Sha256};

/// Who a response belongs to: nobody else can read, continue or delete it.
///
/// It is taken from the request's extensions if the composing service has put one there, which is
/// how the operator names the owner of a key; else it is the SHA-256 of the `Authorization`
/// header; without either there is one anonymous owner.
///
/// ```
/// use tower_responses_response_store::Owner;
///
/// assert_eq!(Owner::named("team-a").as_str(), "name:team-a");
/// assert!(Owner::of_authorization(b"Bearer k").as_str().starts_with("sha256:"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The owner whom the operator calls so.
    pub fn named(name: &str) -> Self {
        Self(format!("name:{name}").into())
    }

    /// Whoever sends this value of the `Authorization` header. The value itself is not kept.
    pub fn of_authorization(value: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"sha256:................................................................";
        for (pair, byte) in text[7..].chunks_exact_mut(2).zip(Sha256::digest(value)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(std::str::from_utf8(&text).unwrap_or_default().into())
    }

    /// Everybody without a credential.
    pub fn anonymous() -> Self {
        Self("anonymous".into())
    }

    /// The owner as stores keep it: `name:…`, `sha256:…` or `anonymous`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The owner of which [`as_str`](Self::as_str) gave this text.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// Whose request this is.
    pub fn of_request(head: &Parts) -> Self {
        if let Some(owner) = head.extensions.get::<Self>() {
            return owner.clone();
        }
        head.headers.get(AUTHORIZATION).map_or_else(Self::anonymous, |value| Self::of_authorization(value.as_bytes()))
    }
}

/// Not the hash: it is as good as a name, but logs are no place for either.
impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner(..)")
    }
}
