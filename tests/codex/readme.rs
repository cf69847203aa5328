//! What the README says of Codex, done as it stands there.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tokio::{net::TcpListener, process::Command, time::timeout};
use tower_responses::demo::{Item, Model, Turn, Upstream};

use crate::{
    codex::{LIMIT, installed},
    words::word,
};

/// The blocks in this language below "Codex in one minute".
fn blocks(language: &str) -> Vec<&'static str> {
    let text = include_str!("../../README.md");
    let section = text.split("\n## ").find(|section| section.starts_with("Codex in one minute")).unwrap();
    let begin = format!("```{language}\n");
    section.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A home where nobody has been, a clone, and both programs on the PATH.
struct Machine {
    folder: PathBuf,
    port: u16,
}

impl Machine {
    fn new(codex: &Path) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("readme-{}", word()));
        for name in ["home", "clone/.git", "bin"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_tower-responses"), folder.join("bin/tower-responses")).unwrap();
        symlink(codex, folder.join("bin/codex")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder, port }
    }

    fn config(&self) -> toml::Table {
        fs::read_to_string(self.folder.join("home/.codex/config.toml")).unwrap().parse().unwrap()
    }

    /// Runs these lines. The gateway that they leave behind ends with them.
    async fn run(&self, lines: &str) -> Output {
        let nowhere = "http://127.0.0.1:9";
        let path = env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash");
        bash.args(["-euc", lines]).current_dir(self.folder.join("clone")).env_clear();
        bash.env("PATH", format!("{}:{path}", self.folder.join("bin").display())).env("HOME", self.folder.join("home"));
        bash.env("TOWER_RESPONSES_LISTEN", format!("127.0.0.1:{}", self.port));
        bash.env("TOWER_RESPONSES_GATEWAY", format!("http://127.0.0.1:{}", self.port));
        bash.envs([("TERM", "dumb"), ("LANG", "C.UTF-8"), ("NO_PROXY", "127.0.0.1,localhost")]);
        bash.envs([("HTTP_PROXY", nowhere), ("HTTPS_PROXY", nowhere), ("ALL_PROXY", nowhere)]);
        bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = bash.spawn().unwrap();
        timeout(LIMIT, child.wait_with_output()).await.expect("it ends").unwrap()
    }
}

/// The README's lines on this machine: both programs are installed, the model server and the gateway
/// have ports of their own, and who types lets the gateway begin before going on.
fn lines(upstream: &str, port: u16) -> String {
    let mut lines = "trap 'kill $gateway' EXIT\n".to_owned();
    for line in blocks("sh").iter().flat_map(|block| block.lines()) {
        if line.starts_with("cargo install ") || line.starts_with("npm install ") {
            continue;
        }
        lines += &line.replace("http://127.0.0.1:8000", upstream);
        lines += "\n";
        if line.ends_with('&') {
            let listens = format!("(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null");
            lines += &format!("gateway=$!\nuntil {listens}; do kill -0 $gateway; sleep 0.1; done\n");
        }
    }
    lines
}

#[tokio::test]
async fn the_readme_works_in_a_fresh_home() {
    let Some(codex) = installed() else { return };
    let (model, first, second, third) = (word(), word(), word(), word());
    let turns = [&first, &second, &third].map(|text| Turn::new([Item::say(text)]));
    let upstream = Model::scripted(turns).named(&model);
    let upstream = Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), upstream).unwrap();
    let machine = Machine::new(&codex);
    let profile = "mv ~/.codex/config.toml ~/.codex/local.config.toml\ncodex --profile local exec hello\n\
                   mv ~/.codex/local.config.toml ~/.codex/config.toml\n";
    let output = machine.run(&(lines(&upstream.url(), machine.port) + profile)).await;
    let [printed, errors] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{printed}\n{errors}");
    for text in [&first, &second, &third] {
        assert!(printed.lines().any(|line| line == *text), "{text} is missing: {printed}\n{errors}");
    }
    assert!(!errors.contains("Model metadata"), "{errors}");
    let seen = upstream.seen();
    assert!(seen.len() == 3 && seen.iter().all(|exchange| exchange.request["model"] == *model), "{seen:?}");

    // The configuration is the one that stands there.
    let [shown] = blocks("toml")[..] else { panic!("one configuration") };
    let (mut shown, config) = (shown.parse::<toml::Table>().unwrap(), machine.config());
    let catalog = config["model_catalog_json"].as_str().unwrap();
    assert!(errors.contains(catalog), "{catalog}: {errors}");
    let below_home = shown["model_catalog_json"].as_str().unwrap().strip_prefix("/home/you").unwrap();
    assert!(catalog.ends_with(below_home), "{catalog}");
    for name in ["model", "model_catalog_json"] {
        shown[name] = config[name].clone();
    }
    let url = shown["model_providers"]["tower-responses"]["base_url"].as_str().unwrap();
    let url = url.replace("8080", &machine.port.to_string());
    shown["model_providers"]["tower-responses"]["base_url"] = url.into();
    assert_eq!(shown, config);
    fs::remove_dir_all(&machine.folder).unwrap();
}
