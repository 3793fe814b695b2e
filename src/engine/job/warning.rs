//! What a person should know of a job that went on all the same.

use crate::engine::error::{Error, Fault};
use crate::engine::path::EntryPath;

/// Something that a person should know of, but that did not end the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A file or folder could not be read and is left out.
    Unreadable {
        /// The entry.
        path: EntryPath,
        /// What the system said.
        reason: String,
    },
    /// An entry went away between being found and being read; it is left out.
    Vanished {
        /// The entry.
        path: EntryPath,
    },
    /// A file changed while it was read: what is stored may be a mixture of both states.
    ChangedWhileRead {
        /// The entry.
        path: EntryPath,
    },
    /// Reading a file failed half-way: what is stored of it ends, or is zeros, from there on.
    CutShort {
        /// The entry.
        path: EntryPath,
        /// What the system said.
        reason: String,
    },
    /// A folder that was to be backed up is not there.
    FolderMissing {
        /// The folder.
        path: EntryPath,
    },
    /// Sockets cannot be backed up.
    SocketLeftOut {
        /// The entry.
        path: EntryPath,
    },
    /// The destination lies in the folder that is backed up, and is left out of it.
    DestinationLeftOut {
        /// The destination's folder, relative to the root.
        path: EntryPath,
    },
    /// There were backups at the destination before, and there were none any more.
    EarlierGone {
        /// The destination.
        location: String,
    },
    /// A stored file is damaged; what else there is has been used.
    Damaged {
        /// Name of the stored file.
        file: String,
        /// What is wrong with it.
        fault: Fault,
        /// The same in technical words.
        reason: String,
        /// The first and the last entry that it holds, where known.
        held: Option<(EntryPath, EntryPath)>,
    },
    /// A file that tells what stored files hold is damaged, so that entries may be lost that nobody can name: the
    /// signatures of a set with a damaged volume, or a manifest that leaves out volumes.
    Untold {
        /// Name of the file, or of the set.
        file: String,
        /// What is wrong with it.
        fault: Fault,
        /// The same in technical words.
        reason: String,
    },
    /// An entry could not be restored, or not wholly; nothing incomplete was left in its place.
    NotRestored {
        /// The entry.
        path: EntryPath,
        /// What is wrong with what is stored of it; none if it could not be written.
        fault: Option<Fault>,
        /// Why, in technical words.
        reason: String,
    },
    /// The entry is restored, but an attribute such as its owner could not be set.
    AttributeNotSet {
        /// The entry.
        path: EntryPath,
        /// Which, and why.
        reason: String,
    },
    /// The entry is backed up, but without some of its attributes.
    AttributesLeftOut {
        /// The entry.
        path: EntryPath,
        /// Which, and why.
        reason: String,
    },
    /// A stored file was to be deleted and is still there.
    NotDeleted {
        /// Name of the stored file.
        file: String,
        /// Why.
        reason: String,
    },
    /// There may be too little space for the set that is being made.
    LittleSpace {
        /// The place.
        location: String,
        /// What the set may come to at most, in bytes.
        needed_bytes: u64,
        /// What is free, in bytes.
        free_bytes: u64,
    },
    /// A set, or a file of one, was to be copied to another place and is not there.
    NotCopied {
        /// Name of the stored file, or of one of the set.
        name: String,
        /// Why.
        reason: String,
    },
    /// A set without a manifest, or with files that belong to no set, is at the destination.
    Incomplete {
        /// The set or file.
        name: String,
    },
}

impl Warning {
    /// That an entry cannot be restored for what is stored of it.
    pub fn lost(path: EntryPath, reason: impl Into<String>) -> Self {
        Self::NotRestored { path, fault: Some(Fault::Lost), reason: reason.into() }
    }

    /// Whether it is kept beside however many others: there is one at most in a job, and it may be the last.
    pub fn is_kept_always(&self) -> bool {
        matches!(self, Self::EarlierGone { .. })
    }

    /// That a stored file is damaged, as an error says, and what it holds.
    pub fn damaged(file: impl Into<String>, error: &Error, held: Option<(EntryPath, EntryPath)>) -> Self {
        Self::Damaged { file: file.into(), fault: error.into(), reason: error.to_string(), held }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable { path, reason } => {
                write!(f, "{path}: cannot be read and is left out: {reason}")
            }
            Self::Vanished { path } => write!(f, "{path}: went away before it was read"),
            Self::ChangedWhileRead { path } => {
                write!(f, "{path}: changed while it was read; the stored copy may mix both states")
            }
            Self::CutShort { path, reason } => {
                write!(f, "{path}: could not be read to its end; the stored copy is not whole: {reason}")
            }
            Self::FolderMissing { path } => write!(f, "{path}: is not there and is left out"),
            Self::SocketLeftOut { path } => write!(f, "{path}: is a socket, which cannot be backed up"),
            Self::DestinationLeftOut { path } => {
                write!(f, "{path}: holds the backups themselves and is left out")
            }
            Self::Damaged { reason, held: Some((first, last)), .. } if first == last => {
                write!(f, "{reason}; it holds {first}")
            }
            Self::Damaged { reason, held: Some((first, last)), .. } => {
                write!(f, "{reason}; it holds what lies from {first} to {last}")
            }
            // Most reasons name the file.
            Self::Damaged { file, reason, held: None, .. } if reason.contains(file) => f.write_str(reason),
            Self::Damaged { file, reason, held: None, .. } => write!(f, "{file}: {reason}"),
            Self::NotRestored { path, reason, .. } => write!(f, "{path}: could not be restored: {reason}"),
            Self::AttributeNotSet { path, reason } | Self::AttributesLeftOut { path, reason } => {
                write!(f, "{path}: {reason}")
            }
            Self::NotDeleted { file, reason } => write!(f, "{file}: is not deleted: {reason}"),
            Self::Untold { file, reason, .. } => {
                write!(f, "{file}: what stored files hold is not known, and may be missing: {reason}")
            }
            Self::EarlierGone { location } => {
                write!(
                    f,
                    "{location}: the backups that were here before are gone; this one begins from the start"
                )
            }
            Self::LittleSpace { location, needed_bytes, free_bytes } => write!(
                f,
                "{location}: there may be too little space: up to {} may be needed, and {} are free",
                amount(*needed_bytes),
                amount(*free_bytes)
            ),
            Self::NotCopied { name, reason } => write!(f, "{name}: is not copied: {reason}"),
            Self::Incomplete { name } => write!(f, "{name}: belongs to an unfinished backup and is not used"),
        }
    }
}

/// A number of bytes for people.
pub(crate) fn amount(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["bytes", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if bytes < 1024 { format!("{bytes} {unit}") } else { format!("{value:.1} {unit}") }
}
