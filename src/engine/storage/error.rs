//! Failures of a storage, by what a person or a retry can do about them.

use std::io;

use nix::errno::Errno;

use crate::engine::job::CancelReason;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// The place, or the file in it, is not there.
    NotFound,
    /// A file of that name is there already.
    AlreadyExists,
    /// Not allowed.
    Permission,
    /// The file system is mounted read-only.
    ReadOnly,
    /// No space or quota left.
    Full,
    /// The place is not a folder.
    NotAFolder,
    /// The place does not answer, or the device is gone.
    Unreachable,
    /// The drive is not connected.
    Away,
    /// The file system cannot hold a file of that size.
    TooLarge,
    /// The place took too long.
    Timeout,
    /// The server's key is not the one that is known, or nobody said that it is the right one.
    HostKey,
    /// Nobody could or would sign in, or the place refuses who does.
    Credentials,
    /// The server has too much to do, or had a failure of its own, and wants to be asked later.
    Busy,
    /// The bucket is not there.
    NoSuchBucket,
    /// The bucket is in another region than the address says.
    WrongRegion,
    /// The clock of this machine, or of the server, is so wrong that nothing is believed.
    ClockWrong,
    /// Nobody who is trusted vouches for the server's certificate.
    Certificate,
    /// Nobody knows a server of this name. Without a network, nobody knows any.
    NoSuchHost,
    /// The object is in a class that has to be brought back before it can be read.
    Archived,
    /// The job was stopped while it waited for the place.
    Cancelled(CancelReason),
    /// Anything else.
    Other,
}

/// A storage operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} {location}: {source}")]
pub struct StorageError {
    /// What kind of failure it is.
    pub kind: StorageErrorKind,
    /// What was being done, such as "writing".
    pub action: &'static str,
    /// The place or the file in it.
    pub location: String,
    /// What the system said.
    pub source: io::Error,
}

impl StorageError {
    /// An error whose kind is read off the system's own.
    pub fn from_io(action: &'static str, location: impl Into<String>, source: io::Error) -> Self {
        Self { kind: StorageErrorKind::of(&source), action, location: location.into(), source }
    }

    /// An error of a kind that no system error has.
    pub fn new(
        kind: StorageErrorKind,
        action: &'static str,
        location: impl Into<String>,
        reason: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, action, location: location.into(), source: io::Error::other(reason) }
    }

    /// Whether the job was stopped.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.kind, StorageErrorKind::Cancelled(_))
    }

    /// Whether the same operation may succeed a little later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl StorageErrorKind {
    /// See [`StorageError::is_retryable`].
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Busy)
    }

    /// The kind of a system error.
    pub fn of(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        // What was read from or written to a place fails with an error of the place.
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<StorageError>()) {
            return error.kind;
        }
        match error.kind() {
            K::NotFound => Self::NotFound,
            K::AlreadyExists => Self::AlreadyExists,
            K::PermissionDenied => Self::Permission,
            K::ReadOnlyFilesystem => Self::ReadOnly,
            K::StorageFull | K::QuotaExceeded => Self::Full,
            K::FileTooLarge => Self::TooLarge,
            K::NotADirectory => Self::NotAFolder,
            K::TimedOut => Self::Timeout,
            // Of a lookup; the system itself means another address by it.
            K::AddrNotAvailable if error.raw_os_error().is_none() => Self::NoSuchHost,
            K::NetworkDown
            | K::NetworkUnreachable
            | K::HostUnreachable
            | K::StaleNetworkFileHandle
            | K::ConnectionRefused
            | K::ConnectionReset
            | K::ConnectionAborted
            | K::NotConnected
            | K::BrokenPipe => Self::Unreachable,
            _ => match error.raw_os_error() {
                Some(number) if GONE.contains(&Errno::from_raw(number)) => Self::Unreachable,
                _ => Self::Other,
            },
        }
    }
}

impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> Self {
        Self::other(error)
    }
}

/// What a drive that was pulled out answers.
const GONE: [Errno; 3] = [Errno::EIO, Errno::ENODEV, Errno::ENXIO];
