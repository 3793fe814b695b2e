//! What is at a destination, read off the names of its files: no key and no passphrase is needed.

use super::chain::{Collection, Set};
use super::error::{ForeignRepository, Result};
use super::format::time::SetTime;
use super::job::{Job, Phase};
use super::storage::{Storage, StorageErrorKind, StorageResult, StoredFile};

/// What is at a destination.
#[derive(Debug, Clone)]
pub struct Status {
    /// The destination.
    pub location: String,
    /// Chains of complete sets, oldest first.
    pub chains: Vec<ChainStatus>,
    /// Names of manifests or volumes of sets that were never finished, or that follow no chain.
    pub incomplete: Vec<String>,
    /// Another program's repository, if there is one.
    pub foreign: Option<ForeignRepository>,
    /// Bytes that can still be written, where known.
    pub free_bytes: Option<u64>,
}

/// A full set and what builds on it.
#[derive(Debug, Clone)]
pub struct ChainStatus {
    /// The full set, then the incremental ones in order.
    pub sets: Vec<SetStatus>,
}

/// One complete set.
#[derive(Debug, Clone)]
pub struct SetStatus {
    /// When it was made.
    pub time: SetTime,
    /// Whether it stands on its own.
    pub full: bool,
    /// Volumes that are there.
    pub volume_count: u32,
    /// Bytes of all its files.
    pub stored_bytes: u64,
    /// Whether its files are OpenPGP files.
    pub encrypted: bool,
}

impl From<&Set> for SetStatus {
    fn from(set: &Set) -> Self {
        Self {
            time: set.kind.time(),
            full: set.kind.is_full(),
            volume_count: u32::try_from(set.volumes.len()).unwrap_or(u32::MAX),
            stored_bytes: set.stored_bytes,
            encrypted: set.is_encrypted(),
        }
    }
}

/// Looks at a destination. One that does not exist yet is empty.
pub fn status(storage: &dyn Storage, job: &Job) -> Result<Status> {
    job.phase(Phase::Listing);
    let files = match storage.list() {
        Ok(files) => files,
        Err(error) if error.kind == StorageErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let foreign = foreign_repository(storage, &files)?;
    let collection = Collection::new(files);
    let unfinished = collection.incomplete.iter().chain(&collection.orphaned).map(Set::name);
    Ok(Status {
        location: storage.location(),
        chains: collection
            .chains
            .iter()
            .map(|chain| ChainStatus { sets: chain.sets.iter().map(SetStatus::from).collect() })
            .collect(),
        incomplete: unfinished.chain(collection.unreadable.iter().cloned()).collect(),
        foreign,
        free_bytes: storage.free_bytes()?,
    })
}

/// Recognises repositories of other programs by the files at their top.
pub(crate) fn foreign_repository(
    storage: &dyn Storage,
    files: &[StoredFile],
) -> StorageResult<Option<ForeignRepository>> {
    if !files.iter().any(|file| file.name == "config") {
        return Ok(None);
    }
    let folders = storage.list_folders()?;
    let has_folder = |name: &str| folders.iter().any(|folder| folder == name);
    let has_file = |beginning: &str| files.iter().any(|file| file.name.starts_with(beginning));
    Ok(if has_folder("keys") {
        Some(ForeignRepository::Restic)
    } else if has_folder("data") && (has_file("hints.") || has_file("integrity.")) {
        Some(ForeignRepository::Borg)
    } else {
        None
    })
}
