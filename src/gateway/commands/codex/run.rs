//! Codex, run with a home of its own.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus},
};

use super::home::Home;
use crate::BoxError;

/// Runs Codex with `arguments` and gives its exit code on.
pub(super) async fn run(home: &Home, out: Option<PathBuf>, arguments: &[OsString]) -> Result<ExitCode, BoxError> {
    let folder = match out {
        Some(folder) => Folder { path: folder, passing: false },
        None => Folder { path: passing()?, passing: true },
    };
    let written = home.write(&folder.path)?;
    let program = env::var_os("CODEX_BIN").filter(|program| !program.is_empty()).unwrap_or_else(|| "codex".into());
    let mut command = Command::new(&program);
    command.args(arguments).env("CODEX_HOME", &written.folder);
    // Ctrl-C reaches Codex too, which ends by itself; the folder is removed after it.
    let _interrupts = tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let status = tokio::task::spawn_blocking(move || command.status()).await?;
    let status = status.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no program '{}': install Codex, or name it with CODEX_BIN", program.to_string_lossy())
        }
        _ => format!("'{}' could not be run: {error}", program.to_string_lossy()),
    })?;
    Ok(exit_code(status))
}

/// Codex does not put its helpers into a home below the system's temporary folder, so this is in
/// the user's cache where there is one.
fn passing() -> io::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).unwrap_or_else(env::temp_dir);
    let base = cache.join("tower-responses");
    fs::create_dir_all(&base)?;
    let path = base.join(format!("codex-{:016x}", rand::random::<u64>()));
    make_private(&path)?;
    Ok(path)
}

/// What Codex keeps in its home is for nobody else's eyes.
#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// A folder, removed at the end if nobody asked for it.
struct Folder {
    path: PathBuf,
    passing: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.passing
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            eprintln!("note: {} could not be removed: {error}", self.path.display());
        }
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    }
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
