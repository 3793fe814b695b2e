//! Warnings of a run, as they are remembered.

use serde::{Deserialize, Serialize};

use crate::engine::error::Fault;
use crate::engine::job::{Warning, amount};
use crate::engine::path::EntryPath;

/// A warning as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunWarning {
    /// What kind of warning it is.
    pub kind: WarningKind,
    /// The entry or stored file concerned, as people read it.
    pub subject: String,
    /// What the system said; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What is wrong with a stored file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// What kind of warning it is: see [`Warning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// Could not be read and is left out.
    Unreadable,
    /// Went away before it was read.
    Vanished,
    /// Changed while it was read.
    ChangedWhileRead,
    /// Could not be read to its end.
    CutShort,
    /// A folder that was to be backed up is not there.
    FolderMissing,
    /// Is a socket.
    SocketLeftOut,
    /// Holds the backups themselves.
    DestinationLeftOut,
    /// The backups that were made before are not at the destination any more.
    EarlierGone,
    /// A stored file is damaged.
    Damaged,
    /// Is damaged, so that nobody knows what other stored files hold.
    Untold,
    /// Could not be restored.
    NotRestored,
    /// Is restored, but not with all its attributes.
    AttributeNotSet,
    /// Is backed up, but not with all its attributes.
    AttributesLeftOut,
    /// Was to be deleted, and is still there.
    NotDeleted,
    /// There may be too little space at the destination.
    LittleSpace,
    /// Was to be copied to another place, and is not there.
    NotCopied,
    /// Belongs to an unfinished backup.
    Incomplete,
    /// Anything that a newer version warns of.
    #[serde(other)]
    Other,
}

impl From<&Warning> for RunWarning {
    fn from(warning: &Warning) -> Self {
        use WarningKind as K;
        let (kind, subject, reason) = match warning {
            Warning::Unreadable { path, reason } => (K::Unreadable, full_path(path), reason.clone()),
            Warning::Vanished { path } => (K::Vanished, full_path(path), String::new()),
            Warning::ChangedWhileRead { path } => (K::ChangedWhileRead, full_path(path), String::new()),
            Warning::CutShort { path, reason } => (K::CutShort, full_path(path), reason.clone()),
            Warning::FolderMissing { path } => (K::FolderMissing, full_path(path), String::new()),
            Warning::SocketLeftOut { path } => (K::SocketLeftOut, full_path(path), String::new()),
            Warning::DestinationLeftOut { path } => (K::DestinationLeftOut, full_path(path), String::new()),
            Warning::Damaged { file, reason, .. } => (K::Damaged, file.clone(), reason.clone()),
            Warning::Untold { file, reason, .. } => (K::Untold, file.clone(), reason.clone()),
            Warning::NotRestored { path, reason, .. } => (K::NotRestored, full_path(path), reason.clone()),
            Warning::AttributeNotSet { path, reason } => {
                (K::AttributeNotSet, full_path(path), reason.clone())
            }
            Warning::AttributesLeftOut { path, reason } => {
                (K::AttributesLeftOut, full_path(path), reason.clone())
            }
            Warning::EarlierGone { location } => (K::EarlierGone, location.clone(), String::new()),
            Warning::NotDeleted { file, reason } => (K::NotDeleted, file.clone(), reason.clone()),
            Warning::LittleSpace { location, needed_bytes, free_bytes } => {
                let numbers = format!("{} > {}", amount(*needed_bytes), amount(*free_bytes));
                (K::LittleSpace, location.clone(), numbers)
            }
            Warning::NotCopied { name, reason } => (K::NotCopied, name.clone(), reason.clone()),
            Warning::Incomplete { name } => (K::Incomplete, name.clone(), String::new()),
        };
        let fault = match warning {
            Warning::Damaged { fault, .. } | Warning::Untold { fault, .. } => Some(*fault),
            Warning::NotRestored { fault, .. } => *fault,
            _ => None,
        };
        Self { kind, subject, reason, fault }
    }
}

/// How a person knows the entry: the root of a plan's backups is `/`.
pub fn full_path(path: &EntryPath) -> String {
    if path.is_root() { "/".to_owned() } else { format!("/{path}") }
}

impl WarningKind {
    /// Whether a warning of this kind means that something is missing from the backup or the restore.
    pub fn is_loss(self) -> bool {
        !matches!(
            self,
            Self::SocketLeftOut
                | Self::DestinationLeftOut
                | Self::AttributeNotSet
                | Self::NotDeleted
                | Self::LittleSpace
                | Self::Incomplete
        )
    }

    /// Whether it names something that a restore did not bring back as it was. What lay in a damaged stored file is
    /// named by itself.
    pub fn is_loss_of_restore(self) -> bool {
        self.is_loss() && self != Self::Damaged
    }
}
