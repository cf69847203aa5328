use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

/// What an answer needs of its request. What it does not need is not opened.
#[derive(Debug)]
pub struct Asked {
    pub stream: bool,
    /// Items in `input`.
    pub items: usize,
    /// Names of the functions among the tools.
    functions: Vec<String>,
    /// As vLLM echoes them.
    pub tools: String,
    members: HashMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

impl Asked {
    pub fn read(body: &[u8]) -> serde_json::Result<Self> {
        let mut members: HashMap<String, Box<RawValue>> = serde_json::from_slice(body)?;
        let stream = members.get("stream").is_some_and(|stream| stream.get() == "true");
        let tools: Vec<&RawValue> =
            members.get("tools").map_or(Ok(Vec::new()), |tools| serde_json::from_str(tools.get()))?;
        let mut functions = Vec::new();
        for tool in &tools {
            if let Tool { kind: "function", name: Some(name) } = serde_json::from_str(tool.get())? {
                functions.push(name.into_owned());
            }
        }
        let tools = format!("[{}]", tools.iter().map(|tool| echo(tool.get())).collect::<Vec<_>>().join(","));
        let items = members
            .remove("input")
            .map_or(0, |input| serde_json::from_str::<Vec<&RawValue>>(input.get()).map_or(1, |items| items.len()));
        Ok(Self { stream, items, functions, tools, members })
    }

    /// A member as it came, or what stands there without it.
    pub fn member<'a>(&'a self, key: &str, otherwise: &'a str) -> &'a str {
        self.members.get(key).map(|value| value.get()).filter(|value| *value != "null").unwrap_or(otherwise)
    }

    pub fn has_tools(&self) -> bool {
        self.tools != "[]"
    }

    /// The function whose name is this one or ends with it, else this name.
    pub fn function<'a>(&'a self, name: &'a str) -> &'a str {
        let ends = |function: &&String| {
            function.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with("__"))
        };
        self.functions.iter().find(ends).map_or(name, String::as_str)
    }
}

/// A tool with the members that vLLM adds.
fn echo(tool: &str) -> String {
    let open = tool.trim_end().strip_suffix('}').unwrap_or(tool);
    format!(r#"{open},"allowed_callers":null,"async":null,"defer_loading":null,"output_schema":null}}"#)
}
