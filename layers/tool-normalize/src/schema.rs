//! JSON schemas of parameters: what has to leave them, and which may be enforced.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use tower_responses_core::json::{Array, Object, Value};

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
    clean_value(schema, DEEPEST);
}

fn clean_value(schema: &mut Value, depth: usize) {
    if depth == 0 || !may_be_private(schema) {
        return;
    }
    if let Some(schemas) = schema.as_array_mut() {
        // `items` may be a list in older drafts.
        schemas.iter_mut().for_each(|schema| clean_value(schema, depth - 1));
    } else if let Some(schema) = schema.as_object_mut() {
        clean_object(schema, depth);
    }
}

fn clean_object(schema: &mut Object, depth: usize) {
    for keyword in PRIVATE {
        if schema.get(keyword).is_some_and(|value| value.as_bool().is_some() || value.is_null()) {
            schema.remove(keyword);
        }
    }
    for keyword in SCHEMA {
        if let Some(schema) = schema.get_mut(keyword) {
            clean_value(schema, depth - 1);
        }
    }
    for keyword in LIST {
        let schemas = schema.array_mut(keyword).map(Array::iter_mut);
        schemas.into_iter().flatten().for_each(|schema| clean_value(schema, depth - 1));
    }
    for keyword in MAP {
        let schemas = schema.object_mut(keyword).map(Object::values_mut);
        schemas.into_iter().flatten().for_each(|schema| clean_value(schema, depth - 1));
    }
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
    parameters.member_is("type", "object") && all_known(&mut parameters.clone(), DEEPEST)
}

fn all_known(schema: &mut Value, depth: usize) -> bool {
    if schema.as_bool().is_some() {
        return true;
    }
    let Some(schema) = (if depth == 0 { None } else { schema.as_object_mut() }) else { return false };
    let known = schema.iter().all(|(keyword, value)| {
        ENFORCEABLE.contains(&&*keyword)
            && match &*keyword {
                "type" => is_type(value),
                "$ref" => value.as_str().is_some_and(|target| target.starts_with('#')),
                _ => true,
            }
    });
    known
        && SCHEMA.iter().all(|keyword| schema.get_mut(keyword).is_none_or(|schema| all_known(schema, depth - 1)))
        && LIST.iter().all(|keyword| {
            schema.array_mut(keyword).is_none_or(|list| list.iter_mut().all(|schema| all_known(schema, depth - 1)))
        })
        && MAP.iter().all(|keyword| {
            schema.object_mut(keyword).is_none_or(|map| map.values_mut().all(|schema| all_known(schema, depth - 1)))
        })
}

fn is_type(value: &Value) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&&*name));
    known(value) || value.elements().is_some_and(|types| types.iter().all(known))
}
