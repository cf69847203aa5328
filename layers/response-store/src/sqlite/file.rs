//! The files of a store: nobody else's, and still there.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::StoreError;

/// What SQLite makes beside the file of a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The path of a file beside the database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the file, if it is not there, so that only its owner can read it. Those that SQLite makes
/// beside it have the same mode.
pub(super) fn make(path: &Path) {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // A file that is there must not be opened here: to close it would end SQLite's locks on it. What
    // else is in the way SQLite will say.
    drop(options.open(path));
}

/// Takes from all others what earlier versions let them have.
pub(super) fn tighten(path: &Path) {
    for path in std::iter::once(path.to_owned()).chain(BESIDE.iter().map(|suffix| beside(path, suffix))) {
        match only_for_owner(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %path.display(), "others may be able to read what is stored");
            }
            _ => {}
        }
    }
}

#[cfg(unix)]
fn only_for_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(permissions.mode() & 0o7700);
        fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn only_for_owner(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Which file it is, whatever it is called. Where that cannot be told, any file is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        #[cfg(unix)]
        return Ok(Self(std::os::unix::fs::MetadataExt::dev(&file), std::os::unix::fs::MetadataExt::ino(&file)));
        #[cfg(not(unix))]
        return Ok(Self(0, u64::from(file.is_file())));
    }
}

/// Whether the files are those that were opened: what is written into a file that was removed is
/// lost with the process, though every write succeeds.
#[derive(Debug)]
pub(super) struct Presence {
    path: PathBuf,
    database: Option<Identity>,
    is_gone: AtomicBool,
}

impl Presence {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), database: Identity::of(path).ok(), is_gone: AtomicBool::new(false) }
    }

    /// Looks again, and says what has changed. `log` is the log as it was found last.
    pub(super) fn look(&self, log: &mut Log) {
        let is_gone = Identity::of(&self.path).ok() != self.database || log.is_gone(&self.path);
        if self.is_gone.swap(is_gone, Ordering::Relaxed) == is_gone {
            return;
        }
        let path = self.path.display();
        if is_gone {
            tracing::error!(%path, "the database was removed or replaced: nothing is stored until it is back");
        } else {
            tracing::info!(%path, "the database is back");
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Refuses to go on without the file.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_gone() {
            let path = self.path.display();
            return Err(StoreError::unavailable(format!("the database {path} was removed or replaced")));
        }
        Ok(())
    }
}

/// The log beside the file. SQLite makes it with the first write, and removes it with the last
/// connection: it does not go before.
#[derive(Debug, Default)]
pub(super) struct Log(Option<Identity>);

impl Log {
    fn is_gone(&mut self, path: &Path) -> bool {
        let found = Identity::of(&beside(path, "-wal")).ok();
        match self.0 {
            None => {
                self.0 = found;
                false
            }
            known => found != known,
        }
    }
}

#[cfg(test)]
mod tests;
