//! What the model thought.

use tower_responses_core::json::{Array, Edit, Value};

use crate::policy::EncryptedReasoning;

/// Clients send back nulls where there was nothing, and the secrets of other servers.
pub(super) fn reasoning(item: &mut Value, encrypted: EncryptedReasoning) -> Edit {
    let is_empty = |value: &Value| value.is_null() || value.elements().is_some_and(|parts| parts.is_empty());
    let holds = |name: &str| item.member(name).map(|value| !is_empty(&value));
    let (summary, content, secret) = (holds("summary"), holds("content"), item.member("encrypted_content"));
    let keeps_secret = encrypted == EncryptedReasoning::Pass;
    let removes_secret = secret.as_ref().is_some_and(|secret| secret.is_null() || !keeps_secret);
    if removes_secret && summary != Some(true) && content != Some(true) {
        return Edit::remove();
    }
    let no_list = !item.member("summary").is_some_and(|summary| summary.is_array());
    let null_content = item.member("content").is_some_and(|content| content.is_null());
    if let Some(item) = if removes_secret || no_list || null_content { item.as_object_mut() } else { None } {
        if removes_secret {
            item.remove("encrypted_content");
        }
        if null_content {
            item.remove("content");
        }
        if no_list {
            item.set("summary", Array::new());
        }
    }
    Edit::Keep
}
