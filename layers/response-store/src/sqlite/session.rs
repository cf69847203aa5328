//! The connection that writes.

use std::ops::Deref;

use rusqlite::{CachedStatement, Connection};

use crate::StoreError;

/// A connection with the statements of every turn at hand.
pub(super) struct Session<'c> {
    connection: &'c Connection,
    statements: [Option<CachedStatement<'c>>; Statement::COUNT],
}

/// What nearly every turn executes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Statement {
    Begin,
    Commit,
    InsertConversation,
    InsertTurn,
    InsertItem,
}

impl Statement {
    const COUNT: usize = Self::InsertItem as usize + 1;

    fn sql(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN IMMEDIATE",
            Self::Commit => "COMMIT",
            Self::InsertConversation => "INSERT INTO conversation (id, owner, last) VALUES (?1, ?2, ?3)",
            Self::InsertTurn => {
                "INSERT INTO turn (conversation, own, previous, deleted, shared, body, part)
                 VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)"
            }
            Self::InsertItem => "INSERT OR IGNORE INTO item (item, turn) VALUES (?1, ?2)",
        }
    }
}

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, statements: [const { None }; Statement::COUNT] }
    }

    pub(super) fn statement(&mut self, statement: Statement) -> Result<&mut CachedStatement<'c>, StoreError> {
        let prepared = &mut self.statements[statement as usize];
        match prepared {
            Some(prepared) => Ok(prepared),
            None => Ok(prepared.insert(self.connection.prepare_cached(statement.sql())?)),
        }
    }
}

impl Deref for Session<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}
