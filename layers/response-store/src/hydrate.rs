//! From a request to what the upstream is asked, by way of the store if it has to be.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::request::Parts;
use tower_responses_core::{
    ApiError,
    json::{Object, Value},
};

use crate::{
    Owner, ResponseId,
    cache::Chain,
    create::{Asked, find_in_chain, item_not_found, prepare, previous_not_found, resolve, store_failed},
    keep::{Keep, Storing},
    keeper::Keeper,
    layer::Config,
};

/// Asks the store.
pub(crate) type Hydrate = Pin<Box<dyn Future<Output = Result<Hydrated, ApiError>> + Send>>;

/// A request that was read, and not yet sent on.
#[derive(Debug)]
pub(crate) struct Opening {
    config: Arc<Config>,
    owner: Owner,
    body: Box<Object>,
    asked: Asked,
}

/// Whether the store has to be asked.
pub(crate) enum Begun {
    Ready(Chain),
    Waiting(Hydrate),
}

/// What came before, and the items that the request refers to.
#[derive(Debug, Default)]
pub(crate) struct Hydrated {
    chain: Chain,
    items: HashMap<String, Bytes>,
}

impl Hydrated {
    pub(crate) fn of(chain: Chain) -> Self {
        Self { chain, items: HashMap::new() }
    }
}

impl Opening {
    pub(crate) fn new(config: &Arc<Config>, head: &Parts, mut body: Box<Object>) -> Result<(Self, Begun), ApiError> {
        let mut asked = Asked::read(&mut body)?;
        // To find out whose a request is costs more than to know that it does not matter.
        let owner = if asked.concerns_store() { Owner::of_request(head) } else { Owner::anonymous() };
        let begun = match &config.keeper {
            None => {
                if asked.previous.is_some() {
                    let message = "This server stores no responses: 'previous_response_id' cannot be used. \
                                   Send the whole conversation as 'input'.";
                    return Err(ApiError::bad_request(message)
                        .param("previous_response_id")
                        .code("previous_response_not_found"));
                }
                asked.references.clear();
                Begun::Ready(Chain::default())
            }
            Some(keeper) => begin(keeper, &owner, &asked),
        };
        Ok((Self { config: config.clone(), owner, body, asked }, begun))
    }

    /// The body for the upstream, and what is to be done with the response.
    pub(crate) fn finish(mut self, hydrated: Hydrated) -> Result<(Box<Object>, Keep), ApiError> {
        let previous = self.asked.previous;
        if !self.asked.references.is_empty() {
            resolve(&mut self.body, |id| hydrated.items.get(id).cloned());
        }
        let instructions = self.body.get("instructions").cloned().unwrap_or_else(Value::null);
        let remembered = prepare(&mut self.body, &self.asked, hydrated.chain, self.config.inherit_tools)?;
        let streams = self.body.get("stream").and_then(Value::as_bool) == Some(true);
        let storing = self.config.keeper.clone().filter(|_| self.asked.store).map(|keeper| Storing {
            keeper,
            owner: self.owner,
            request: remembered,
            streams,
            input: None,
            prepared: None,
        });
        // What is stored keeps the request alive, and nothing else does.
        let instructions = if storing.is_some() { instructions } else { instructions.detached() };
        let id = previous.map_or_else(ResponseId::root, |previous| ResponseId::continuing(&previous));
        Ok((self.body, Keep::new(id, previous, instructions, storing)))
    }
}

fn begin(keeper: &Arc<Keeper>, owner: &Owner, asked: &Asked) -> Begun {
    let cached = match asked.previous {
        None => Some(Chain::default()),
        Some(previous) => keeper.cached(owner, previous),
    };
    let cached = match cached {
        Some(chain) if asked.references.is_empty() => return Begun::Ready(chain),
        cached => cached,
    };
    let (keeper, owner) = (keeper.clone(), owner.clone());
    let (previous, references) = (asked.previous, asked.references.clone());
    Begun::Waiting(Box::pin(async move { hydrate(&keeper, &owner, cached, previous, &references).await }))
}

async fn hydrate(
    keeper: &Keeper,
    owner: &Owner,
    cached: Option<Chain>,
    previous: Option<ResponseId>,
    references: &[String],
) -> Result<Hydrated, ApiError> {
    let chain = match (cached, previous) {
        (Some(chain), _) => chain,
        (None, None) => Chain::default(),
        (None, Some(id)) => {
            let chain = keeper.chain(owner, id).await.map_err(|error| store_failed(&error))?;
            chain.ok_or_else(|| previous_not_found(&id.to_string()))?
        }
    };
    let mut items = HashMap::new();
    for id in references {
        if items.contains_key(id) {
            continue;
        }
        let item = match find_in_chain(&chain, id) {
            Some(item) => Some(item),
            None => keeper.item(owner, id).await.map_err(|error| store_failed(&error))?,
        };
        items.insert(id.clone(), item.ok_or_else(|| item_not_found(id))?);
    }
    Ok(Hydrated { chain, items })
}
