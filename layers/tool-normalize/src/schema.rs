//! JSON schemas of parameters: what has to leave them, and which may be enforced.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

use memchr::memmem::Finder;
use tower_responses_core::json::{Edit, Value};

#[cfg(test)]
mod tests;

/// Keywords of the client's own that no server knows.
const PRIVATE: [&str; 2] = ["encrypted", "defer_loading"];

/// How deep schemas are read. Nobody writes deeper ones by hand, and a stack has an end.
const DEEPEST: usize = 64;

/// Keywords whose value is a schema, a list of schemas, and schemas by name.
const SCHEMA: [&str; 10] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const MAP: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// Whether a schema may hold keywords that have to leave it. Says yes too often, and never too
/// rarely for what clients write.
pub(crate) fn may_be_private(schema: &Value) -> bool {
    static FINDERS: LazyLock<[Finder<'_>; 2]> = LazyLock::new(|| PRIVATE.map(Finder::new));
    let text = schema.text();
    FINDERS.iter().any(|keyword| keyword.find(&text).is_some())
}

/// Removes the private keywords from a schema, and leaves properties of the same name alone.
pub(crate) fn clean(schema: &mut Value) {
    if let Some(cleaned) = cleaned(schema, DEEPEST) {
        *schema = cleaned;
    }
}

/// The schema without its private keywords, if it has any.
fn cleaned(schema: &Value, depth: usize) -> Option<Value> {
    if depth == 0 || !may_be_private(schema) {
        return None;
    }
    // `items` may be a list in older drafts.
    let list = |schemas: &Value| schemas.edit_elements(|schema| edit(cleaned(schema, depth - 1)));
    if schema.is_array() {
        return list(schema);
    }
    schema.edit_members(|keyword, value| {
        let Some(keyword) = keyword.as_str() else { return Edit::Keep };
        let is = |keywords: &[&str]| keywords.contains(&&*keyword);
        if is(&PRIVATE) && (value.as_bool().is_some() || value.is_null()) {
            return Edit::remove();
        }
        edit(if is(&SCHEMA) {
            cleaned(value, depth - 1)
        } else if is(&LIST) {
            list(value)
        } else if is(&MAP) {
            value.edit_members(|_, schema| edit(cleaned(schema, depth - 1)))
        } else {
            None
        })
    })
}

fn edit(cleaned: Option<Value>) -> Edit {
    cleaned.map_or(Edit::Keep, Edit::With)
}

/// Keywords that every grammar engine was seen to take or to ignore.
const ENFORCEABLE: [&str; 24] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "definitions",
    "description",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "properties",
    "required",
    "title",
    "type",
];
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Whether arguments can be held to `parameters`: it describes an object, and with nothing that
/// makes a grammar engine refuse the whole request.
pub(crate) fn is_enforceable(parameters: &Value) -> bool {
    parameters.member_is("type", "object") && all_known(parameters, DEEPEST)
}

fn all_known(schema: &Value, depth: usize) -> bool {
    if schema.as_bool().is_some() {
        return true;
    }
    let Some(mut members) = (if depth == 0 { None } else { schema.entries() }) else { return false };
    let known = |schema: &Value| all_known(schema, depth - 1);
    members.all(|(keyword, value)| {
        let Some(keyword) = keyword.as_str() else { return false };
        let is = |keywords: &[&str]| keywords.contains(&&*keyword);
        is(&ENFORCEABLE)
            && match &*keyword {
                "type" => is_type(&value),
                "$ref" => value.as_str().is_some_and(|target| target.starts_with('#')),
                _ if is(&SCHEMA) => known(&value),
                _ if is(&LIST) => value.elements().is_none_or(|mut list| list.all(|schema| known(&schema))),
                _ if is(&MAP) => value.entries().is_none_or(|mut map| map.all(|(_, schema)| known(&schema))),
                _ => true,
            }
    })
}

fn is_type(value: &Value) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&&*name));
    known(value) || value.elements().is_some_and(|mut types| types.all(|kind| known(&kind)))
}

/// Whether two schemas say the same, in whichever spelling and order.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    let state = RandomState::new();
    let print = |schema| fingerprint(schema, DEEPEST, &state);
    one == other || print(one).is_some_and(|one| Some(one) == print(other))
}

/// A number that two values have in common if they say the same, and nearly never else. `None` for
/// what is too deep or too large to be looked at.
fn fingerprint(value: &Value, depth: usize, state: &RandomState) -> Option<u64> {
    let depth = depth.checked_sub(1)?;
    if let Some(mut elements) = value.elements() {
        let first = state.hash_one("[");
        return elements
            .try_fold(first, |list, value| Some(state.hash_one((list, fingerprint(&value, depth, state)?))));
    }
    if value.is_object() {
        // In any order.
        return value.entries()?.try_fold(state.hash_one("{"), |sum, (name, value)| {
            Some(sum.wrapping_add(state.hash_one((name.as_str(), fingerprint(&value, depth, state)?))))
        });
    }
    let text = value.text();
    Some(
        match (
            value.as_str(),
            value.as_i64(),
            std::str::from_utf8(&text).ok().and_then(|text| text.parse::<f64>().ok()),
        ) {
            (Some(string), _, _) => state.hash_one(("s", &*string)),
            (_, Some(number), _) => state.hash_one(("i", number)),
            (_, _, Some(number)) => state.hash_one(("f", number.to_bits())),
            _ => state.hash_one(("t", &text[..])),
        },
    )
}
