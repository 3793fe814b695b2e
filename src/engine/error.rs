//! What can go wrong: one variant for each failure that a person acts on differently.
//!
//! `Display` is plain English for logs and the command line. The window has its own, translated
//! words in `ui/error_text.rs`, made from the same variants.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::chain::FullReason;
use super::crypto::CryptoError;
use super::job::{CancelReason, amount};
use super::path::EntryPath;
use super::storage::{StorageError, StorageErrorKind};

/// The result of everything in the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure that ends a verb. A single file that cannot be read is a
/// [`Warning`](super::job::Warning) instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Stopped on request; not a failure.
    #[error("cancelled")]
    Cancelled(CancelReason),

    /// The place of the backups could not be read or written.
    #[error(transparent)]
    Storage(StorageError),

    /// The destination is full.
    #[error("{source}{}; make space there, and the next backup goes on with what is finished", room_text(*needed_bytes, *free_bytes))]
    NoSpace {
        /// The destination.
        location: String,
        /// What may still be needed at most, in bytes, where that is known.
        needed_bytes: Option<u64>,
        /// What is free, in bytes, where that is known.
        free_bytes: Option<u64>,
        /// What the place said.
        source: StorageError,
    },

    /// gpg refused, or a key or passphrase is not right. `file` is the stored file concerned.
    #[error("{}{source}", file.as_ref().map(|name| format!("{name}: ")).unwrap_or_default())]
    Crypto {
        /// Name of the stored file that was written or read, if any.
        file: Option<String>,
        /// What gpg said.
        source: CryptoError,
    },

    /// The folder to back up is not there.
    #[error("the folder to back up does not exist: {}", .0.display())]
    SourceMissing(PathBuf),

    /// The folder to back up cannot be read at all.
    #[error("the folder to back up cannot be read: {}: {source}", path.display())]
    SourceUnreadable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Nothing is left to back up: the folder has no entry that the rules let in.
    #[error("there is nothing to back up in {}", .0.display())]
    SourceEmpty(PathBuf),

    /// The backups would be kept in the very folder that is backed up, or around it.
    #[error("the destination is the folder to back up itself, or holds it: {}", .0.display())]
    DestinationIsSource(PathBuf),

    /// Backups were to be copied to where they are.
    #[error("{location} is where the backups are copied from; give another place to copy them to")]
    SamePlace {
        /// The place.
        location: String,
    },

    /// Backups were to be copied, and not all of them are there now. Warnings say which files, and why.
    #[error("{set_count} of the backup sets could not be copied to {location}")]
    NotAllCopied {
        /// Where they were copied to.
        location: String,
        /// How many sets are not there.
        set_count: u64,
    },

    /// An include or exclude pattern makes no sense.
    #[error("the pattern \"{pattern}\" cannot be used: {reason}")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The destination holds backups of another program.
    #[error("{location} holds {kind}, which Souvenir does not write to")]
    ForeignRepository {
        /// The destination.
        location: String,
        /// Whose it is.
        kind: ForeignRepository,
    },

    /// There is no complete backup at the destination.
    #[error("there is no backup in {location}")]
    NoBackup {
        /// The destination.
        location: String,
    },

    /// The backup has no file that a restore drill could try.
    #[error("the backup in {location} has no files that could be tried")]
    NothingToTry {
        /// The destination.
        location: String,
    },

    /// The path is not in the backup at that time.
    #[error("{path} is not in the backup of that time")]
    PathNotInBackup {
        /// The path asked for.
        path: EntryPath,
    },

    /// A stored file is not what its set says it is, or cannot be understood. Nothing was changed.
    #[error("the stored file {file} is damaged: {damage}")]
    Damaged {
        /// Name of the stored file.
        file: String,
        /// How it is damaged.
        damage: Damage,
    },

    /// The folder to restore into cannot be written.
    #[error("cannot write to {}: {source}", path.display())]
    Target {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The target of a restore exists and is not an empty folder.
    #[error("the restore target is not empty: {}", .0.display())]
    TargetNotEmpty(PathBuf),

    /// Another run is changing the destination.
    #[error("another backup is at work in {location}: {holder}")]
    Busy {
        /// The destination.
        location: String,
        /// What the other run says of itself.
        holder: String,
    },

    /// An incremental set was asked for, but there is nothing that it could build on.
    #[error("an incremental backup cannot be made in {location}: {reason}")]
    CannotExtend {
        /// The destination.
        location: String,
        /// Why only a full set can be made.
        reason: FullReason,
    },

    /// An incremental set was asked for, but the chain belongs to another folder or machine.
    #[error("the last backup is of {found}; extending it with something else was not allowed")]
    OtherSource {
        /// Folder and machine of the chain.
        found: String,
    },

    /// A set with this time, or a later one, is already there: a time is never used twice.
    #[error("the destination already has a set of {existing}; a new one must be later than that")]
    TimeNotLater {
        /// Time of the newest set, in the format's own writing.
        existing: String,
    },

    /// A file that may hold a key could not be read.
    #[error("cannot read a key from {}: {source}", path.display())]
    KeyFileUnreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A file of an exported key could not be written.
    #[error("cannot write {}: {source}", path.display())]
    KeyFileUnwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A file of an exported key is there already.
    #[error("{} is there already and is not overwritten; choose another folder", .0.display())]
    KeyFileExists(PathBuf),

    /// Local scratch space or another local resource failed.
    #[error("{action}: {source}")]
    Local {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// A defect of Souvenir itself, such as a panic in a worker.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error.kind {
            StorageErrorKind::Cancelled(reason) => Self::Cancelled(reason),
            _ => Self::Storage(error),
        }
    }
}

impl Error {
    /// A gpg failure about one stored file.
    pub fn crypto(file: impl Into<String>, source: CryptoError) -> Self {
        Self::Crypto { file: Some(file.into()), source }
    }

    /// A damaged stored file.
    pub fn damaged(file: impl Into<String>, damage: Damage) -> Self {
        Self::Damaged { file: file.into(), damage }
    }

    /// Wraps this error for a stream; [`Error::from_stream`] takes it out again.
    pub(crate) fn into_stream(self) -> io::Error {
        io::Error::other(self)
    }

    /// The error that a stream failed with: the one of ours inside it, or what `otherwise` makes of it.
    pub(crate) fn from_stream(error: io::Error, otherwise: impl FnOnce(io::Error) -> Self) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => otherwise(error),
        }
    }

    /// Whether this is about what a stored file holds.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Crypto { source: CryptoError::Damaged(_), .. })
    }

    /// Whether a key that is not on this machine would help.
    pub fn is_missing_key(&self) -> bool {
        matches!(self, Self::Crypto { source: CryptoError::MissingSecretKey { .. }, .. })
    }

    /// Whether this is a cancel, which is no failure.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }
}

fn room_text(needed_bytes: Option<u64>, free_bytes: Option<u64>) -> String {
    let needed = needed_bytes.map(|bytes| format!("up to {} may still be needed", amount(bytes)));
    let free = free_bytes.map(|bytes| format!("{} are free", amount(bytes)));
    let parts: Vec<String> = needed.into_iter().chain(free).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// How a stored file is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The manifest names it, but it is not there.
    #[error("it is missing")]
    Missing,
    /// It has no bytes at all.
    #[error("it is empty")]
    Empty,
    /// Its hash is not the one in the manifest.
    #[error("its contents have changed since it was written (its {algorithm} is {found}, not {expected})")]
    HashMismatch {
        /// Name of the hash, as in the manifest.
        algorithm: &'static str,
        /// Lower-case hexadecimal hash in the manifest.
        expected: String,
        /// Lower-case hexadecimal hash of the stored file.
        found: String,
    },
    /// It ends too early.
    #[error("it is cut short")]
    CutShort,
    /// It breaks the rules of its format.
    #[error("it cannot be understood: {0}")]
    Malformed(String),
}

/// What is wrong with a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It has no bytes at all.
    Empty,
    /// It is not what was written.
    Changed,
    /// It ends too early.
    CutShort,
    /// It breaks the rules of its format.
    Malformed,
    /// It cannot be decrypted with what decrypts the rest of its set.
    Sealed,
    /// Its signature is wrong, not there, or not by the key that must have signed.
    Signature,
    /// It cannot be read.
    Unreadable,
    /// Of a file in the backup: what it is put together from is damaged or missing.
    Lost,
    /// Something that a newer version tells apart.
    #[default]
    #[serde(other)]
    Other,
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        use CryptoError as C;
        match error {
            Error::Damaged { damage, .. } => match damage {
                Damage::Missing => Self::Missing,
                Damage::Empty => Self::Empty,
                Damage::HashMismatch { .. } => Self::Changed,
                Damage::CutShort => Self::CutShort,
                Damage::Malformed(_) => Self::Malformed,
            },
            Error::Crypto { source, .. } => match source {
                C::BadSignature { .. } | C::NotSigned { .. } | C::WrongSigner { .. } => Self::Signature,
                _ => Self::Sealed,
            },
            Error::Storage(_) => Self::Unreadable,
            _ => Self::Other,
        }
    }
}

/// Backups of other programs that are recognised in order not to mix with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignRepository {
    /// A restic repository (also what newer versions of Déjà Dup write).
    Restic,
    /// A Borg repository.
    Borg,
}

impl std::fmt::Display for ForeignRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Restic => "a restic repository",
            Self::Borg => "a Borg repository",
        })
    }
}
