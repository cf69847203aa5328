//! What the model thought.

use tower_responses_core::json::{Array, Edit, Value};

use crate::policy::EncryptedReasoning;

/// Clients send back nulls where there was nothing, and the secrets of other servers.
pub(super) fn reasoning(item: &Value, encrypted: EncryptedReasoning) -> Edit {
    let [summary, content, secret] = item.members(["summary", "content", "encrypted_content"]);
    let says = |parts: &Option<Value>| {
        parts.as_ref().and_then(Value::elements).is_some_and(|mut parts| parts.next().is_some())
    };
    let keeps_secret = encrypted == EncryptedReasoning::Pass;
    let removes_secret = secret.as_ref().is_some_and(|secret| secret.is_null() || !keeps_secret);
    if removes_secret && !says(&summary) && !says(&content) {
        return Edit::remove();
    }
    let no_list = !summary.is_some_and(|summary| summary.is_array());
    let null_content = content.is_some_and(|content| content.is_null());
    if !(removes_secret || no_list || null_content) {
        return Edit::Keep;
    }
    let none = Value::from(Array::new());
    let changes = [
        (removes_secret, ("encrypted_content", None)),
        (null_content, ("content", None)),
        (no_list, ("summary", Some(&none))),
    ];
    let changes: Vec<_> = changes.into_iter().filter(|(wanted, _)| *wanted).map(|(_, change)| change).collect();
    item.with_members(&changes).map_or(Edit::Keep, Edit::with)
}
