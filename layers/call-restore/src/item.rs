use std::borrow::Cow;

use tower_responses_core::{
    ClientTool, ToolKind, ToolMap,
    json::{Object, Value},
};

use crate::{
    InputForm,
    custom_input::{decode_cut_input, decode_input, unquote},
};

/// Where a call item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was only announced; its arguments are to come.
    Added,
    /// The client sees it for the first time as a whole.
    Done,
    /// It is listed again in a response object that ends a stream.
    Listed,
}

/// One output item as the upstream gave it.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub(crate) map: &'a ToolMap,
    pub(crate) stage: Stage,
    /// What an item is called that has neither `id` nor `call_id`.
    pub(crate) name: (u64, i64),
    /// The arguments, if they were told before the item.
    pub(crate) told: Option<&'a Value>,
}

impl Item<'_> {
    /// Makes the item what the client declared. Items that are no calls are not opened.
    pub(crate) fn restore(&self, item: &mut Value) {
        let Some(kind) = item.member("type") else { return };
        if kind == *"function_call" {
            self.function_call(item);
        } else if kind == *"custom_tool_call" {
            self.custom_call(item);
        } else if kind == *"tool_search_call" {
            self.tool_search_call(item);
        }
    }

    fn function_call(&self, value: &mut Value) {
        let call = FunctionCall::of(value);
        let tool = call.tool(self.map);
        self.count_name(&call);
        if self.is_restored(&call, tool) {
            return;
        }
        let Some(item) = value.as_object_mut() else { return };
        if let Some(told) = self.told
            && is_blank(item.get("arguments"))
        {
            item.set("arguments", told.clone());
        }
        let kind = tool.map_or(ToolKind::Function, ClientTool::kind);
        match (kind, tool) {
            (ToolKind::Custom, Some(tool)) => self.to_custom_call(item, tool),
            (ToolKind::ToolSearch, _) => self.to_tool_search_call(item),
            (_, tool) => {
                if tool.is_some_and(|tool| name(item, tool)) {
                    self.count("function");
                }
                arguments_to_text(item);
            }
        }
        self.complete(item, kind);
    }

    fn to_custom_call(&self, item: &mut Object, tool: &ClientTool) {
        let arguments = item.remove("arguments");
        let input = match (&arguments, self.stage) {
            (Some(arguments), Stage::Done | Stage::Listed) => self.input(&argument_text(arguments), item),
            _ => String::new(),
        };
        item.set("type", "custom_tool_call");
        name(item, tool);
        item.set("input", &*input);
        self.count("custom");
    }

    fn input(&self, arguments: &str, item: &Object) -> String {
        if is_incomplete(item)
            && let Some(input) = decode_cut_input(arguments)
        {
            return input;
        }
        let input = decode_input(arguments);
        if self.stage == Stage::Done && input.form != InputForm::Object && !arguments.is_empty() {
            let form = input.form.as_str();
            metrics::counter!("tower_responses_custom_inputs_repaired_total", "form" => form).increment(1);
            tracing::debug!(form, "a custom call's arguments are no object with its input");
        }
        input.text.into_owned()
    }

    fn to_tool_search_call(&self, item: &mut Object) {
        item.set("type", "tool_search_call");
        item.remove("name");
        item.remove("namespace");
        self.search_arguments(item);
        self.count("tool_search");
    }

    /// Clients want the arguments as an object, and to be told that the search is theirs.
    fn search_arguments(&self, item: &mut Object) {
        if !item.get("arguments").is_some_and(Value::is_object) {
            let arguments = item.get("arguments").map(argument_text).unwrap_or_default();
            let arguments = search_arguments(&arguments);
            item.set("arguments", arguments);
        }
        if !item.has("execution") {
            item.set("execution", "client");
        }
    }

    /// A `custom_tool_call` that the upstream made itself.
    fn custom_call(&self, value: &mut Value) {
        let tool = called_tool(self.map, value);
        let Some(item) = value.as_object_mut() else { return };
        if let Some(tool) = tool {
            name(item, tool);
        }
        if let Some(input) = item.get_str("input") {
            // vLLM 0.32 leaves it in its quotes if the model wrote nothing but a JSON string, and
            // in its JSON if the call was cut.
            let decoded = if is_incomplete(item) { decode_cut_input(&input) } else { unquote(&input) };
            if let Some(input) = decoded {
                item.set("input", &*input);
            }
        }
        self.complete(item, ToolKind::Custom);
    }

    /// A `tool_search_call` that the upstream made itself.
    fn tool_search_call(&self, value: &mut Value) {
        let Some(item) = value.as_object_mut() else { return };
        self.search_arguments(item);
        self.complete(item, ToolKind::ToolSearch);
    }

    /// Gives the item what every call has: `id`, `call_id` and `status`.
    fn complete(&self, item: &mut Object, kind: ToolKind) {
        if !has_text(item, "call_id") {
            let call_id = match item.get_str("id").filter(|id| !id.is_empty()) {
                Some(id) => id.into_owned(),
                None => format!("call_{:016x}{}", self.name.0, self.name.1),
            };
            item.set("call_id", &*call_id);
        }
        if let Some(id) = other_id(kind, item) {
            item.set("id", &*id);
        }
        if !has_text(item, "status") {
            item.set("status", if self.stage == Stage::Added { "in_progress" } else { "completed" });
        }
    }

    /// Whether a call is what it has to be already, as that of a plain function mostly is: then it
    /// need not be opened.
    fn is_restored(&self, call: &FunctionCall, tool: Option<&ClientTool>) -> bool {
        let is_text =
            |member: &Option<Value>| member.as_ref().and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        let is_own = |tool: &ClientTool| {
            tool.kind() == ToolKind::Function
                && tool.namespace().is_none()
                && call.name.as_ref().is_some_and(|name| *name == *tool.name())
        };
        tool.is_none_or(is_own)
            && (self.told.is_none() || !is_blank(call.arguments.as_ref()))
            && !call.arguments.as_ref().is_some_and(Value::is_object)
            && [&call.call_id, &call.id, &call.status].into_iter().all(is_text)
    }

    /// Counts calls by names that the upstream was not given.
    fn count_name(&self, call: &FunctionCall) {
        if self.stage != Stage::Done || self.map.is_empty() {
            return;
        }
        let Some(name) = call.name.as_ref().and_then(Value::as_str) else { return };
        match self.map.resolve(&name) {
            Some((upstream_name, _)) if upstream_name == name => {}
            Some(_) => metrics::counter!("tower_responses_call_names_repaired_total").increment(1),
            None if call.has_namespace() => {}
            None => {
                metrics::counter!("tower_responses_unknown_calls_total").increment(1);
                tracing::debug!("the model called a tool that nobody declared");
            }
        }
    }

    fn count(&self, kind: &'static str) {
        if self.stage == Stage::Done {
            metrics::counter!("tower_responses_calls_restored_total", "kind" => kind).increment(1);
        }
    }
}

/// The members of a function call that are looked at, found in one pass.
struct FunctionCall {
    name: Option<Value>,
    namespace: Option<Value>,
    arguments: Option<Value>,
    call_id: Option<Value>,
    id: Option<Value>,
    status: Option<Value>,
}

impl FunctionCall {
    fn of(item: &Value) -> Self {
        let names = ["name", "namespace", "arguments", "call_id", "id", "status"];
        let [name, namespace, arguments, call_id, id, status] = item.members(names);
        Self { name, namespace, arguments, call_id, id, status }
    }

    fn has_namespace(&self) -> bool {
        self.namespace.as_ref().and_then(Value::as_str).is_some_and(|namespace| !namespace.is_empty())
    }

    /// The tool that is called, unless the upstream has said of which namespace it is.
    fn tool<'a>(&self, map: &'a ToolMap) -> Option<&'a ClientTool> {
        if self.has_namespace() {
            return None;
        }
        map.get(&self.name.as_ref()?.as_str()?)
    }
}

/// The tool that an item calls, unless the upstream has said of which namespace it is.
pub(crate) fn called_tool<'a>(map: &'a ToolMap, item: &Value) -> Option<&'a ClientTool> {
    FunctionCall::of(item).tool(map)
}

/// The id that an item of this kind has to have instead of its own: the prefix is the one that
/// clients know.
fn other_id(kind: ToolKind, item: &Object) -> Option<String> {
    let prefix = match kind {
        ToolKind::Custom => "ctc_",
        ToolKind::ToolSearch => "tsc_",
        _ => "fc_",
    };
    match item.get_str("id").filter(|id| !id.is_empty()) {
        None => Some(format!("{prefix}{}", item.get_str("call_id").unwrap_or_default())),
        Some(id) => id.strip_prefix("fc_").filter(|_| prefix != "fc_").map(|rest| format!("{prefix}{rest}")),
    }
}

/// The arguments of a `tool_search_call`: the object that `arguments` spells, or else a query
/// for what it says.
fn search_arguments(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return Value::from(Object::new());
    }
    match Value::parse(arguments.to_owned().into()) {
        Ok(object) if object.is_object() => object,
        _ => {
            let mut object = Object::new();
            object.set("query", unquote(arguments).as_deref().unwrap_or(arguments));
            object.into()
        }
    }
}

/// The arguments as text, in whichever way they stand in the item.
pub(crate) fn argument_text(arguments: &Value) -> Cow<'static, str> {
    if arguments.is_null() {
        return Cow::Borrowed("");
    }
    if arguments.is_string() {
        let text = arguments.text();
        let text = String::from_utf8_lossy(&text);
        // As text with a lone surrogate, which `as_str` has no way to give.
        return unquote(&text).unwrap_or_default().into();
    }
    String::from_utf8_lossy(&arguments.text()).into_owned().into()
}

/// Some servers give the arguments as an object. Codex drops such a call without a word.
fn arguments_to_text(item: &mut Object) {
    let text = item.get("arguments").filter(|arguments| arguments.is_object()).map(argument_text);
    if let Some(text) = text {
        item.set("arguments", &*text);
    }
}

pub(crate) fn is_blank(arguments: Option<&Value>) -> bool {
    arguments.is_none_or(|arguments| arguments.is_null() || &arguments.text()[..] == b"\"\"")
}

/// Gives the item the tool's own name. Says whether it had another.
fn name(item: &mut Object, tool: &ClientTool) -> bool {
    let renamed = item.get_str("name").is_none_or(|name| name != tool.name());
    if renamed {
        item.set("name", tool.name());
    }
    if let Some(namespace) = tool.namespace() {
        item.set("namespace", namespace);
    }
    renamed || tool.namespace().is_some()
}

fn is_incomplete(item: &Object) -> bool {
    item.get_str("status").is_some_and(|status| status == "incomplete")
}

fn has_text(item: &Object, name: &str) -> bool {
    item.get_str(name).is_some_and(|text| !text.is_empty())
}
