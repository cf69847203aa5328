//! Reading a request that makes a response, and making of it what the upstream is asked.

use bytes::Bytes;
use http::StatusCode;
use tower_responses_core::{
    ApiError,
    json::{Array, Object, Value},
    read_bool,
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
    /// Reads the request; what this service does not do is refused.
    pub(crate) fn read(request: &Object) -> Result<Self, ApiError> {
        let unsupported = |name: &'static str, message: &'static str| {
            Err(ApiError::bad_request(message).param(name).code("unsupported_parameter"))
        };
        if read_bool(request, "background")? == Some(true) {
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
        read_bool(request, "stream")?;
        let store = read_bool(request, "store")? != Some(false);
        Ok(Self { store, previous })
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

/// No stored response of this owner has an item with this id.
pub(crate) fn item_not_found(id: &str) -> ApiError {
    ApiError::bad_request(format!("Item with id '{id}' not found.")).param("input").code("item_not_found")
}

/// What a request refers to is together larger than a request may be.
pub(crate) fn references_too_large(limit: usize) -> ApiError {
    let message = format!("The items that 'input' refers to are larger than the {limit} bytes of a request together.");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message).param("input").code("request_too_large")
}

/// The items that a request adds.
pub(crate) fn added_items(request: &Object) -> Result<Vec<Bytes>, ApiError> {
    input_items(request.get("input")).ok_or_else(invalid_input)
}

/// Refuses what [`added_items`] refuses.
pub(crate) fn check_input(request: &Object) -> Result<(), ApiError> {
    let is_one = |input: &Value| input.is_array() || input.is_string() || input.is_null();
    if request.get("input").is_none_or(is_one) { Ok(()) } else { Err(invalid_input()) }
}

fn invalid_input() -> ApiError {
    ApiError::bad_request("Invalid type for 'input': expected a string or an array.").param("input")
}

/// The calls of the turn before that the input has not answered so far.
#[derive(Debug)]
pub(crate) struct Unanswered(Calls);

impl Unanswered {
    /// Refuses to continue what cannot be continued.
    pub(crate) fn of(chain: &Chain) -> Result<Self, ApiError> {
        let Some(last) = chain.turns.last() else { return Ok(Self(Calls::default())) };
        if last.is_failed() {
            let message = "The previous response failed: it cannot be continued.";
            return Err(ApiError::bad_request(message).param("previous_response_id").code("previous_response_failed"));
        }
        Ok(Self(Calls::new(last.pending().to_vec())))
    }

    /// Takes the next items; whether there is nothing left that they could answer.
    pub(crate) fn answer(&mut self, items: &[Bytes]) -> bool {
        for item in items {
            if self.0.is_empty() {
                return true;
            }
            self.0.output(&Value::from_unique(item.clone()));
        }
        self.0.is_empty()
    }

    /// Refuses input that leaves a call unanswered.
    pub(crate) fn refuse(self) -> Result<(), ApiError> {
        match self.0.into_pending().first() {
            Some(call) => Err(ApiError::bad_request(call.message()).param("input")),
            None => Ok(()),
        }
    }
}

/// Makes of the request what the upstream is asked: all of the conversation, and nothing of the
/// store. `input` is what the request adds.
pub(crate) fn prepare(
    request: &mut Object,
    asked: &Asked,
    chain: &Chain,
    input: Vec<Bytes>,
    inherit_tools: bool,
) -> Remembered {
    let mut remembered =
        Remembered { input, known: chain.shared.clone(), depth: chain.turns.len(), ..Remembered::default() };
    if let Some(last) = chain.turns.last() {
        remembered.pending = last.pending().to_vec();
        if inherit_tools {
            inherit(request, chain);
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
    remembered
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
