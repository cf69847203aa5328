//! The folder that Codex takes for its home.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::Serialize;

pub(super) const CONFIG: &str = "config.toml";
pub(super) const CATALOG: &str = "catalog.json";

/// What is written for Codex.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) provider: String,
    pub(super) base_url: String,
    pub(super) model: String,
    pub(super) api_key_env: Option<String>,
    pub(super) websocket: bool,
    pub(super) catalog: Bytes,
}

/// Where it was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) folder: PathBuf,
    pub(super) config: PathBuf,
    pub(super) catalog: PathBuf,
}

#[derive(Serialize)]
struct Config<'a> {
    model: &'a str,
    model_provider: &'a str,
    model_catalog_json: &'a str,
    model_providers: toml::Table,
}

#[derive(Serialize)]
struct Provider<'a> {
    name: &'a str,
    base_url: &'a str,
    wire_api: &'a str,
    requires_openai_auth: bool,
    supports_websockets: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    env_key: Option<&'a str>,
}

/// In a home of its own Codex leaves alone what needs an account at OpenAI, and tells nobody.
const OWN_HOME: &str = "\n[analytics]\nenabled = false\n\n[features]\napps = false\nplugins = false\n";

impl Home {
    /// The part of `config.toml` that is about the gateway.
    pub(super) fn config(&self, catalog: &Path) -> String {
        let provider = Provider {
            name: &self.provider,
            base_url: &self.base_url,
            wire_api: "responses",
            requires_openai_auth: false,
            supports_websockets: self.websocket,
            env_key: self.api_key_env.as_deref(),
        };
        let config = Config {
            model: &self.model,
            model_provider: &self.provider,
            model_catalog_json: &catalog.to_string_lossy(),
            model_providers: toml::Table::try_from(provider)
                .map(|provider| toml::Table::from_iter([(self.provider.clone(), provider.into())]))
                .unwrap_or_default(),
        };
        toml::to_string(&config).unwrap_or_default()
    }

    /// Writes both files into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// Where that fails, and where another's configuration stands there: it is not replaced.
    pub(super) fn write(&self, folder: &Path) -> io::Result<Written> {
        let folder = make(folder)?;
        let config = folder.join(CONFIG);
        if !is_ours(&config).map_err(|error| at(&config, &error))? {
            let message =
                format!("{} was not written by this program: choose another folder with --out", config.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        let catalog = self.write_catalog(&folder)?;
        let updates = "check_for_update_on_startup = false\n";
        let text = format!("{MARK}\n{updates}{}{OWN_HOME}", self.config(&catalog));
        fs::write(&config, text).map_err(|error| at(&config, &error))?;
        Ok(Written { folder, config, catalog })
    }

    /// Writes the catalog into `folder`, which is made if it is not there. Says where it is.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn write_catalog(&self, folder: &Path) -> io::Result<PathBuf> {
        let catalog = make(folder)?.join(CATALOG);
        fs::write(&catalog, &self.catalog).map_err(|error| at(&catalog, &error))?;
        Ok(catalog)
    }
}

/// Makes the folder, and says where it is for whoever works elsewhere.
fn make(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder).and_then(|()| fs::canonicalize(folder)).map_err(|error| at(folder, &error))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

const MARK: &str = "# Written by `tower-responses codex`, which replaces this file.";

/// Whether the file is one that we wrote, or is not there.
fn is_ours(config: &Path) -> io::Result<bool> {
    match fs::read(config) {
        Ok(text) => Ok(text.starts_with(MARK.as_bytes())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// The path as one word of a shell line.
pub(super) fn shell_word(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
        return path.into_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}
