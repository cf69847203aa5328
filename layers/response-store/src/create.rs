//! Reading a request that makes a response, and making of it what the upstream is asked.

use bytes::Bytes;
use http::StatusCode;
use tower_responses_core::{
    ApiError,
    json::{Array, Edit, Object, Value},
};

use crate::{
    PendingCall, ResponseId, Shared, StoreError, StoreErrorKind,
    cache::Chain,
    items::{Calls, input_items},
};

/// What a request asks of the store.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) store: bool,
    pub(crate) previous: Option<ResponseId>,
    /// The ids of the items that stand elsewhere.
    pub(crate) references: Vec<String>,
}

/// What is to be remembered of a request until its response is there.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) input: Vec<Bytes>,
    /// How many turns came before.
    pub(crate) depth: usize,
    pub(crate) pending: Vec<PendingCall>,
    pub(crate) tools: Option<Bytes>,
    pub(crate) tool_choice: Option<Bytes>,
    /// The shared texts of the turn before.
    pub(crate) known: Vec<Shared>,
}

impl Asked {
    /// Whether anything is to be read from the store, or to be kept in it.
    pub(crate) fn concerns_store(&self) -> bool {
        self.store || self.previous.is_some() || !self.references.is_empty()
    }

    /// Reads the request; what this service does not do is refused.
    pub(crate) fn read(request: &mut Object) -> Result<Self, ApiError> {
        let unsupported = |name: &'static str, message: &'static str| {
            Err(ApiError::bad_request(message).param(name).code("unsupported_parameter"))
        };
        if request.get("background").and_then(Value::as_bool) == Some(true) {
            return unsupported("background", "Responses in the background are not supported: leave out 'background'.");
        }
        if request.has("conversation") {
            return unsupported(
                "conversation",
                "The parameter 'conversation' is not supported: use 'previous_response_id'.",
            );
        }
        let previous = match request.get("previous_response_id").filter(|id| !id.is_null()) {
            None => None,
            Some(id) => match id.as_str() {
                Some(text) => Some(text.parse().map_err(|_| previous_not_found(&text))?),
                None => {
                    let message = "Invalid type for 'previous_response_id': expected a string.";
                    return Err(ApiError::bad_request(message).param("previous_response_id").code("invalid_type"));
                }
            },
        };
        let store = request.get("store").and_then(Value::as_bool) != Some(false);
        Ok(Self { store, previous, references: references(request) })
    }
}

/// Nobody has a response with this id that the client could continue.
pub(crate) fn previous_not_found(id: &str) -> ApiError {
    ApiError::bad_request(format!("Previous response with id '{id}' not found."))
        .param("previous_response_id")
        .code("previous_response_not_found")
}

/// What a client gets to see of a failure of the store.
pub(crate) fn store_failed(error: &StoreError) -> ApiError {
    tracing::warn!(%error, kind = ?error.kind(), "the response store could not be read");
    let kind = if error.kind() == StoreErrorKind::Corrupt { "corrupt" } else { "unavailable" };
    metrics::counter!("tower_responses_store_read_failures_total", "kind" => kind).increment(1);
    if error.kind() == StoreErrorKind::Corrupt {
        let message = "What is stored of this conversation is damaged; it cannot be read or continued.";
        return ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message).code("stored_response_corrupt");
    }
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "The response store is not available at the moment.")
        .code("response_store_unavailable")
        .retry_after(1)
}

fn references(request: &mut Object) -> Vec<String> {
    let mut references = Vec::new();
    if let Some(input) = request.array_mut("input") {
        input.for_each(|item| references.extend(referenced(item)));
    }
    references
}

fn referenced(item: &Value) -> Option<String> {
    item.member_is("type", "item_reference").then(|| item.member_str("id"))?.map(Into::into)
}

/// Puts the items in the place of the references to them.
pub(crate) fn resolve(request: &mut Object, mut item: impl FnMut(&str) -> Option<Bytes>) {
    let Some(input) = request.array_mut("input") else { return };
    input.map(|value| match referenced(value).and_then(|id| item(&id)) {
        Some(text) => Edit::with(Value::from_text(text)),
        None => Edit::Keep,
    });
}

/// No stored response of this owner has an item with this id.
pub(crate) fn item_not_found(id: &str) -> ApiError {
    ApiError::bad_request(format!("Item with id '{id}' not found.")).param("input").code("item_not_found")
}

/// The item with this id, newest first.
pub(crate) fn find_in_chain(chain: &Chain, id: &str) -> Option<Bytes> {
    chain.turns.iter().rev().find_map(|turn| turn.item(id))
}

/// Makes of the request what the upstream is asked: all of the conversation, and nothing of the
/// store.
pub(crate) fn prepare(
    request: &mut Object,
    asked: &Asked,
    chain: Chain,
    inherit_tools: bool,
) -> Result<Remembered, ApiError> {
    let mut remembered = Remembered { known: chain.shared.clone(), depth: chain.turns.len(), ..Remembered::default() };
    if asked.store || asked.previous.is_some() {
        remembered.input = input_items(request.get("input")).ok_or_else(|| {
            ApiError::bad_request("Invalid type for 'input': expected a string or an array.").param("input")
        })?;
    }
    if let Some(last) = chain.turns.last() {
        if last.is_failed() {
            let message = "The previous response failed: it cannot be continued.";
            return Err(ApiError::bad_request(message).param("previous_response_id").code("previous_response_failed"));
        }
        remembered.pending = answered(last.pending().to_vec(), &remembered.input)?;
        if inherit_tools {
            inherit(request, &chain);
        }
        let history = chain.turns.iter().flat_map(|turn| turn.replayed());
        let all = history.chain(&remembered.input).map(|item| Value::from_unique(item.clone()));
        request.set("input", all.collect::<Array>());
    }
    if asked.store {
        remembered.tools = request.get("tools").filter(|tools| !tools.is_null()).map(Value::text);
        remembered.tool_choice = request.get("tool_choice").filter(|choice| is_inherited(choice)).map(Value::text);
        request.set("store", Value::bool(false));
    }
    request.remove("previous_response_id");
    Ok(remembered)
}

/// Refuses input that leaves a call of the turn before unanswered.
fn answered(pending: Vec<PendingCall>, input: &[Bytes]) -> Result<Vec<PendingCall>, ApiError> {
    if pending.is_empty() {
        return Ok(pending);
    }
    let mut calls = Calls::new(pending.clone());
    for item in input {
        calls.item(&Value::from_unique(item.clone()));
    }
    match calls.pending().iter().find(|call| pending.contains(call)) {
        Some(call) => Err(ApiError::bad_request(call.message()).param("input")),
        None => Ok(pending),
    }
}

fn inherit(request: &mut Object, chain: &Chain) {
    if request.get("tools").is_some() {
        return;
    }
    let Some(last) = chain.turns.last() else { return };
    let Some(tools) = last.tools(&chain.shared) else { return };
    request.set("tools", Value::from_text(tools.clone()));
    if let Some(choice) = last.tool_choice().filter(|_| request.get("tool_choice").is_none()) {
        request.set("tool_choice", Value::from_text(choice.clone()));
    }
}

/// Whether a later turn may have the same choice: one that forces a call would force it again
/// and again.
fn is_inherited(choice: &Value) -> bool {
    match choice.as_str() {
        Some(mode) => mode != "required",
        None => choice.member_is("type", "allowed_tools") && !choice.member_is("mode", "required"),
    }
}
