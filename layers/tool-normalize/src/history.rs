//! What the conversation so far looks like to the upstream.

use tower_responses_core::{
    ApiError,
    json::{Edit, Object, Value},
};

use crate::{
    catalog::{Catalog, Place, ToolList},
    normalizer::Settings,
    policy::{HostedItems, Policy},
    recent::Recent,
};

mod calls;
mod kind;
mod messages;
mod outputs;
mod reasoning;
mod text;

use kind::Kind;

#[cfg(test)]
mod tests;

/// Translates the items of `input` in their order. What an item becomes depends on what stands
/// before it alone, so that each request extends the one before.
pub(crate) fn translate(
    body: &mut Object,
    catalog: &mut Catalog,
    settings: &Settings,
    recent: &Recent,
) -> Result<(), ApiError> {
    let Some(input) = body.array_mut("input") else { return Ok(()) };
    let mut refused = None;
    let mut index = 0;
    input.map(|item| {
        let at = index;
        index += 1;
        if refused.is_some() {
            return Edit::Keep;
        }
        translate_item(item, at, catalog, settings, recent).unwrap_or_else(|error| {
            refused = Some(error);
            Edit::Keep
        })
    });
    refused.map_or(Ok(()), Err)
}

fn translate_item(
    item: &mut Value,
    index: usize,
    catalog: &mut Catalog,
    settings: &Settings,
    recent: &Recent,
) -> Result<Edit, ApiError> {
    Ok(match Kind::of(item) {
        Kind::Message => Edit::Keep,
        Kind::FunctionCall => calls::function(item, catalog),
        Kind::CustomCall => calls::custom(item, catalog),
        Kind::SearchCall => match calls::search(item, catalog) {
            Some(call) => call,
            None => hosted(item, settings),
        },
        Kind::FunctionOutput => outputs::function(item),
        Kind::CustomOutput => outputs::custom(item),
        Kind::SearchOutput => {
            let found = catalog.read(&recent.found(item).list(), Place::Found(index))?;
            outputs::search(item, &found, catalog)
        }
        Kind::AdditionalTools => {
            if let Some(tools) = item.member("tools") {
                catalog.read(&ToolList::Text(tools), Place::Item(index))?;
            }
            Edit::remove()
        }
        Kind::Reasoning => reasoning::reasoning(item, settings.encrypted_reasoning),
        Kind::AgentMessage => messages::agent(item),
        Kind::Compaction => messages::compaction(item),
        Kind::Hosted => hosted(item, settings),
        Kind::CompactionTrigger => {
            let message = "compaction by the server is not supported here: item of type 'compaction_trigger'";
            return Err(refuse(message.to_owned(), index, "unsupported_item"));
        }
        Kind::Reference => {
            let id = item.member_str("id").unwrap_or_default();
            let message = format!("item '{id}' is referred to but not stored here: send the item itself");
            return Err(refuse(message, index, "item_not_found"));
        }
        Kind::Unknown => match settings.unknown_items {
            Policy::Pass => Edit::Keep,
            Policy::Drop => Edit::remove(),
            Policy::Reject => {
                let kind = item.member_str("type").unwrap_or_default();
                let message = format!("input items of type '{kind}' are not supported here");
                return Err(refuse(message, index, "unsupported_item"));
            }
        },
    })
}

fn hosted(item: &Value, settings: &Settings) -> Edit {
    match settings.hosted_items {
        HostedItems::Note => messages::note(item),
        HostedItems::Drop => Edit::remove(),
        HostedItems::Pass => Edit::Keep,
    }
}

fn refuse(message: String, index: usize, code: &'static str) -> ApiError {
    ApiError::bad_request(message).param(format!("input[{index}]")).code(code)
}
