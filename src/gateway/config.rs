use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::cli::ServeArgs;
use crate::model_catalog::ModelSettings;

/// All that can be set, as it stands in the configuration file. Unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address and port; port 0 takes a free one.
    pub listen: Option<String>,
    /// URL of the store, or `none`.
    pub store: Option<String>,
    /// Seconds of silence before a sign of life; 0 is never.
    pub heartbeat: Option<f64>,
    /// `text` or `json`.
    pub log_format: Option<String>,
    /// Origins whose pages may ask, over HTTP and over WebSockets; `*` stands for all.
    pub cors: Vec<String>,
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
    /// PEM file of the authorities that may have signed its certificate. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// HTTP/2 from the start, also without TLS.
    pub http2: bool,
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
}

/// How long responses are kept.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Days after the last turn of a conversation. Default: 30.
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
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
        toml::from_str(&text).map_err(|error| ConfigError(format!("{}: {error}", path.display())))
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
        settings.limits.in_flight = args.max_in_flight.or(settings.limits.in_flight);
        settings.retention.finish_abandoned = args.finish_abandoned.or(settings.retention.finish_abandoned);
        settings.upstream.drop_authorization |= args.drop_authorization;
        if args.no_websocket {
            settings.websocket = Some(false);
        }
        if !args.cors.is_empty() {
            settings.cors.clone_from(&args.cors);
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
        Ok(settings)
    }

    /// The whole as TOML. Secrets are not in it: they are named by the variables that hold them,
    /// and what a store's URL says of a password is hidden.
    pub fn to_toml(&self) -> String {
        let mut shown = self.clone();
        shown.store = shown.store.map(|url| hide_password(&url));
        toml::to_string(&shown).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
    }

    /// The store's URL, or the default: SQLite in the platform's data directory.
    pub(super) fn store_url(&self) -> Result<String, ConfigError> {
        match &self.store {
            Some(url) => Ok(url.clone()),
            None => {
                let folder = data_directory();
                std::fs::create_dir_all(&folder).map_err(|error| {
                    ConfigError(format!(
                        "the data directory {} cannot be made: {error} (--store names another place)",
                        folder.display()
                    ))
                })?;
                Ok(format!("sqlite:{}", folder.join("responses.db").display()))
            }
        }
    }
}

/// What a URL shows of itself in logs.
pub(super) fn hide_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 < at => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

fn data_directory() -> PathBuf {
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
