//! The tables, and how they came to be.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Synchronous, file};
use crate::{Access, StoreError, StoreErrorKind};

/// `TRrs`: what `file` and other programs know the format by.
const APPLICATION: i32 = 0x5452_7273;

/// Each brings a file from the version of its place to the next. They are never changed, only
/// added to.
const MIGRATIONS: [&str; 2] = [
    // Conversations are known by the bits in their ids, turns by number: what continues is found
    // in the order in which it was written. `shared` is four bytes per text, big endian.
    "CREATE TABLE conversation (
         id INTEGER PRIMARY KEY,
         owner TEXT NOT NULL,
         last INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE turn (
         key INTEGER PRIMARY KEY,
         conversation INTEGER NOT NULL,
         own BLOB NOT NULL,
         previous INTEGER,
         deleted INTEGER NOT NULL,
         shared BLOB NOT NULL,
         body BLOB NOT NULL
     ) STRICT;
     CREATE UNIQUE INDEX turn_id ON turn (conversation, own);
     CREATE TABLE shared (
         key INTEGER PRIMARY KEY,
         digest BLOB NOT NULL UNIQUE,
         used INTEGER NOT NULL,
         text BLOB NOT NULL
     ) STRICT;
     CREATE TABLE item (
         item BLOB NOT NULL,
         turn INTEGER NOT NULL,
         PRIMARY KEY (item, turn)
     ) STRICT, WITHOUT ROWID;",
    // A large part of a body, written before the rest is known: it stands in the body at `place`.
    "CREATE TABLE part (
         key INTEGER PRIMARY KEY,
         day INTEGER NOT NULL,
         place INTEGER NOT NULL,
         text BLOB NOT NULL
     ) STRICT;
     ALTER TABLE turn ADD COLUMN part INTEGER;
     CREATE INDEX turn_part ON turn (part) WHERE part IS NOT NULL;
     CREATE TRIGGER turn_removed AFTER DELETE ON turn WHEN old.part IS NOT NULL
     BEGIN DELETE FROM part WHERE key = old.part; END;",
];

/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the file for writing, made or migrated if need be.
pub(super) fn open(path: &Path, synchronous: Synchronous, access: Access) -> Result<Connection, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    if access == Access::Create {
        is_path(path)?;
        file::make(path);
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    } else {
        is_there(path)?;
    }
    let open = || -> Result<Connection, StoreError> {
        let mut connection = connect(path, flags)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let level = match synchronous {
            Synchronous::Normal => "NORMAL",
            Synchronous::Full => "FULL",
        };
        connection.pragma_update(None, "synchronous", level)?;
        // The log is written back by a thread that no turn waits for.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        migrate(&mut connection)?;
        Ok(connection)
    };
    open().map_err(|error| cannot_be_opened(path, error))
}

fn refuse(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Configuration, message)
}

fn is_path(path: &Path) -> Result<(), StoreError> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(refuse("an SQLite store needs the path of a file".to_owned()));
    }
    Ok(())
}

/// Refuses a file that is not there, which would be made.
pub(super) fn is_there(path: &Path) -> Result<(), StoreError> {
    is_path(path)?;
    match path.try_exists() {
        Ok(false) => Err(refuse(format!("there is no database at {}", path.display()))),
        // What is in the way SQLite will say.
        Ok(true) | Err(_) => Ok(()),
    }
}

pub(super) fn cannot_be_opened(path: &Path, error: StoreError) -> StoreError {
    match error.kind() {
        StoreErrorKind::Configuration => error,
        kind => StoreError::new(kind, format!("the store {} cannot be opened", path.display())).with_source(error),
    }
}

/// Opens the file for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens the file for writing back the log.
pub(super) fn open_upkeep(path: &Path) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    set_up(&connection)?;
    Ok(connection)
}

pub(super) fn set_up(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection.pragma_update(None, "cache_size", -4096)?)
}

/// The version of the file, which has to be a store and of a version that is known. 0 is an empty
/// file.
pub(super) fn version(connection: &Connection) -> Result<usize, StoreError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (application, version, tables) != (0, 0, 0) {
        return Err(refuse("the SQLite file belongs to another program: it is no store of responses".to_owned()));
    }
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > NEWEST {
        return Err(refuse(format!(
            "the store has version {version} and this program knows versions up to {NEWEST}: use a newer program"
        )));
    }
    Ok(version)
}

/// The version that files are brought to.
pub(super) const NEWEST: usize = MIGRATIONS.len();

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    for migration in &MIGRATIONS[version..] {
        transaction.execute_batch(migration)?;
    }
    if version < NEWEST {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", i64::try_from(NEWEST).unwrap_or_default())?;
    }
    transaction.commit()?;
    Ok(())
}
