//! What restoration has to know.

use tower_responses_core::{ClientTool, ToolMap, ToolMapBuilder};

use super::Catalog;
use crate::names;

impl Catalog {
    /// All tools by their upstream names, with the ways in which models misspell these.
    pub(crate) fn map(&self) -> ToolMapBuilder {
        let mut map = ToolMap::builder();
        map.reserve(self.tools.len());
        for tool in &self.tools {
            match tool.stands_for {
                Some(meant) => map.alternate(&tool.name, &self.tools[meant].name),
                None => map.tool(tool.name.clone(), tool.client.clone()),
            };
        }
        map.alternates_by(alternates);
        map
    }
}

/// Names that a model may use when it means `tool`: as servers that flatten differently spell
/// them, as prompts do, and without the hash.
fn alternates(upstream: &str, tool: &ClientTool, also: &mut dyn FnMut(&str)) {
    let mut spelled = String::new();
    let mut also = |parts: &[&str]| {
        spelled.clear();
        parts.iter().for_each(|part| spelled.push_str(part));
        if spelled != upstream {
            also(&spelled);
        }
    };
    let name = tool.name();
    also(&[name]);
    if let Some(readable) = names::readable_part(tool, upstream) {
        also(&[readable]);
    }
    for separator in [".", "/", "__"] {
        also(&["functions", separator, upstream]);
    }
    let Some(namespace) = tool.namespace() else {
        return [".", "/", "__"].iter().for_each(|separator| also(&["functions", separator, name]));
    };
    // `mcp__fs` is the server `fs`.
    let server = namespace.strip_prefix("mcp__").filter(|server| !server.is_empty());
    for namespace in [Some(namespace), server].into_iter().flatten() {
        for separator in [".", "/", ":", "__", "_"] {
            also(&[namespace, separator, name]);
        }
        also(&["functions.", namespace, ".", name]);
    }
}
