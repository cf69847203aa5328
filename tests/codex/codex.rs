use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{net::TcpListener, process::Command, time::timeout};
use tower_responses::demo::{Model, Turn, Upstream};

use crate::{
    config::{Config, entry},
    run::Run,
    support::Gateway,
    words::word,
};

/// The longest that a run may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// A run of Codex, to be described and started.
#[derive(Debug)]
pub(crate) struct Codex {
    config: Config,
    served: String,
    gateway: Option<Vec<String>>,
    set_up_by_gateway: bool,
}

impl Codex {
    /// With a model that the upstream serves and that Codex does not know.
    pub(crate) fn new() -> Self {
        let model = word();
        Self {
            config: Config { model: model.clone(), ..Config::default() },
            served: model,
            gateway: Some(Vec::new()),
            set_up_by_gateway: false,
        }
    }

    /// With a catalog that says this of the model.
    pub(crate) fn knows(mut self, more: Value) -> Self {
        self.config.catalog = vec![entry(&self.config.model, more)];
        self
    }

    /// With an MCP server.
    pub(crate) fn server(mut self, name: &str, tools: &[&str]) -> Self {
        self.config.servers.push((name.to_owned(), tools.iter().map(|&tool| tool.to_owned()).collect()));
        self
    }

    /// Another line at the top of the configuration.
    pub(crate) fn config(mut self, line: &str) -> Self {
        self.config.top.push(line.to_owned());
        self
    }

    /// Another line for the provider.
    pub(crate) fn provider(mut self, line: &str) -> Self {
        self.config.provider.push(line.to_owned());
        self
    }

    /// More arguments for the gateway.
    pub(crate) fn gateway(mut self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        self.gateway.get_or_insert_default().extend(arguments);
        self
    }

    /// The upstream serves the model under another name.
    pub(crate) fn alias(mut self) -> Self {
        self.served = word();
        let alias = format!("{}={}", self.config.model, self.served);
        self.gateway(&["--alias", &alias])
    }

    /// A model of this name, on both sides.
    pub(crate) fn asks_for(mut self, model: &str) -> Self {
        self.config.model = model.to_owned();
        self.served = model.to_owned();
        self
    }

    /// With the configuration and the catalog that `tower-responses codex` writes.
    pub(crate) fn set_up_by_gateway(mut self) -> Self {
        self.set_up_by_gateway = true;
        self
    }

    /// Codex talks to the upstream itself.
    pub(crate) fn without_gateway(mut self) -> Self {
        self.gateway = None;
        self
    }

    /// Runs Codex on an upstream that gives these answers. `None` if there is no Codex.
    pub(crate) async fn run(self, turns: impl IntoIterator<Item = Turn>) -> Option<Run> {
        let turns: Vec<_> = turns.into_iter().collect();
        let count = turns.len();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Upstream::start(listener, Model::scripted(turns).named(&self.served)).unwrap();
        let mut run = self.run_on(&upstream.url()).await?;
        run.exchanges = upstream.seen();
        run.turns = count;
        Some(run)
    }

    /// Runs Codex on this upstream. `None` if there is no Codex.
    pub(crate) async fn run_on(self, upstream: &str) -> Option<Run> {
        let codex = installed()?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("codex-{}", word()));
        let (home, cwd) = (folder.join("home"), folder.join("cwd"));
        for path in [&home, &cwd] {
            fs::create_dir_all(path).unwrap();
        }
        let mut gateway = self.gateway.as_ref().map(|arguments| {
            let store = format!("sqlite:{}", folder.join("responses.db").display());
            let arguments = arguments.iter().map(String::as_str);
            let all: Vec<_> = ["--upstream", upstream, "--store", &store].into_iter().chain(arguments).collect();
            Gateway::start_with(&all, &[("RUST_LOG", "error")])
        });
        let url = gateway.as_ref().map_or_else(|| upstream.to_owned(), |gateway| gateway.url.clone());
        let more = if self.set_up_by_gateway {
            set_up(&url, &self.config.model, &home).await;
            self.config.servers_as_arguments()
        } else {
            self.config.write(&home, &format!("{url}/v1"));
            Vec::new()
        };

        let last = folder.join("last_message.txt");
        let child = command(&codex, &home, &cwd, &last).args(more).spawn().unwrap();
        let output = timeout(LIMIT, child.wait_with_output()).await;
        let output =
            output.unwrap_or_else(|_| panic!("Codex did not end within {LIMIT:?}; see {}", folder.display())).unwrap();
        let ended = gateway.as_mut().and_then(|gateway| gateway.wait(Duration::from_millis(1)));
        assert_eq!(ended, None, "the gateway ended during the run");
        let printed = [output.stdout, output.stderr].concat();
        Some(Run {
            cwd,
            printed: String::from_utf8_lossy(&printed).into_owned(),
            succeeded: output.status.success(),
            last_message: fs::read_to_string(last).unwrap_or_default(),
            exchanges: Vec::new(),
            turns: 0,
            served: self.served,
            folder,
        })
    }
}

/// Runs `tower-responses codex`.
async fn set_up(gateway: &str, model: &str, home: &Path) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tower-responses"));
    program.args(["codex", "--gateway", gateway, "--model", model, "--out"]).arg(home);
    let output = program.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `codex exec` with nothing of its surroundings but the PATH.
fn command(codex: &Path, home: &Path, cwd: &Path, last: &Path) -> Command {
    let nowhere = "http://127.0.0.1:9";
    let mut command = Command::new(codex);
    command
        .args(["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-o"])
        .args([last, Path::new("Go on.")])
        .current_dir(cwd)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .envs([("HOME", home), ("CODEX_HOME", home), ("TMPDIR", cwd.parent().unwrap_or(cwd))])
        .envs([("TERM", "dumb"), ("LANG", "C.UTF-8"), ("RUST_LOG", "error"), ("NO_PROXY", "127.0.0.1,localhost")])
        .envs([("HTTP_PROXY", nowhere), ("HTTPS_PROXY", nowhere), ("ALL_PROXY", nowhere)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Where Codex is: what `CODEX_BIN` names, or what was installed. Says so if it is nowhere.
pub(crate) fn installed() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let codex = set("CODEX_BIN").map(PathBuf::from).or_else(in_cache).filter(|path| path.exists());
    if codex.is_none() {
        let required = set("CI").is_some() || set("TOWER_RESPONSES_REAL_CLIENTS").is_some();
        assert!(!required, "Codex is not installed: run tests/codex/setup.sh, or set CODEX_BIN");
        // Not with `eprintln!`, which the test runner keeps for itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: Codex is not installed (tests/codex/setup.sh)");
    }
    codex
}

/// What `tests/codex/setup.sh` has installed: it knows the version.
fn in_cache() -> Option<PathBuf> {
    let mut setup = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/codex/setup.sh"));
    let output = setup.env("TOWER_RESPONSES_INSTALL", "0").env_remove("CODEX_BIN").output().ok()?;
    let path = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(PathBuf::from(path.trim_end()))
}
