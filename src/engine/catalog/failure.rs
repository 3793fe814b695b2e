//! What goes wrong in a database, told apart from what the engine says itself.

use std::io;

use rusqlite::ErrorCode;

use crate::engine::error::Error;

/// What was being done, for messages.
pub(super) const READING: &str = "reading the catalogue";
/// The same.
pub(super) const WRITING: &str = "writing the catalogue";

/// An error on its way out of the catalogue.
#[derive(Debug)]
pub(super) enum Failure {
    /// Of the database.
    Database(rusqlite::Error),
    /// Of the engine: cancelled, say, or a stored file that is damaged.
    Engine(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl Failure {
    /// The engine's error for it.
    pub(super) fn into_error(self, action: &'static str) -> Error {
        match self {
            Self::Engine(error) => error,
            Self::Database(error) => {
                let kind = match error.sqlite_error_code() {
                    Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
                    Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                        io::ErrorKind::PermissionDenied
                    }
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => io::ErrorKind::ResourceBusy,
                    _ if is_broken(&error) => io::ErrorKind::InvalidData,
                    _ => io::ErrorKind::Other,
                };
                Error::Local { action, source: io::Error::new(kind, error) }
            }
        }
    }

    /// Whether the file is no sound database, or not ours.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Database(error) if is_broken(error))
    }

    /// Whether it is damage in what the tables say, which SQLite does not see.
    pub(super) fn is_contradiction(&self) -> bool {
        let Self::Database(error) = self else { return false };
        let code = error.sqlite_error_code();
        is_broken(error) && !matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

/// Whether the catalogue turned out to be damaged. Opening it once more begins a new one, which then
/// has to be brought in line with the destination again.
pub fn is_damage(error: &Error) -> bool {
    let Error::Local { source, .. } = error else { return false };
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rusqlite::Error>());
    inner.is_some_and(is_broken)
}

fn is_broken(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            matches!(
                failure.code,
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
            )
        }
        // A table or a value that this version of the schema does not have.
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::QueryReturnedNoRows
        | rusqlite::Error::SqlInputError { .. } => true,
        _ => false,
    }
}
