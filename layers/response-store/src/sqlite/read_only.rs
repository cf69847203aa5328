//! Opening a file that is only to be read.

use std::{error::Error, fs, path::Path};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::{
    file,
    schema::{self, NEWEST, cannot_be_opened, connect, is_there, set_up},
};
use crate::{StoreError, StoreErrorKind};

/// Opens the file for reading what is stored.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    is_there(path)?;
    let connection = match open_beside_others(path) {
        Ok(None) => open_alone(path),
        Ok(Some(connection)) => Ok(connection),
        Err(error) if is_write_protected(&error) => open_alone(path),
        Err(error) => Err(error),
    };
    let opened = connection.and_then(|connection| Ok((schema::version(&connection)?, connection)));
    let (version, connection) = opened.map_err(|error| cannot_be_opened(path, error))?;
    let refuse = |words: String| Err(StoreError::new(StoreErrorKind::Configuration, words));
    let path = path.display();
    match version {
        NEWEST => Ok(connection),
        0 => refuse(format!("there is no store in {path}")),
        older => refuse(format!(
            "the store {path} has version {older}: once `serve` has opened it, it has version {NEWEST} and can be read"
        )),
    }
}

/// Shares the file with whoever else has it open, which needs what SQLite keeps beside it. `None` if
/// nobody has, and what was made beside it would be left there: only who may write removes it.
fn open_beside_others(path: &Path) -> Result<Option<Connection>, StoreError> {
    // Where only reading is allowed, SQLite only reads.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    if connection.is_readonly(MAIN_DB)? && !file::beside(path, "-wal").exists() {
        return Ok(None);
    }
    set_up(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    schema::version(&connection)?;
    Ok(Some(connection))
}

/// Whether nothing could be written beside the file.
fn is_write_protected(error: &StoreError) -> bool {
    let code = error.source().and_then(|error| error.downcast_ref::<rusqlite::Error>()?.sqlite_error_code());
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// Reads the file as nobody else has it open, which needs nothing beside it.
fn open_alone(path: &Path) -> Result<Connection, StoreError> {
    let log = file::beside(path, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(StoreError::new(
            StoreErrorKind::Configuration,
            format!(
                "the store {} cannot be read where nothing may be written: not all of it is in the file. \
                 Copy it to another folder together with {}",
                path.display(),
                log.display()
            ),
        ));
    }
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let uri = format!("file:{}?immutable=1", escaped(path.as_os_str().as_encoded_bytes()));
    connect(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

/// The path as it stands in a URI.
fn escaped(path: &[u8]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let escape = |byte: &u8| if is_plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    path.iter().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_path_can_stand_in_a_uri() {
        assert_eq!(escaped("/a b/é?x#%.db".as_bytes()), "/a%20b/%C3%A9%3Fx%23%25.db");
    }
}
