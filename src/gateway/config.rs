mod check;
pub(super) mod suggestion;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::cli::ServeArgs;
use crate::{model_catalog::ModelSettings, shown};

/// All that can be set, as it stands in the configuration file. Unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address and port; port 0 takes a free one.
    pub listen: Option<String>,
    /// Address and port of a listener of their own for `/ready` and `/metrics`.
    pub admin_listen: Option<String>,
    /// URL of the store, or `none`.
    pub store: Option<String>,
    /// Seconds of silence before a sign of life; 0 is never.
    pub heartbeat: Option<f64>,
    /// `text` or `json`.
    pub log_format: Option<String>,
    /// Origins whose pages may ask, over HTTP and over WebSockets; `*` stands for all.
    pub cors: Vec<String>,
    /// Hosts that requests may be for beside loopback and the address where it listens; `*` is any.
    /// Looked at where it listens on loopback without keys, and where some are named.
    pub allowed_hosts: Vec<String>,
    /// Whether `GET /v1/responses` is a WebSocket.
    pub websocket: Option<bool>,
    /// The model of requests that name none.
    pub default_model: Option<String>,
    /// The upstream of all models that no other upstream serves.
    pub upstream: UpstreamSettings,
    /// Further upstreams, each with the models it serves.
    pub upstreams: BTreeMap<String, UpstreamSettings>,
    /// Other names for models.
    pub aliases: BTreeMap<String, String>,
    /// What the catalog says of models; `*` is for those that are not named.
    pub models: BTreeMap<String, ModelSettings>,
    /// Keys that clients have to show.
    pub api_keys: Vec<ApiKeySettings>,
    /// What becomes of tools that no upstream executes.
    pub tools: ToolSettings,
    /// Bounds.
    pub limits: LimitSettings,
    /// How long responses are kept, and what is kept in memory.
    pub retention: RetentionSettings,
}

/// One upstream.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamSettings {
    /// With or without `/v1`.
    pub url: Option<String>,
    /// Environment variable that holds its key.
    pub api_key_env: Option<String>,
    /// Never show it the client's credential.
    pub drop_authorization: bool,
    /// `vllm`, `generic` or `none`.
    pub profile: Option<String>,
    /// Fixes that are on beside those of the profile, by name.
    pub fixes_on: Vec<String>,
    /// Fixes of the profile that are off.
    pub fixes_off: Vec<String>,
    /// The models it serves, by the names it knows them by (only for further upstreams).
    pub models: Vec<String>,
    /// Paths that are passed on beside the routes of the API: `/one` for itself, `/one/*` for all
    /// below it.
    pub paths: Vec<String>,
    /// PEM file of the authorities that may have signed its certificate. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// HTTP/2 from the start, also without TLS.
    pub http2: bool,
    /// Whether a request is sent once more where the kept connection that it was sent over ended
    /// without a byte of an answer. Default: true.
    pub retry_dead_connections: Option<bool>,
    /// Seconds for a connection to be made; 0 is for ever. Default: 5.
    pub connect_timeout: Option<f64>,
    /// Seconds for the first byte of an answer; 0 is for ever. Default: 600.
    pub first_byte_timeout: Option<f64>,
    /// Seconds between two pieces of an answer; 0 is for ever. Default: 300.
    pub idle_timeout: Option<f64>,
    /// Seconds for an answer to its end, of a stream too; 0 is for ever, and the default.
    pub total_timeout: Option<f64>,
}

/// A key that clients may show.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySettings {
    /// Environment variable that holds it.
    pub env: String,
    /// Whose it is. Keys of one owner share their stored responses; so an owner can change the key.
    #[serde(default)]
    pub owner: Option<String>,
}

/// What becomes of tools that no upstream executes: `drop`, `pass` or `reject`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolSettings {
    /// By the type of the tool, such as `web_search`; `unknown` is for types that are not known.
    pub policies: BTreeMap<String, String>,
    /// `as-declared`, or `force` to hold models to the schema of every tool where that is possible.
    pub strict: Option<String>,
}

/// Bounds of what is taken and held.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Bytes of a request, after decompression. Default: 64 MiB.
    pub request_bytes: Option<usize>,
    /// Bytes of all requests that are held at once; the first 16 KiB of each do not count. Default:
    /// 16 times `request_bytes`.
    pub total_request_bytes: Option<usize>,
    /// Bytes of a JSON response and of one event. Default: 64 MiB.
    pub response_bytes: Option<usize>,
    /// Requests at the upstream at once. Default: no bound.
    pub in_flight: Option<usize>,
    /// Requests that wait for a place. Default: as many as may be in flight.
    pub queue: Option<usize>,
    /// Seconds after which an idle WebSocket ends. Default: 600.
    pub websocket_idle: Option<f64>,
    /// WebSocket connections. Default: 10,000.
    pub websocket_connections: Option<usize>,
    /// Connections of all kinds, and requests over HTTP/2. Default: 10,000, or what half of the files that may be open allow.
    pub connections: Option<usize>,
    /// Seconds for the head of a request to arrive, and between two requests of a connection; 0 is
    /// for ever, here and below. Default: 30.
    pub header_timeout: Option<f64>,
    /// Seconds between two pieces of a request's body. Default: 30.
    pub body_idle_timeout: Option<f64>,
    /// Seconds that are waited for a request's body in all. Default: 300.
    pub body_total_timeout: Option<f64>,
    /// Seconds for a client to take the next piece of an answer. Default: 60.
    pub write_timeout: Option<f64>,
}

/// How long responses are kept.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Days after the last turn of a conversation; 0 is for ever. Default: 30.
    pub days: Option<f64>,
    /// Bytes of hot conversations in memory. Default: 64 MiB.
    pub cache_bytes: Option<usize>,
    /// How many responses at once are finished and kept after their clients have left. Default: 0,
    /// which cancels them at the upstream and keeps nothing.
    pub finish_abandoned: Option<usize>,
}

/// What is wrong with a configuration.
#[derive(Debug)]
pub struct ConfigError(String);

impl ConfigError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Settings {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// Where it cannot be read, is no TOML, or has a key that is not known: the line is named.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("the configuration {} cannot be read: {error}", path.display())))?;
        toml::from_str(&text).map_err(|error| {
            let meant = suggestion::in_error(error.message());
            let meant = meant.map_or_else(String::new, |name| format!("\ndid you mean `{name}`?"));
            ConfigError(format!("{}: {}{meant}", path.display(), reason(&text, &error)))
        })
    }

    /// The file that the flags name, with what the flags and the environment say over it.
    pub(super) fn from_args(args: &ServeArgs) -> Result<Self, ConfigError> {
        let mut settings = args.config.as_deref().map(Self::from_file).transpose()?.unwrap_or_default();
        let over = |setting: &mut Option<String>, flag: &Option<String>| {
            if flag.is_some() {
                setting.clone_from(flag);
            }
        };
        over(&mut settings.listen, &args.listen);
        over(&mut settings.admin_listen, &args.admin_listen);
        over(&mut settings.store, &args.store);
        over(&mut settings.log_format, &args.log_format);
        over(&mut settings.default_model, &args.default_model);
        over(&mut settings.upstream.url, &args.upstream);
        over(&mut settings.upstream.api_key_env, &args.upstream_api_key_env);
        over(&mut settings.upstream.profile, &args.profile);
        if args.upstream_ca_file.is_some() {
            settings.upstream.ca_file.clone_from(&args.upstream_ca_file);
        }
        settings.heartbeat = args.heartbeat.or(settings.heartbeat);
        settings.limits.connections = args.max_connections.or(settings.limits.connections);
        settings.limits.in_flight = args.max_in_flight.or(settings.limits.in_flight);
        settings.retention.finish_abandoned = args.finish_abandoned.or(settings.retention.finish_abandoned);
        settings.upstream.drop_authorization |= args.drop_authorization;
        if args.no_websocket {
            settings.websocket = Some(false);
        }
        if !args.cors.is_empty() {
            settings.cors.clone_from(&args.cors);
        }
        if !args.allowed_hosts.is_empty() {
            settings.allowed_hosts.clone_from(&args.allowed_hosts);
        }
        for alias in &args.aliases {
            let (name, target) = alias
                .split_once('=')
                .filter(|(name, target)| !name.is_empty() && !target.is_empty())
                .ok_or_else(|| ConfigError(format!("--alias {alias}: it has to be NAME=TARGET")))?;
            settings.aliases.insert(name.to_owned(), target.to_owned());
        }
        if !args.api_key_env.is_empty() {
            settings.api_keys =
                args.api_key_env.iter().map(|env| ApiKeySettings { env: env.clone(), owner: None }).collect();
        }
        settings.check()?;
        Ok(settings)
    }

    /// The whole as TOML. Secrets are not in it: they are named by the variables that hold them,
    /// and what URLs have of them is hidden.
    pub fn to_toml(&self) -> String {
        let mut shown = self.clone();
        let upstreams = shown.upstreams.values_mut().chain([&mut shown.upstream]);
        for url in upstreams.filter_map(|upstream| upstream.url.as_mut()).chain(shown.store.as_mut()) {
            *url = shown::url(url);
        }
        toml::to_string(&shown).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
    }

    /// The store's URL, or the default: SQLite in the platform's data directory.
    pub(super) fn store_url(&self) -> Result<String, ConfigError> {
        match &self.store {
            Some(url) => Ok(url.clone()),
            None => {
                let folder = data_directory();
                private_folder().create(&folder).map_err(|error| {
                    ConfigError(format!(
                        "the data directory {} cannot be made: {error} (--store names another place)",
                        folder.display()
                    ))
                })?;
                Ok(default_store())
            }
        }
    }
}

/// Returns where a file is wrong and why, without the text that stands there: it may be a secret.
fn reason(text: &str, error: &toml::de::Error) -> String {
    let said = error.message();
    let said = match (said.find('"'), said.rfind('"')) {
        (Some(start), Some(end)) if start < end => format!("{}…{}", &said[..=start], &said[end..]),
        _ => said.to_owned(),
    };
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => {
            let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
            format!("line {}, column {column}: {said}", before.matches('\n').count() + 1)
        }
        None => said,
    }
}

/// Makes folders that nobody else can look into.
fn private_folder() -> std::fs::DirBuilder {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// SQLite in the platform's data directory.
pub(super) fn default_store() -> String {
    format!("sqlite:{}", data_directory().join("responses.db").display())
}

/// Where this program keeps what is its own.
pub(super) fn data_directory() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").unwrap_or_default();
    let base = if cfg!(target_os = "macos") {
        home().join("Library/Application Support")
    } else if cfg!(windows) {
        variable("LOCALAPPDATA").unwrap_or_else(home)
    } else {
        variable("XDG_DATA_HOME").unwrap_or_else(|| home().join(".local/share"))
    };
    base.join("tower-responses")
}

#[cfg(test)]
mod tests;
