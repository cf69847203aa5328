//! The program's commands, run as programs.
#![cfg(feature = "gateway")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "commands/check.rs"]
mod check;
#[path = "commands/codex.rs"]
mod codex;
#[path = "commands/refusals.rs"]
mod refusals;
#[path = "commands/serve.rs"]
mod serve;
mod support;
#[path = "commands/upstreams.rs"]
mod upstreams;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::Command;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-responses"));
    command.env_remove("CODEX_BIN").env_remove("CODEX_HOME").stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOWER_RESPONSES_")) {
        command.env_remove(name);
    }
    command
}

async fn run(command: &mut Command) -> (i32, String, String) {
    let output: Output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A folder for one test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::canonicalize(folder).unwrap()
}
