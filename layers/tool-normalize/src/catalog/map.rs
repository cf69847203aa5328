//! What restoration has to know.

use tower_responses_core::{ToolKind, ToolMap, ToolMapBuilder};

use super::{Catalog, Tool};
use crate::names;

impl Catalog<'_> {
    /// All tools by their upstream names, with the ways in which models misspell these.
    pub(crate) fn map(&self) -> ToolMapBuilder {
        let mut map = ToolMap::builder();
        for tool in &self.tools {
            map.tool(&tool.name, tool.client.clone());
            alternates(tool, |name| {
                map.alternate(name, &tool.name);
            });
        }
        map
    }
}

/// Names that a model may use when it means `tool`: how servers that flatten differently spell
/// them, and how prompts do.
fn alternates(tool: &Tool, mut may_be: impl FnMut(&str)) {
    let name = tool.client.name();
    if tool.is_undeclared {
        return;
    }
    if let Some(readable) = names::readable_part(&tool.client, &tool.name) {
        may_be(readable);
    }
    match tool.client.namespace() {
        None => {
            if tool.client.kind() != ToolKind::ToolSearch {
                may_be(name);
            }
            for separator in [".", "/", "__"] {
                may_be(&format!("functions{separator}{name}"));
            }
        }
        Some(namespace) => {
            may_be(name);
            let mut names = vec![namespace];
            // `mcp__fs` is the server `fs`.
            names.extend(namespace.strip_prefix("mcp__").filter(|server| !server.is_empty()));
            for namespace in names {
                for separator in [".", "/", "__", ":", "_"] {
                    may_be(&format!("{namespace}{separator}{name}"));
                }
            }
            for separator in [".", "/"] {
                may_be(&format!("functions{separator}{}", tool.name));
                may_be(&format!("functions{separator}{namespace}{separator}{name}"));
            }
        }
    }
}
