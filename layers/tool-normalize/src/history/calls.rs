//! Calls of tools become calls of the functions that stand for them.

use std::borrow::Cow;

use tower_responses_core::{
    ToolKind,
    json::{Edit, Value},
};

use super::text::ObjectText;
use crate::catalog::Catalog;

/// A call of a function: renamed, if the upstream knows it by another name.
pub(super) fn function(item: &Value, catalog: &mut Catalog) -> Edit {
    let [name, namespace] = item.members(["name", "namespace"]);
    let called = called(ToolKind::Function, name.as_ref(), namespace.as_ref(), catalog);
    let Some(upstream) = called.as_deref() else { return Edit::Keep };
    let renamed = name.as_ref().is_none_or(|name| *name != *upstream);
    let in_namespace = namespace.is_some_and(|namespace| !namespace.is_null());
    if !renamed && !in_namespace {
        return Edit::Keep;
    }
    let upstream = Value::string(upstream);
    item.with_members(&[("name", Some(&upstream)), ("namespace", None)]).map_or(Edit::Keep, Edit::with)
}

/// The tool that a call is one of.
fn called<'c>(
    kind: ToolKind,
    name: Option<&Value>,
    namespace: Option<&Value>,
    catalog: &'c mut Catalog,
) -> Option<Cow<'c, str>> {
    let name = name?.as_str()?;
    let namespace = namespace.and_then(Value::as_str).filter(|namespace| !namespace.is_empty());
    Some(catalog.called(kind, namespace.as_deref(), &name))
}

/// A call of a custom tool: its text is the one argument.
pub(super) fn custom(item: &Value, catalog: &mut Catalog) -> Edit {
    let [name, namespace, input, call_id, id, status] =
        item.members(["name", "namespace", "input", "call_id", "id", "status"]);
    let called = called(ToolKind::Custom, name.as_ref(), namespace.as_ref(), catalog);
    let Some(upstream) = called.as_deref() else { return Edit::Keep };
    let input = input.map_or_else(|| "\"\"".into(), |input| input.text());
    Labels { call_id, id, status }.call(upstream, &[br#"{"input":"#, &input, b"}"])
}

/// A search of the client's own. `None` for one that the server made.
pub(super) fn search(item: &Value, catalog: &mut Catalog) -> Option<Edit> {
    let [call_id, arguments, id, status] = item.members(["call_id", "arguments", "id", "status"]);
    call_id.as_ref()?.as_str()?;
    let upstream = catalog.called(ToolKind::ToolSearch, None, "tool_search");
    let arguments = match arguments {
        Some(arguments) if arguments.is_string() => arguments.as_str().unwrap_or_default().into_owned().into(),
        Some(arguments) if arguments.is_object() => arguments.text(),
        _ => "{}".into(),
    };
    Some(Labels { call_id, id, status }.call(&upstream, &[&arguments]))
}

/// What calls of all kinds have.
struct Labels {
    call_id: Option<Value>,
    id: Option<Value>,
    status: Option<Value>,
}

impl Labels {
    /// A function call in place of another. It has no id: the one it had tells of another type,
    /// and servers need none.
    fn call(self, name: &str, arguments: &[&[u8]]) -> Edit {
        let length = arguments.iter().chain([&name.as_bytes()]).map(|piece| piece.len()).sum();
        let call = ObjectText::new("function_call", length)
            .maybe("call_id", self.call_id.filter(Value::is_string).or(self.id).as_ref())
            .string("name", name)
            .pieces("arguments", arguments)
            .maybe("status", self.status.filter(Value::is_string).as_ref());
        Edit::with(call.finish())
    }
}
