use rusqlite::{Error, ErrorCode};

use crate::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let corrupt = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            || matches!(error, Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..));
        let error_of = if corrupt { Self::corrupt } else { Self::unavailable };
        error_of("SQLite").with_source(error)
    }
}
