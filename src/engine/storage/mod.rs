//! Where backups are kept: one small trait, one file a kind of place.
//!
//! A place is a flat folder of files. A file appears under its name only when it is whole, and is
//! never overwritten: [`Storage::create`] writes to a name of its own and
//! [`Upload::finish`] gives the file its name, failing if that is taken.

mod error;
mod local;

use std::fmt::Debug;
use std::io::{Read, Write};
use std::path::Path;

pub use error::{StorageError, StorageErrorKind};
pub use local::LocalFolder;

/// The result of a storage operation.
pub type StorageResult<T> = std::result::Result<T, StorageError>;

/// A file at a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name in the flat folder.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// A place that keeps backups.
pub trait Storage: Send + Sync + Debug {
    /// The place, for messages: a path or an address without secrets.
    fn location(&self) -> String;

    /// Every file directly in the place, in no particular order. Names that are not UTF-8 cannot be
    /// ours and are left out. Folders are named in [`Storage::list_folders`].
    fn list(&self) -> StorageResult<Vec<StoredFile>>;

    /// Names of the folders directly in the place: used to recognise other programs' repositories.
    fn list_folders(&self) -> StorageResult<Vec<String>>;

    /// Opens a file for reading from its beginning.
    fn open(&self, name: &str) -> StorageResult<Box<dyn Read + Send>>;

    /// Begins a new file. Nothing is visible under `name` until [`Upload::finish`]; dropping the
    /// upload before that leaves nothing behind. The place itself is created if it is missing.
    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>>;

    /// Deletes a file.
    fn delete(&self, name: &str) -> StorageResult<()>;

    /// Bytes that can still be written, where the place can tell.
    fn free_bytes(&self) -> StorageResult<Option<u64>>;

    /// The folder on this machine, if that is what the place is.
    fn local_folder(&self) -> Option<&Path> {
        None
    }
}

/// A file on its way into a storage.
pub trait Upload: Write + Send {
    /// Makes the file durable and gives it its name. Fails if a file of that name is there.
    fn finish(self: Box<Self>) -> StorageResult<()>;
}
