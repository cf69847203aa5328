//! What the client asks to be included in the answer.

use tower_responses_core::json::{Edit, Object, Value};

use crate::policy::{Policy, ToolPolicies, family};

#[cfg(test)]
mod tests;

/// Removes what belongs to tools that are dropped: servers refuse values that they do not know.
pub(crate) fn translate(body: &mut Object, tools: &ToolPolicies) {
    let is_dropped = |value: &Value| {
        let value = value.as_str().unwrap_or_default();
        // `web_search_call.action.sources` is about `web_search`.
        let item = value.split_once('.').map(|(item, _)| item).unwrap_or_default();
        let tool = item.strip_suffix("_call").or_else(|| item.strip_suffix("_call_output"));
        tool.and_then(family).is_some_and(|tool| tools.of(tool) != Policy::Pass)
    };
    let include = body
        .get("include")
        .and_then(|include| include.edit_elements(|value| if is_dropped(value) { Edit::remove() } else { Edit::Keep }));
    let Some(include) = include else { return };
    if include.elements().is_some_and(|mut values| values.next().is_none()) {
        body.remove("include");
    } else {
        body.set("include", include);
    }
}
