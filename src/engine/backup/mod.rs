//! Making a backup set.
//!
//! What there is to say is found first ([`changes`]): everything for a full set, for an incremental one
//! what differs from the chain. Volumes are planned ([`plan`]) and made side by side ([`volume`]); their
//! signatures are put in a row as they come; the manifest is stored last, and until then the set does
//! not exist. If anything fails, what was stored of the set is deleted again.

mod changes;
mod intake;
mod pipeline;
mod plan;
mod volume;

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::chain::{Chain, Collection, FullPolicy, FullReason, Set};
use super::crypto::{CryptoError, Encryption, Keyring, Opener, Passphrases, Protection, Sealer};
use super::error::{Error, Result};
use super::format::manifest::Manifest;
use super::format::name::{Codec, FileName, Part, SetKind};
use super::format::time::SetTime;
use super::job::{Job, Phase, Warning};
use super::known::KnownTree;
use super::path::EntryPath;
use super::restore::{MANIFEST_LIMIT, read_manifest};
use super::scan::{Selection, Tree, Walk};
use super::status::foreign_repository;
use super::storage::{Storage, StorageErrorKind, StoredFile};
use super::stored::{Stored, StoredWriter, read_small};
use changes::Changes;

/// Size that a volume aims at unless told otherwise, in MiB. duplicity's own default is 200; with less,
/// one file comes back sooner, since a whole volume has to be fetched for it, and the work spreads
/// evenly over the processors.
pub const DEFAULT_VOLUME_MIB: u64 = 64;

/// What to back up, where to, and how.
#[derive(Debug)]
pub struct BackupRequest<'a> {
    /// The folder that paths in the backup are relative to.
    pub root: &'a Path,
    /// What under the root is backed up.
    pub selection: &'a Selection,
    /// Where to.
    pub storage: &'a dyn Storage,
    /// Who can read it.
    pub protection: &'a Protection,
    /// Where gpg's keys are.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
    /// Size that a volume aims at, in bytes of file contents before compression.
    pub volume_bytes: u64,
    /// The time of the set; now, if none.
    pub set_time: Option<SetTime>,
    /// Full or incremental.
    pub kind: BackupKind,
    /// How changed files are found.
    pub compare: Compare,
    /// Whether a chain may be extended that another machine made, or one of another folder.
    pub allow_source_mismatch: bool,
}

/// Whether a set stands on its own or builds on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupKind {
    /// Extends the newest chain, unless a full set is due or there is nothing to extend.
    Auto(FullPolicy),
    /// A full set.
    Full,
    /// Extends the newest chain or fails.
    Incremental,
}

/// How it is found out whether a regular file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compare {
    /// By size, time, mode and owner.
    #[default]
    Attributes,
    /// Every file is read and compared with its signature.
    Contents,
}

/// What a backup did.
#[derive(Debug, Clone)]
pub struct BackupSummary {
    /// The new set's time.
    pub set_time: SetTime,
    /// Why the set is a full one; none for an incremental one.
    pub full_because: Option<FullReason>,
    /// Entries in the set.
    pub entry_count: u64,
    /// Of these, files stored as a difference to an earlier state.
    pub delta_count: u64,
    /// Paths that are gone since the set before.
    pub deleted_count: u64,
    /// Bytes of file contents read.
    pub source_bytes: u64,
    /// Bytes stored: volumes, signatures and manifest.
    pub stored_bytes: u64,
    /// Volumes written.
    pub volume_count: u32,
    /// Warnings given.
    pub warning_count: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl BackupSummary {
    /// Whether the set stands on its own.
    pub fn is_full(&self) -> bool {
        self.full_because.is_some()
    }
}

/// Writes a set.
///
/// Nothing that is at the destination is changed. The set's time is later than that of every set
/// there, even if the clock went back. If the signatures of the chain turn out to be damaged, a backup
/// of [`BackupKind::Auto`] becomes a full one.
pub fn backup(request: &BackupRequest<'_>, job: &Job) -> Result<BackupSummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let tree = open_source(request.root)?;
    let destination = LeftOut::find(request)?;
    request.keyring.check(request.protection)?;
    let collection = look_at(request.storage)?;
    for set in &collection.incomplete {
        job.warn(Warning::Incomplete { name: set.name() });
    }
    know_passphrase(request, &collection, job)?;
    let time = set_time(request.set_time, collection.latest_time())?;
    let absent = request.selection.missing_folders(&tree);
    for path in &absent {
        job.warn(Warning::FolderMissing { path: path.clone() });
    }
    let walk = |warns| Walk::new(&tree, request.selection, &destination.0, warns, job);
    // A drive that is not mounted looks like an empty folder.
    if !Changes::finds_something(walk(false)?)? {
        return Err(Error::SourceEmpty(request.root.to_owned()));
    }
    let sealer = Sealer::new(request.keyring, request.protection, request.passphrases, job)?;
    let store = |kind, changes| {
        let codec = if request.protection.is_openpgp() { Codec::OpenPgp } else { Codec::Gzip };
        let (tree, left_out) = (&tree, &destination.0[..]);
        let (sealer, stored) = (sealer.clone(), Mutex::default());
        NewSet { request, tree, left_out, sealer, kind, codec, stored, job }.store_all(changes)
    };

    let full_because = match choose(request, &collection, time, job)? {
        Choice::Full(reason) => reason,
        Choice::Extend(chain) => {
            job.phase(Phase::BackingUp);
            let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
            let made = KnownTree::open(request.storage, &chain.sets, &opener, job).and_then(|known| {
                let changes = Changes::since(&tree, walk(true)?, known, absent, request.compare, job);
                store(SetKind::Incremental { start: chain.end(), end: time }, changes)
            });
            match made {
                Err(error) if is_damage(&error) && request.kind != BackupKind::Incremental => {
                    let set = chain.sets.last().map(Set::name).unwrap_or_default();
                    job.warn(Warning::Damaged { file: set.clone(), reason: error.to_string(), lost: None });
                    FullReason::NoSignatures { set }
                }
                made => return Ok(summary(made?, None, time, started, job)),
            }
        }
    };
    job.phase(Phase::BackingUp);
    let changes = Changes::everything(&tree, walk(true)?, job);
    let made = store(SetKind::Full { time }, changes)?;
    Ok(summary(made, Some(full_because), time, started, job))
}

fn summary(
    made: pipeline::Made,
    full_because: Option<FullReason>,
    set_time: SetTime,
    started: Instant,
    job: &Job,
) -> BackupSummary {
    BackupSummary {
        set_time,
        full_because,
        entry_count: made.counts.entry_count,
        delta_count: made.counts.delta_count,
        deleted_count: made.counts.deleted_count,
        source_bytes: made.counts.source_bytes,
        stored_bytes: made.stored_bytes,
        volume_count: u32::try_from(made.volumes.len()).unwrap_or(u32::MAX),
        warning_count: job.warning_count(),
        elapsed: started.elapsed(),
    }
}

/// What kind of set is made.
enum Choice<'a> {
    Full(FullReason),
    Extend(&'a Chain),
}

/// Decides what kind of set is made. Only the newest chain is ever extended: two chains that cover the
/// same time are one too many for duplicity.
fn choose<'a>(
    request: &BackupRequest<'_>,
    collection: &'a Collection,
    now: SetTime,
    job: &Job,
) -> Result<Choice<'a>> {
    let policy = match request.kind {
        BackupKind::Full => return Ok(Choice::Full(FullReason::Asked)),
        BackupKind::Auto(policy) => Some(policy),
        BackupKind::Incremental => None,
    };
    let reason = match collection.chains.last() {
        None => FullReason::First,
        Some(chain) => {
            let is_encrypted = chain.sets.last().is_some_and(Set::is_encrypted);
            let other_protection = is_encrypted != request.protection.is_openpgp();
            let reason = chain
                .cannot_be_extended()
                .or_else(|| (policy.is_some() && other_protection).then_some(FullReason::Protection))
                .or_else(|| policy.and_then(|policy| policy.full_is_due(chain, now)));
            match reason {
                None => return mind_the_source(request, chain, job),
                Some(reason) => reason,
            }
        }
    };
    match policy {
        Some(_) => Ok(Choice::Full(reason)),
        None => Err(Error::CannotExtend { location: request.storage.location(), reason }),
    }
}

/// A chain of another machine or folder is left alone: what would be stored as changed and as gone is
/// everything.
fn mind_the_source<'a>(request: &BackupRequest<'_>, chain: &'a Chain, job: &Job) -> Result<Choice<'a>> {
    let Some(last) = chain.sets.last().filter(|_| !request.allow_source_mismatch) else {
        return Ok(Choice::Extend(chain));
    };
    let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
    let manifest = match read_manifest(request.storage, last, &opener, job) {
        // Damaged, so it says nothing. What it says of volumes is not needed here.
        Err(error) if is_damage(&error) => return Ok(Choice::Extend(chain)),
        manifest => manifest?,
    };
    let differs = |theirs: &Option<Vec<u8>>, ours: Option<Vec<u8>>| match (theirs, ours) {
        (Some(theirs), Some(ours)) => *theirs != ours,
        _ => false,
    };
    let is_other = differs(&manifest.host_name, host_name())
        || differs(&manifest.local_dir, Some(local_dir(request.root)));
    if !is_other {
        return Ok(Choice::Extend(chain));
    }
    let text = |name: Option<Vec<u8>>| name.map(|name| String::from_utf8_lossy(&name).into_owned());
    let found = format!(
        "{} on {}",
        text(manifest.local_dir).unwrap_or_default(),
        text(manifest.host_name).unwrap_or_default()
    );
    if request.kind == BackupKind::Incremental {
        return Err(Error::OtherSource { found });
    }
    Ok(Choice::Full(FullReason::OtherSource { found }))
}

/// Whether the error is about what a stored file holds.
fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. } | Error::Crypto { source: CryptoError::Damaged(_), .. })
}

/// A set while it is made.
struct NewSet<'a> {
    request: &'a BackupRequest<'a>,
    tree: &'a Tree,
    left_out: &'a [EntryPath],
    sealer: Sealer,
    kind: SetKind,
    codec: Codec,
    /// Names of the files that are stored already.
    stored: Mutex<Vec<String>>,
    job: &'a Job,
}

impl NewSet<'_> {
    /// Stores the set. If that fails, nothing of it stays.
    fn store_all(&self, changes: Changes<'_>) -> Result<pipeline::Made> {
        let result = self.store(changes).and_then(|mut made| {
            made.stored_bytes += self.store_manifest(&made)?;
            Ok(made)
        });
        if result.is_err() {
            self.delete_what_was_stored();
        }
        result
    }

    fn file(&self, part: Part) -> FileName {
        let codec = match (part, self.codec) {
            // duplicity never compresses a manifest.
            (Part::Manifest, Codec::Gzip) => Codec::Plain,
            (_, codec) => codec,
        };
        FileName { set: self.kind, part, codec }
    }

    fn create(&self, part: Part) -> Result<StoredWriter> {
        StoredWriter::create(self.request.storage, self.file(part), &self.sealer, self.job)
    }

    /// Completes a file of the set.
    fn finish(&self, writer: StoredWriter) -> Result<Stored> {
        let stored = writer.finish()?;
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).push(stored.name.clone());
        Ok(stored)
    }

    /// Stores the manifest, which makes the set exist. Returns its size in bytes.
    fn store_manifest(&self, made: &pipeline::Made) -> Result<u64> {
        use std::io::Write;
        let manifest = Manifest {
            host_name: host_name(),
            local_dir: Some(local_dir(self.request.root)),
            volumes: made.volumes.clone(),
        };
        let mut writer = self.create(Part::Manifest)?;
        writer.write_all(&manifest.to_bytes()).map_err(|error| writer.fail(error))?;
        self.job.check()?;
        Ok(self.finish(writer)?.size_bytes)
    }

    /// A set that failed leaves nothing: duplicity stumbles over volumes without a manifest. What
    /// cannot be deleted (the destination may be gone) is an unfinished set, which nobody reads.
    fn delete_what_was_stored(&self) {
        // Only what this run stored: another one may have begun a set in the same second.
        for name in self.stored.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Err(error) = self.request.storage.delete(&name) {
                tracing::warn!(%error, "a file of the failed set stays");
            }
        }
    }
}

fn open_source(root: &Path) -> Result<Tree> {
    Tree::open(root).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::SourceMissing(root.to_owned()),
        _ => Error::SourceUnreadable { path: root.to_owned(), source },
    })
}

/// Makes sure of the passphrase before anything is sealed with it. The first one of a destination is
/// typed twice, since a slip of the fingers would lock the backup for ever; a later one has to open
/// what is there.
fn know_passphrase(request: &BackupRequest<'_>, collection: &Collection, job: &Job) -> Result<()> {
    if request.protection.encryption != Encryption::Passphrase {
        return Ok(());
    }
    let newest = collection.chains.last().and_then(|chain| chain.sets.last());
    let manifest = newest.filter(|set| set.is_encrypted()).and_then(|set| set.manifest.as_ref());
    let Some(manifest) = manifest else {
        return request.passphrases.new_archive(job).map(drop);
    };
    let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
    match read_small(request.storage, &manifest.name, &opener, MANIFEST_LIMIT, job) {
        Err(
            error @ (Error::Cancelled(_) | Error::Crypto { source: CryptoError::WrongPassphrase { .. }, .. }),
        ) => Err(error),
        Err(error @ Error::Crypto { source: CryptoError::PassphraseNeeded { .. }, .. }) => Err(error),
        // It was read, or it is damaged or sealed to a key and proves nothing.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The destination's files. A destination that does not exist yet is an empty one.
fn look_at(storage: &dyn Storage) -> Result<Collection> {
    let files: Vec<StoredFile> = match storage.list() {
        Ok(files) => files,
        Err(error) if error.kind == StorageErrorKind::NotFound => return Ok(Collection::default()),
        Err(error) => return Err(error.into()),
    };
    if let Some(kind) = foreign_repository(storage, &files)? {
        return Err(Error::ForeignRepository { location: storage.location(), kind });
    }
    Ok(Collection::new(files))
}

/// A time that was asked for must be later than every set's; the clock's is made so.
fn set_time(wanted: Option<SetTime>, latest: Option<SetTime>) -> Result<SetTime> {
    match (wanted, latest) {
        (Some(wanted), Some(latest)) if wanted <= latest => {
            Err(Error::TimeNotLater { existing: latest.to_string() })
        }
        (Some(wanted), _) => Ok(wanted),
        (None, Some(latest)) if SetTime::now() <= latest => SetTime::from_epoch(latest.epoch() + 1)
            .ok_or_else(|| Error::TimeNotLater { existing: latest.to_string() }),
        (None, _) => Ok(SetTime::now()),
    }
}

/// The root as duplicity writes it into the manifest and compares it: without doubled slashes, `.`
/// components and a slash at the end, but neither made absolute nor resolved.
fn local_dir(root: &Path) -> Vec<u8> {
    let path: PathBuf = root.components().collect();
    let bytes = path.into_os_string().into_vec();
    if bytes.is_empty() { b".".to_vec() } else { bytes }
}

fn host_name() -> Option<Vec<u8>> {
    nix::unistd::gethostname().ok().map(OsStringExt::into_vec)
}

/// The destination's folder where it lies in the source.
struct LeftOut(Vec<EntryPath>);

impl LeftOut {
    fn find(request: &BackupRequest<'_>) -> Result<Self> {
        let Some(folder) = request.storage.local_folder() else { return Ok(Self(Vec::new())) };
        let unreadable = |source| Error::SourceUnreadable { path: request.root.to_owned(), source };
        let root = request.root.canonicalize().map_err(unreadable)?;
        let folder = resolve(folder)
            .map_err(|source| Error::Local { action: "looking at the destination", source })?;
        match folder.strip_prefix(&root) {
            Ok(inside) if inside.as_os_str().is_empty() => {
                Err(Error::DestinationIsSource(request.root.to_owned()))
            }
            Ok(inside) => Ok(Self(EntryPath::from_user(inside).into_iter().collect())),
            Err(_) => Ok(Self(Vec::new())),
        }
    }
}

/// The real path of a folder that may not exist yet.
fn resolve(folder: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(folder)?;
    for ancestor in absolute.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    Ok(absolute)
}
