//! What a store is: a small trait, and what goes through it.

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::{Owner, ResponseId, recent};

/// What a store answers with.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Keeps responses, each as what it adds to the one that it continues.
///
/// A store knows ids, owners, conversations and time; what is in a response is opaque to it. No
/// method may block the thread that polls. Another owner's response is answered like one that
/// does not exist. A conversation whose last response is older than the time to live does not
/// exist either, whether or not its rows are still there.
///
/// `store_conformance!` (feature `conformance`) tells whether a store does what is asked of
/// it here.
pub trait ResponseStore: Send + Sync + fmt::Debug + 'static {
    /// Keeps a response. Once this is done the response can be continued, also after the process
    /// was killed (a store in memory excepted).
    ///
    /// # Errors
    /// [`StoreErrorKind::PreviousGone`] if what it continues is not there any more. After any
    /// error nothing of the response is visible.
    fn put(&self, record: Arc<Record>) -> StoreFuture<()>;

    /// Tells a large part of a body ahead, which will stand there at byte `place`: a store may write
    /// it down while the response is on its way, so that [`put`](Self::put) has less to do. It is
    /// nothing that could be read before the response is put. Whoever tells it either puts the
    /// response, or says that it does not come: [`abandon`](Self::abandon).
    ///
    /// Does nothing unless a store has something to gain.
    fn prepare(&self, id: ResponseId, place: usize, part: Bytes) {
        let _ = (id, place, part);
    }

    /// Says that a response does not come that was [prepared](Self::prepare).
    fn abandon(&self, id: ResponseId) {
        let _ = id;
    }

    /// The chain of responses that ends with `id`, oldest first; `None` if `id` is unknown,
    /// deleted, expired or another's. Deleted responses further up are part of the chain.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`] if a link of the chain is missing: never a shorter chain.
    fn history(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<History>>;

    /// One response; `None` as for [`history`](Self::history).
    fn get(&self, owner: &Owner, id: ResponseId) -> StoreFuture<Option<Stored>>;

    /// Whether [`get`](Self::get) would find the response.
    fn exists(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool>;

    /// Deletes one response: from now on it can neither be read nor continued, and none of its items
    /// is found. It stays part of its continuations, deleted or not, until the last of them is gone:
    /// so long it is kept, and it is in their [histories](Self::history). Says whether it was there.
    fn delete(&self, owner: &Owner, id: ResponseId) -> StoreFuture<bool>;

    /// For each of these items the newest response of the owner that was kept with it among its
    /// [`items`](Record::items), `None` where there is none. Nobody asks for more than
    /// [`MAX_ITEMS`] at once.
    fn find_items(&self, owner: &Owner, items: Vec<ItemKey>) -> StoreFuture<Vec<Option<ResponseId>>>;

    /// How much there is.
    fn stats(&self) -> StoreFuture<Stats>;

    /// Removes the conversations whose last response is at least this old, and what nothing
    /// refers to any more. Expired ones go without this, in the background.
    fn prune(&self, older_than: Duration) -> StoreFuture<Removed>;

    /// Removes all that belongs to an owner.
    fn delete_owner(&self, owner: &Owner) -> StoreFuture<Removed>;

    /// The next responses in the order of the store, deleted ones left out, beginning after the
    /// place that the last page gave. One owner's, or everybody's.
    fn export(&self, owner: Option<&Owner>, after: Option<Place>) -> StoreFuture<Page>;

    /// Writes what is still to be written. The store can be used on.
    fn flush(&self) -> StoreFuture<()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether reading costs no more than a cache would: then none is put before the store.
    fn is_in_memory(&self) -> bool {
        false
    }
}

/// How many items [`ResponseStore::find_items`] is asked for at once, at most.
pub const MAX_ITEMS: usize = 64;

/// A response on its way into a store.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id. It has the same conversation as the one it continues.
    pub id: ResponseId,
    /// The response that it continues.
    pub previous: Option<ResponseId>,
    /// Whose it is: always the owner of `previous`.
    pub owner: Owner,
    /// What it adds, encoded by [`Turn`](crate::Turn).
    pub body: Bytes,
    /// Text that other responses are likely to have as well, to be kept once.
    pub shared: Vec<Shared>,
    /// What [`ResponseStore::find_items`] finds it by.
    pub items: Vec<ItemKey>,
}

/// A response out of a store.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its id.
    pub id: ResponseId,
    /// The response that it continues.
    pub previous: Option<ResponseId>,
    /// Whose it is.
    pub owner: Owner,
    /// What it adds.
    pub body: Bytes,
    /// Its shared text, in the order in which it was given.
    pub shared: Vec<Shared>,
}

/// A chain of responses, each continuing the one before it.
#[derive(Debug, Clone)]
pub struct History {
    /// Ids and bodies, oldest first, never empty.
    pub links: Vec<(ResponseId, Bytes)>,
    /// The shared text of the last one.
    pub shared: Vec<Shared>,
}

/// Text that is kept once, however many responses have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    digest: Digest,
    text: Bytes,
}

/// The first 16 bytes of a SHA-256.
pub type Digest = [u8; 16];

impl Shared {
    /// Takes text and its digest.
    pub fn new(text: Bytes) -> Self {
        recent::shared(text, |text| Self { digest: digest(&[&text]), text })
    }

    /// Text that a store has kept under this digest.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`] if it is other text.
    pub fn verify(digest: Digest, text: Bytes) -> Result<Self, StoreError> {
        let shared = Self::new(text);
        if shared.digest == digest {
            Ok(shared)
        } else {
            Err(StoreError::corrupt("a shared text is not what was kept"))
        }
    }

    /// The same, in other memory.
    pub(crate) fn with_text(&self, text: Bytes) -> Self {
        Self { digest: self.digest, text }
    }

    /// What the text is known by.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The text.
    pub fn text(&self) -> &Bytes {
        &self.text
    }
}

pub(crate) fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.finalize()[..16]);
    digest
}

/// An item of a response, for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemKey(pub Digest);

impl ItemKey {
    /// The item that `owner` knows by this id.
    pub fn new(owner: &Owner, item_id: &str) -> Self {
        Self(digest(&[owner.as_str().as_bytes(), b"\0", item_id.as_bytes()]))
    }
}

/// A place in the order in which a store exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub Bytes);

/// Some responses, and where the next ones begin.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The responses; there may be none on a page that is not the last.
    pub records: Vec<Stored>,
    /// Where to go on; `None` after the last page.
    pub next: Option<Place>,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Conversations.
    pub conversations: u64,
    /// Responses, with those that are deleted but still part of others.
    pub responses: u64,
    /// Bytes of what the responses add.
    pub bytes: u64,
    /// Bytes of the text that is kept once.
    pub shared_bytes: u64,
    /// Bytes on disk or in memory, where the store can tell.
    pub total_bytes: Option<u64>,
}

/// How much was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Conversations.
    pub conversations: u64,
    /// Responses.
    pub responses: u64,
}

/// Why a store could not do what was asked.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What a failure means for the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It may work later: the store is down, full or has too much to do.
    Unavailable,
    /// What is stored is damaged. It will not work later.
    Corrupt,
    /// The response that was to be continued has gone.
    PreviousGone,
    /// The store cannot be used as it was configured.
    Configuration,
}

impl StoreError {
    /// An error with words for the operator.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// With what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What is stored is damaged.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Corrupt, message)
    }

    /// The store cannot be reached, or cannot keep up.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Unavailable, message)
    }

    #[allow(dead_code, reason = "only stores need it")]
    pub(crate) fn previous_gone() -> Self {
        Self::new(StoreErrorKind::PreviousGone, "the response that was continued is not there any more")
    }

    /// What it means.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

/// With all that caused it: whoever reads it in a log has no other way to know.
impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            let words = cause.to_string();
            // Some say their cause themselves.
            if !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            next = cause.source();
        }
        f.write_str(&text)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
