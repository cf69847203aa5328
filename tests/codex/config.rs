use std::path::Path;

use serde_json::{Value, json};

/// What `config.toml` says beside what every run needs.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) model: String,
    /// The entries of the catalog. Without one Codex does not know the model.
    pub(crate) catalog: Vec<Value>,
    /// Names of MCP servers, and of their tools.
    pub(crate) servers: Vec<(String, Vec<String>)>,
    /// Lines at the top, and in the section of the provider.
    pub(crate) top: Vec<String>,
    pub(crate) provider: Vec<String>,
}

/// The smallest entry of a catalog that Codex takes, and more members.
pub(crate) fn entry(model: &str, more: Value) -> Value {
    let mut entry = json!({
        "slug": model, "display_name": model, "supported_reasoning_levels": [], "shell_type": "unified_exec",
        "visibility": "list", "supported_in_api": true, "priority": 1, "support_verbosity": false,
        "truncation_policy": {"mode": "tokens", "limit": 10000}, "experimental_supported_tools": [],
        "base_instructions": "You are a coding agent.",
    });
    if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
        entry.extend(more);
    }
    entry
}

impl Config {
    /// Writes `config.toml`, and the catalog, into Codex's home.
    pub(crate) fn write(&self, home: &Path, base_url: &str) {
        let quoted = |text: &str| json!(text).to_string();
        let mut lines = vec![
            format!("model = {}", quoted(&self.model)),
            "model_provider = \"gateway\"".to_owned(),
            "check_for_update_on_startup = false".to_owned(),
        ];
        lines.extend(self.top.iter().cloned());
        lines.extend(self.servers().map(|(name, server)| format!("{name} = {server}")));
        if !self.catalog.is_empty() {
            let path = home.join("catalog.json");
            std::fs::write(&path, json!({"models": self.catalog}).to_string()).unwrap();
            lines.push(format!("model_catalog_json = {}", quoted(path.to_str().unwrap())));
        }
        lines.extend(["analytics.enabled", "features.plugins", "features.apps"].map(|name| format!("{name} = false")));
        lines.extend([
            "[model_providers.gateway]".to_owned(),
            "name = \"Gateway\"".to_owned(),
            format!("base_url = {}", quoted(base_url)),
            "wire_api = \"responses\"".to_owned(),
            "request_max_retries = 1".to_owned(),
            "stream_max_retries = 1".to_owned(),
        ]);
        lines.extend(self.provider.iter().cloned());
        std::fs::write(home.join("config.toml"), lines.join("\n")).unwrap();
    }

    /// The servers for the command line of Codex.
    pub(crate) fn servers_as_arguments(&self) -> Vec<String> {
        self.servers().flat_map(|(name, server)| ["-c".to_owned(), format!("{name}={server}")]).collect()
    }

    /// Keys and inline tables.
    fn servers(&self) -> impl Iterator<Item = (String, String)> {
        self.servers.iter().map(|(server, tools)| {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/codex/mcp_server.mjs");
            let args: Vec<_> = [script].into_iter().chain(tools.iter().map(String::as_str)).collect();
            (format!("mcp_servers.{server}"), format!("{{ command = \"node\", args = {} }}", json!(args)))
        })
    }
}
