//! Making a backup set.
//!
//! Volumes are planned first ([`plan`]) and made side by side ([`volume`]); their signatures are put in
//! a row as they come; the manifest is stored last, and until then the set does not exist. If anything
//! fails, what was stored of the set is deleted again.

mod pipeline;
mod plan;
mod volume;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::chain::Collection;
use super::crypto::{CryptoError, Encryption, Keyring, Opener, Passphrases, Protection, Sealer};
use super::error::{Error, Result};
use super::format::manifest::Manifest;
use super::format::name::{Codec, FileName, Part, SetKind};
use super::format::time::SetTime;
use super::job::{Job, Phase, Warning};
use super::path::EntryPath;
use super::restore::MANIFEST_LIMIT;
use super::scan::{Selection, Tree, Walk};
use super::status::foreign_repository;
use super::storage::{Storage, StorageErrorKind, StoredFile};
use super::stored::{Stored, StoredWriter, read_small};

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
}

/// What a backup did.
#[derive(Debug, Clone)]
pub struct BackupSummary {
    /// The new set's time.
    pub set_time: SetTime,
    /// Entries in the set.
    pub entry_count: u64,
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

/// Writes a full set.
///
/// Nothing that is at the destination is changed. The set's time is later than that of every set
/// there, even if the clock went back.
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
    for path in request.selection.missing_folders(&tree) {
        job.warn(Warning::FolderMissing { path });
    }
    let mut walk = Walk::new(&tree, request.selection, &destination.0, true, job)?;
    let first = plan::first_volume_has_entries(&mut walk)?;
    let first = first.ok_or_else(|| Error::SourceEmpty(request.root.to_owned()))?;

    let set = NewSet {
        request,
        tree: &tree,
        left_out: &destination.0,
        sealer: Sealer::new(request.keyring, request.protection, request.passphrases, job)?,
        kind: SetKind::Full { time },
        codec: if request.protection.is_openpgp() { Codec::OpenPgp } else { Codec::Gzip },
        stored: Mutex::new(Vec::new()),
        job,
    };
    job.phase(Phase::BackingUp);
    let result = set.store(first, walk).and_then(|made| {
        let stored_bytes = made.stored_bytes + set.store_manifest(&made)?;
        Ok(BackupSummary {
            set_time: time,
            entry_count: made.entry_count,
            source_bytes: made.source_bytes,
            stored_bytes,
            volume_count: u32::try_from(made.volumes.len()).unwrap_or(u32::MAX),
            warning_count: job.warning_count(),
            elapsed: started.elapsed(),
        })
    });
    if result.is_err() {
        set.delete_what_was_stored();
    }
    result
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
        use std::os::unix::ffi::OsStrExt;
        let manifest = Manifest {
            host_name: nix::unistd::gethostname().ok().map(|name| name.as_bytes().to_vec()),
            local_dir: Some(local_dir(self.request.root).as_os_str().as_bytes().to_vec()),
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
fn local_dir(root: &Path) -> PathBuf {
    let path: PathBuf = root.components().collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
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
