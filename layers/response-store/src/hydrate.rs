//! From a request to what the upstream is asked, by way of the store if it has to be.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::request::Parts;
use tower_responses_core::{
    ApiError,
    json::{Object, Value},
};

use crate::{
    Owner, ResponseId,
    cache::Chain,
    create::{
        Asked, Unanswered, added_items, check_input, item_not_found, prepare, previous_not_found, references_too_large,
        store_failed,
    },
    keep::Keep,
    keeper::Keeper,
    layer::Config,
    pace::{self, Pace, let_others_go_on},
    references::References,
    storing::Storing,
};

/// What the upstream is asked, and what is done with its response.
pub(crate) type Hydrated = (Box<Object>, Keep);

/// Asks the store, or does what takes long.
pub(crate) type Hydrate = Pin<Box<dyn Future<Output = Result<Hydrated, ApiError>> + Send>>;

/// Whether there is something to wait for.
pub(crate) enum Begun {
    Ready(Hydrated),
    Waiting(Hydrate),
}

/// A request that was read, and not yet sent on.
#[derive(Debug)]
struct Opening {
    config: Arc<Config>,
    owner: Owner,
    body: Box<Object>,
    asked: Asked,
}

/// With more items than this a request takes long.
const MANY_ITEMS: usize = 1024;

/// Begins with a request whose body was read.
pub(crate) fn begin(config: &Arc<Config>, head: &Parts, mut body: Box<Object>) -> Result<Begun, ApiError> {
    let asked = Asked::read(&body)?;
    let mut references = References::default();
    let mut takes_long = false;
    match (&config.keeper, body.array_mut("input")) {
        (None, _) if asked.previous.is_some() => {
            let message = "This server stores no responses: 'previous_response_id' cannot be used. \
                           Send the whole conversation as 'input'.";
            return Err(ApiError::bad_request(message)
                .param("previous_response_id")
                .code("previous_response_not_found"));
        }
        (Some(_), Some(input)) if input.len() > MANY_ITEMS => takes_long = true,
        (Some(_), Some(input)) => input.for_each(|item| references.note(item)),
        _ => {}
    }
    // To find out whose a request is costs more than to know that it does not matter.
    let concerns_store = asked.store || asked.previous.is_some() || !references.is_empty() || takes_long;
    let owner = if concerns_store { Owner::of_request(head) } else { Owner::anonymous() };
    let opening = Opening { config: config.clone(), owner, body, asked };
    if takes_long {
        return Ok(Begun::Waiting(Box::pin(opening.go_in_steps())));
    }
    match opening.cached() {
        Some(chain) if references.is_empty() => opening.finish(chain, &references).map(Begun::Ready),
        cached => Ok(Begun::Waiting(Box::pin(opening.go(cached, references)))),
    }
}

impl Opening {
    /// What the request continues, if that can be had without the store.
    fn cached(&self) -> Option<Chain> {
        match (self.asked.previous, &self.config.keeper) {
            (Some(previous), Some(keeper)) => keeper.cached(&self.owner, previous),
            _ => Some(Chain::default()),
        }
    }

    async fn go(self, cached: Option<Chain>, mut references: References) -> Result<Hydrated, ApiError> {
        let chain = self.read(cached, &mut references).await?;
        self.finish(chain, &references)
    }

    /// The same for a request of many items.
    async fn go_in_steps(mut self) -> Result<Hydrated, ApiError> {
        let (mut references, mut pace) = (References::default(), Pace::default());
        for item in self.body.array_mut("input").into_iter().flat_map(|input| input.iter()) {
            references.note(&item);
            pace.after_item(item.text().len()).await;
        }
        let cached = self.cached();
        let chain = self.read(cached, &mut references).await?;
        references.resolve(&mut self.body);
        let (input, mut unanswered) = (self.added_items()?, Unanswered::of(&chain)?);
        for step in pace::steps(&input) {
            if unanswered.answer(step) {
                break;
            }
            let_others_go_on().await;
        }
        unanswered.refuse()?;
        Ok(self.prepare(&chain, input))
    }

    /// What came before, and the items that the request refers to.
    async fn read(&self, cached: Option<Chain>, references: &mut References) -> Result<Chain, ApiError> {
        let Some(keeper) = &self.config.keeper else { return Ok(Chain::default()) };
        let chain = match (cached, self.asked.previous) {
            (Some(chain), _) => chain,
            (None, None) => Chain::default(),
            (None, Some(id)) => {
                let chain = keeper.chain(&self.owner, id).await.map_err(|error| store_failed(&error))?;
                chain.ok_or_else(|| previous_not_found(&id.to_string()))?
            }
        };
        if !references.is_empty() {
            self.find(keeper, &chain, references).await?;
        }
        Ok(chain)
    }

    async fn find(&self, keeper: &Keeper, chain: &Chain, references: &mut References) -> Result<(), ApiError> {
        let mut pace = Pace::default();
        for turn in chain.turns.iter().rev() {
            references.take_from(turn);
            pace.after(turn.size()).await;
        }
        let unknown = keeper.find(&self.owner, references).await.map_err(|error| store_failed(&error))?;
        if let Some(id) = unknown {
            return Err(item_not_found(&id));
        }
        // A reference is short, and what it refers to need not be.
        let limit = self.config.limits.request;
        if references.bytes() > limit { Err(references_too_large(limit)) } else { Ok(()) }
    }

    fn finish(mut self, chain: Chain, references: &References) -> Result<Hydrated, ApiError> {
        references.resolve(&mut self.body);
        let (input, mut unanswered) = (self.added_items()?, Unanswered::of(&chain)?);
        unanswered.answer(&input);
        unanswered.refuse()?;
        Ok(self.prepare(&chain, input))
    }

    /// What the request adds, as far as it is needed.
    fn added_items(&self) -> Result<Vec<Bytes>, ApiError> {
        match &self.config.keeper {
            Some(_) if self.asked.store || self.asked.previous.is_some() => added_items(&self.body),
            None if self.asked.store => check_input(&self.body).map(|()| Vec::new()),
            _ => Ok(Vec::new()),
        }
    }

    /// The body for the upstream, and what is to be done with the response.
    fn prepare(mut self, chain: &Chain, input: Vec<Bytes>) -> Hydrated {
        let previous = self.asked.previous;
        let instructions = self.body.get("instructions").cloned().unwrap_or_else(Value::null);
        let remembered = prepare(&mut self.body, &self.asked, chain, input, self.config.inherit_tools);
        let streams = self.body.get("stream").and_then(Value::as_bool) == Some(true);
        let keeper = self.config.keeper.clone().filter(|_| self.asked.store);
        let storing = keeper.map(|keeper| Storing::new(keeper, self.owner, remembered, streams));
        // What is stored keeps the request alive, and nothing else does.
        let instructions = if storing.is_some() { instructions } else { instructions.detached() };
        let id = previous.map_or_else(ResponseId::root, |previous| ResponseId::continuing(&previous));
        (self.body, Keep::new(id, previous, instructions, storing))
    }
}
