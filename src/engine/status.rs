//! What is at a destination, read off the names of its files: no key and no passphrase is needed.

use super::backup::{is_copy, is_unfinished};
use super::chain::{Chain, Collection, FullPolicy, Outlook, Set};
use super::error::{ForeignRepository, Result};
use super::format::name::SetKind;
use super::format::time::SetTime;
use super::job::{Job, Phase};
use super::storage::{Storage, StorageErrorKind, StorageResult, StoredFile, UPLOAD_PREFIX};

/// What is at a destination.
#[derive(Debug, Clone)]
pub struct Status {
    /// The destination.
    pub location: String,
    /// Chains of complete sets, oldest first.
    pub chains: Vec<ChainStatus>,
    /// Names of manifests or volumes of sets that were never finished, or that follow no chain.
    pub incomplete: Vec<String>,
    /// All that no state is made of: the same sets, signatures and files, and why.
    pub leftovers: Vec<Leftover>,
    /// Files of an interrupted backup that the next one goes on with.
    pub resumable_count: u64,
    /// Their bytes.
    pub resumable_bytes: u64,
    /// How far the newest chain is on its way to a new full set.
    pub outlook: Option<Outlook>,
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

/// What is wrong with a set, as far as names tell. Later ones weigh less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Volumes are missing: neither it nor what builds on it can be restored wholly.
    MissingVolumes,
    /// There are no signatures: its files cannot be listed, and the chain cannot be extended.
    NoSignatures,
    /// It is not encrypted, while others of its chain are.
    NotEncrypted,
}

impl ChainStatus {
    /// The time of its full set.
    pub fn begun(&self) -> Option<SetTime> {
        self.sets.first().map(|set| set.time)
    }

    /// The set that weakens its chain most, and how: the first of those with the gravest weakness.
    pub fn weakest_link(&self) -> Option<(&SetStatus, Weakness)> {
        let any_encrypted = self.sets.iter().any(|set| set.encrypted);
        let has = |set: &SetStatus, weakness| match weakness {
            Weakness::MissingVolumes => !set.missing_volumes.is_empty(),
            Weakness::NoSignatures => !set.has_signatures,
            Weakness::NotEncrypted => any_encrypted && !set.encrypted,
        };
        [Weakness::MissingVolumes, Weakness::NoSignatures, Weakness::NotEncrypted]
            .into_iter()
            .find_map(|weakness| Some((self.sets.iter().find(|set| has(set, weakness))?, weakness)))
    }
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
    /// Numbers of volumes that are not there, while higher ones are; 1 if there is none at all.
    pub missing_volumes: Vec<u32>,
    /// Whether the signatures are there.
    pub has_signatures: bool,
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
            missing_volumes: set.missing_volumes(),
            has_signatures: set.signatures.is_some(),
            stored_bytes: set.stored_bytes,
            encrypted: set.is_encrypted(),
        }
    }
}

/// A set or a file that no state is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The name of the file, or of one of the set.
    pub name: String,
    /// Why it is not used.
    pub why: Unused,
    /// The time of the set.
    pub time: Option<SetTime>,
    /// Files of it.
    pub file_count: u64,
    /// Their bytes.
    pub stored_bytes: u64,
}

/// Why something is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    /// The set builds on one that no chain has.
    Orphaned {
        /// The time of that one.
        start: SetTime,
    },
    /// Another set that starts where this one starts, and ends later, has its place.
    Replaced,
    /// The set has no manifest: it is not finished, or was deleted in part.
    Unfinished,
    /// Of the set only the signatures are there.
    OnlySignatures,
    /// The file is of a kind that cannot be read (S/MIME).
    Unreadable,
    /// The file is not whole: it is being written, or was left behind.
    Upload,
}

/// Looks at a destination. One that does not exist yet is empty.
pub fn status(storage: &dyn Storage, job: &Job) -> Result<Status> {
    status_by(storage, &FullPolicy::default(), job)
}

/// Like [`status`], where new full sets are made by that policy.
pub fn status_by(storage: &dyn Storage, policy: &FullPolicy, job: &Job) -> Result<Status> {
    job.phase(Phase::Listing);
    let files = match storage.list() {
        Ok(files) => files,
        Err(error) if error.kind == StorageErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let foreign = foreign_repository(storage, &files)?;
    let is_upload = |file: &&StoredFile| file.name.starts_with(UPLOAD_PREFIX) || is_copy(&file.name);
    let (mut resumable_count, mut resumable_bytes) = (0, 0);
    for file in files.iter().filter(|file| is_unfinished(&file.name) && !is_copy(&file.name)) {
        resumable_count += 1;
        resumable_bytes += file.size_bytes;
    }
    let uploads: Vec<Leftover> = files.iter().filter(is_upload).map(Leftover::upload).collect();
    let collection = Collection::new(files);
    let unfinished = collection.incomplete.iter().chain(&collection.orphaned).map(Set::name);
    Ok(Status {
        location: storage.location(),
        chains: collection
            .chains
            .iter()
            .map(|chain| ChainStatus { sets: chain.sets.iter().map(SetStatus::from).collect() })
            .collect(),
        incomplete: unfinished.chain(collection.unreadable.iter().map(|file| file.name.clone())).collect(),
        leftovers: Leftover::all(&collection, uploads),
        outlook: collection.chains.last().map(|chain| policy.outlook(chain, SetTime::now())),
        resumable_count,
        resumable_bytes,
        foreign,
        free_bytes: storage.free_bytes()?,
    })
}

impl Leftover {
    fn all(collection: &Collection, uploads: Vec<Self>) -> Vec<Self> {
        let orphaned = collection.orphaned.iter().map(|set| Self::set(set, unused(set, &collection.chains)));
        let incomplete = collection.incomplete.iter().map(|set| {
            let only_signatures = set.signatures.is_some() && set.volumes.is_empty();
            Self::set(set, if only_signatures { Unused::OnlySignatures } else { Unused::Unfinished })
        });
        let unreadable = collection.unreadable.iter().map(Self::unreadable);
        orphaned.chain(incomplete).chain(unreadable).chain(uploads).collect()
    }

    fn set(set: &Set, why: Unused) -> Self {
        Self {
            name: set.name(),
            why,
            time: Some(set.kind.time()),
            file_count: set.files().count() as u64,
            stored_bytes: set.stored_bytes,
        }
    }

    fn unreadable(file: &StoredFile) -> Self {
        let StoredFile { name, size_bytes } = file.clone();
        Self { name, why: Unused::Unreadable, time: None, file_count: 1, stored_bytes: size_bytes }
    }

    fn upload(file: &StoredFile) -> Self {
        Self { why: Unused::Upload, ..Self::unreadable(file) }
    }
}

/// Why a set that is finished is in no chain.
fn unused(set: &Set, chains: &[Chain]) -> Unused {
    let SetKind::Incremental { start, end } = set.kind else { return Unused::Replaced };
    let has_its_place = |other: &Set| {
        matches!(other.kind, SetKind::Incremental { start: other_start, end: later }
            if other_start == start && later > end)
    };
    if chains.iter().flat_map(|chain| &chain.sets).any(has_its_place) {
        Unused::Replaced
    } else {
        Unused::Orphaned { start }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::storage::LocalFolder;

    /// A place with files of these names.
    fn of(names: &str) -> Status {
        let folder = tempfile::tempdir().unwrap();
        for name in names.split_whitespace() {
            std::fs::write(folder.path().join(name), [0; 10]).unwrap();
        }
        status(&LocalFolder::new(folder.path()), &Job::unattended()).unwrap()
    }

    fn weakest(status: &Status) -> Option<(String, Weakness)> {
        status.chains[0].weakest_link().map(|(set, weakness)| (set.time.to_string(), weakness))
    }

    #[test]
    fn a_whole_chain_has_no_weak_link() {
        let found =
            of("duplicity-full.20240101T000000Z.manifest duplicity-full.20240101T000000Z.vol1.difftar.gz
            duplicity-full-signatures.20240101T000000Z.sigtar.gz notes.txt");
        assert_eq!(weakest(&found), None);
        assert_eq!(found.leftovers, []);
    }

    #[test]
    fn names_tell_what_is_missing() {
        let found =
            of("duplicity-full.20240101T000000Z.manifest duplicity-full.20240101T000000Z.vol2.difftar.gz
            duplicity-full.20240101T000000Z.vol4.difftar.gz
            duplicity-inc.20240101T000000Z.to.20240102T000000Z.manifest.gpg
            duplicity-new-signatures.20240101T000000Z.to.20240102T000000Z.sigtar.gpg");
        let sets = &found.chains[0].sets;
        assert_eq!((&sets[0].missing_volumes[..], sets[0].has_signatures), (&[1, 3][..], false));
        assert_eq!((&sets[1].missing_volumes[..], sets[1].has_signatures), (&[1][..], true));
        assert_eq!(weakest(&found), Some(("20240101T000000Z".to_owned(), Weakness::MissingVolumes)));
    }

    #[test]
    fn the_gravest_weakness_counts() {
        let found =
            of("duplicity-full.20240101T000000Z.manifest duplicity-full.20240101T000000Z.vol1.difftar.gz
            duplicity-full-signatures.20240101T000000Z.sigtar.gz
            duplicity-inc.20240101T000000Z.to.20240102T000000Z.manifest.gpg
            duplicity-inc.20240101T000000Z.to.20240102T000000Z.vol1.difftar.gpg");
        assert_eq!(weakest(&found), Some(("20240102T000000Z".to_owned(), Weakness::NoSignatures)));
        let found =
            of("duplicity-full.20240101T000000Z.manifest duplicity-full.20240101T000000Z.vol1.difftar.gz
            duplicity-full-signatures.20240101T000000Z.sigtar.gz
            duplicity-inc.20240101T000000Z.to.20240102T000000Z.manifest.gpg
            duplicity-new-signatures.20240101T000000Z.to.20240102T000000Z.sigtar.gpg
            duplicity-inc.20240101T000000Z.to.20240102T000000Z.vol1.difftar.gpg");
        assert_eq!(weakest(&found), Some(("20240101T000000Z".to_owned(), Weakness::NotEncrypted)));
    }

    #[test]
    fn leftovers_say_why_they_are_not_used() {
        let found = of("duplicity-full.20240101T000000Z.manifest
            duplicity-inc.20240101T000000Z.to.20240102T000000Z.manifest
            duplicity-inc.20240101T000000Z.to.20240103T000000Z.manifest
            duplicity-inc.20240110T000000Z.to.20240111T000000Z.manifest
            duplicity-full.20240120T000000Z.vol1.difftar.gz duplicity-full.20240120T000000Z.vol2.difftar.gz
            duplicity-full-signatures.20240121T000000Z.sigtar.gz
            duplicity-full.20240122T000000Z.manifest.p7m .souvenir-upload-x");
        let start = SetTime::parse("20240110T000000Z").unwrap();
        let why: Vec<_> =
            found.leftovers.iter().map(|leftover| (leftover.why, leftover.file_count)).collect();
        assert_eq!(
            why,
            [
                (Unused::Replaced, 1),
                (Unused::Orphaned { start }, 1),
                (Unused::Unfinished, 2),
                (Unused::OnlySignatures, 1),
                (Unused::Unreadable, 1),
                (Unused::Upload, 1),
            ]
        );
        assert_eq!(found.leftovers[2].stored_bytes, 20);
        // What was told before there were reasons.
        assert_eq!(found.incomplete.len(), 5);
    }
}
