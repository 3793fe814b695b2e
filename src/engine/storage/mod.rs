//! Where backups are kept: one small trait, one file a kind of place.
//!
//! A place is a flat folder of files. A file appears under its name only when it is whole, and is
//! never overwritten: [`Storage::create`] writes to a name of its own and
//! [`Upload::finish`] gives the file its name, failing if that is taken.

mod address;
mod credentials;
mod drive;
mod error;
pub mod lease;
mod line;
mod local;
mod network;
pub mod object;
mod retry;
pub mod sftp;
mod throttle;
pub mod webdav;

use std::fmt::Debug;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use address::{Address, AddressError, S3Address, SftpAddress, WebDavAddress};
pub use credentials::{CredentialRequest, Credentials, HostKey, WantedCredential};
pub use drive::{AwayDrive, DriveAddress, Drives};
pub use error::{StorageError, StorageErrorKind};
pub use line::HttpTimes;
#[cfg(feature = "desktop")]
pub(crate) use line::Line;
pub use local::LocalFolder;
pub use network::{NetworkAddress, NetworkAddressError};
pub use retry::{Backoff, Retrying};
pub use throttle::Limits;

/// Beginning of the names of files that are not whole yet. duplicity dies of unfinished files whose
/// names begin as its own do.
pub const UPLOAD_PREFIX: &str = ".souvenir-upload-";

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
    fn open(&self, name: &str) -> StorageResult<Box<dyn Read + Send>> {
        self.open_from(name, 0)
    }

    /// Opens a file for reading from `offset` bytes on. At and behind its end there is nothing to read.
    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>>;

    /// Begins a new file. Nothing is visible under `name` until [`Upload::finish`]; dropping the
    /// upload before that leaves nothing behind. The place itself is created if it is missing.
    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>>;

    /// Gives a file another name, at once and as a whole. Fails if the name is taken. The new name
    /// lasts after [`Storage::settle`].
    fn rename(&self, from: &str, to: &str) -> StorageResult<()>;

    /// Keeps everybody else who asks from changing the place, as long as the result lives. Whoever goes
    /// away without a word holds nothing any more. `holder` tells others who it is.
    fn lock(&self, holder: &str) -> StorageResult<Lock>;

    /// Deletes a file.
    fn delete(&self, name: &str) -> StorageResult<()>;

    /// Returns once what was renamed and deleted before lasts, also through a power cut. A place that keeps
    /// its operations in order has nothing to do.
    fn settle(&self) -> StorageResult<()> {
        Ok(())
    }

    /// When the file was written to last, by the clock of the place, where that can be told.
    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        let _ = name;
        Ok(None)
    }

    /// Bytes that can still be written, where the place can tell.
    fn free_bytes(&self) -> StorageResult<Option<u64>>;

    /// Size of the largest file that the place can hold, in bytes, where there is a limit that somebody could
    /// reach.
    fn max_file_bytes(&self) -> Option<u64> {
        None
    }

    /// The folder on this machine, if that is what the place is.
    fn local_folder(&self) -> Option<&Path> {
        None
    }

    /// What tells the place from every other, however it is written: for what is kept of it on this machine. A
    /// drive is the same wherever it is mounted.
    fn key(&self) -> PathBuf {
        self.local_folder().map_or_else(|| self.location().into(), local::key)
    }
}

/// The answer to [`Storage::lock`].
#[derive(Debug)]
pub enum Lock {
    /// The place is ours until this is dropped.
    Held(LockGuard),
    /// Somebody else has it; what they said of themselves.
    Busy(String),
}

/// Holds the lock of a place until it is dropped.
#[derive(Debug)]
pub struct LockGuard(Box<dyn HeldLock>);

impl LockGuard {
    /// A guard of a lock that was taken.
    pub fn new(held: impl HeldLock + 'static) -> Self {
        Self(Box::new(held))
    }

    /// Fails if the lock is not ours any more: this machine slept for hours, say, and somebody else took
    /// over. To be asked before anything that two at once must not do.
    pub fn check(&self) -> StorageResult<()> {
        self.0.check()
    }
}

/// A lock that is let go of when it is dropped.
pub trait HeldLock: Send + Sync + Debug {
    /// Fails if the lock is not ours any more. One that the system keeps can only be ours.
    fn check(&self) -> StorageResult<()> {
        Ok(())
    }
}

/// Of a place that cannot be locked.
impl HeldLock for () {}

/// Whether files can be put there: puts an empty one and deletes it. The place itself is made if it is
/// missing.
pub fn try_writing(storage: &dyn Storage) -> StorageResult<()> {
    let name = format!("{UPLOAD_PREFIX}test-{:016x}", fastrand::u64(..));
    storage.create(&name)?.finish()?;
    storage.delete(&name)
}

/// Where large temporary files go: not into `/tmp`, which is often kept in memory.
pub(crate) fn spool_folder() -> PathBuf {
    std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty()).map_or("/var/tmp".into(), PathBuf::from)
}

/// A file on its way into a storage.
pub trait Upload: Write + Send {
    /// Makes the file durable and gives it its name. Fails if a file of that name is there.
    fn finish(self: Box<Self>) -> StorageResult<()>;
}
