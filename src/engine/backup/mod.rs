//! Making a backup set.
//!
//! What there is to say is found first ([`changes`]): everything for a full set, for an incremental one
//! what differs from the chain. Volumes are planned ([`plan`]) and made side by side ([`volume`]); their
//! signatures are put in a row as they come; the manifest is stored last, and until then the set does
//! not exist. What an interrupted run has finished, the next one takes as it is ([`staging`]).

mod changes;
mod choose;
mod fingerprint;
mod intake;
mod new_set;
mod pipeline;
mod plan;
mod room;
mod source;
pub(crate) mod staging;
mod volume;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::chain::{Collection, FullPolicy, FullReason, Set};
use super::copies::Copies;
use super::crypto::{Keyring, Opener, Passphrases, Protection, Sealer};
use super::error::{Error, Result};
use super::format::name::SetKind;
use super::format::time::SetTime;
use super::job::{Job, Phase, Warning};
use super::known::KnownTree;
use super::origin::host_name;
use super::scan::{Selection, Walk};
use super::status::foreign_repository;
use super::storage::{Lock, LockGuard, Storage, StorageErrorKind, StoredFile};
pub(crate) use changes::{Absent, Change, Changes};
use choose::{Choice, choose, know_passphrase, set_time, unfinished_set};
use new_set::{Begun, NewSet};
use room::Room;
use source::LeftOut;
pub(crate) use source::{open_source, resolve};
use staging::{Leftovers, Staged};
pub(crate) use staging::{is_copy, is_unfinished};

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
    /// Size that a volume aims at, in bytes of file contents before compression. Less is taken where the file
    /// system does not hold such large files.
    pub volume_bytes: u64,
    /// The time of the set; now, if none.
    pub set_time: Option<SetTime>,
    /// Full or incremental.
    pub kind: BackupKind,
    /// How changed files are found.
    pub compare: Compare,
    /// Copies of manifests and signatures on this machine.
    pub copies: &'a Copies,
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
    /// By size, time, mode and owner, and by the inode and its change time where the chain knows them.
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
/// of [`BackupKind::Auto`] becomes a full one. Finished volumes of an interrupted run are taken as they
/// are, and with them its time.
pub fn backup(request: &BackupRequest<'_>, job: &Job) -> Result<BackupSummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let tree = open_source(request.root)?;
    let destination = LeftOut::find(request)?;
    request.keyring.check(request.protection)?;
    let (collection, files) = look_at(request.storage)?;
    // One that was just getting its names is not left as it is, but taken back and gone on with.
    let taken_back: Vec<SetKind> =
        files.iter().filter_map(|file| staging::almost_finished(&file.name)).collect();
    for set in collection.incomplete.iter().filter(|set| !taken_back.contains(&set.kind)) {
        job.warn(Warning::Incomplete { name: set.name() });
    }
    know_passphrase(request, &collection, job)?;
    let absent = Absent::look(request.selection, &tree, job);
    let walk = |warns| Walk::new(&tree, request.selection, &destination.0, warns, job);
    // A drive that is not mounted looks like an empty folder.
    if !Changes::finds_something(walk(false)?)? {
        return Err(Error::SourceEmpty(request.root.to_owned()));
    }
    let sealer = Sealer::new(request.keyring, request.protection, request.passphrases, job)?;
    let lock = lock(request.storage)?;
    // Somebody may have been at work until now.
    let (collection, files) = look_at(request.storage)?;
    // A drive that is away looks like an empty destination.
    if !files.is_empty() {
        request.copies.keep_only(&files);
    }
    let mut leftovers = Leftovers::find(request.storage, &files, job)?;
    let latest = collection.latest_time();
    let time = set_time(request.set_time, latest)?;
    let choice = choose(request, &collection, time, job)?;
    let unfinished = unfinished_set(request, &leftovers, &choice, latest, job)?;
    let finished = leftovers.keep_only(unfinished, request.storage);
    let time = unfinished.map_or(time, SetKind::time);
    let new_set = |kind, finished: HashMap<Staged, u64>| {
        let room = Room::look(request.storage, &collection, kind, finished.values().sum());
        NewSet::new(request, &tree, &destination.0, sealer.clone(), Begun { kind, finished, room }, job)
    };

    let (full_because, finished) = match choice {
        Choice::Full(reason) => (reason, finished),
        Choice::Extend(chain) => {
            job.phase(Phase::BackingUp);
            let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
            let extend = |finished| {
                let set = new_set(SetKind::Incremental { start: chain.end(), end: time }, finished);
                let known = KnownTree::open(request.storage, request.copies, &chain.sets, &opener, job)?;
                let (walk, absent) = (walk(true)?, absent.clone());
                set.store_all(Changes::since(&tree, walk, known, absent, request.compare, job), &lock)
            };
            let mut made = extend(finished);
            // It may be the copies that are damaged, and not what is stored.
            if made.as_ref().is_err_and(Error::is_damage) && request.copies.delete_all() {
                made = extend(Default::default());
            }
            match made {
                Err(error) if error.is_damage() && request.kind != BackupKind::Incremental => {
                    let set = chain.sets.last().map(Set::name).unwrap_or_default();
                    job.warn(Warning::damaged(set.clone(), &error, None));
                    (FullReason::NoSignatures { set }, Default::default())
                }
                made => return Ok(summary(made?, None, time, started, job)),
            }
        }
    };
    job.phase(Phase::BackingUp);
    let changes = Changes::everything(&tree, walk(true)?, absent, job);
    let made = new_set(SetKind::Full { time }, finished).store_all(changes, &lock)?;
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

/// The destination's files. A destination that does not exist yet is an empty one.
fn look_at(storage: &dyn Storage) -> Result<(Collection, Vec<StoredFile>)> {
    let files: Vec<StoredFile> = match storage.list() {
        Ok(files) => files,
        Err(error) if error.kind == StorageErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(error.into()),
    };
    if let Some(kind) = foreign_repository(storage, &files)? {
        return Err(Error::ForeignRepository { location: storage.location(), kind });
    }
    Ok((Collection::new(files.clone()), files))
}

/// Keeps other runs away from the destination.
pub(crate) fn lock(storage: &dyn Storage) -> Result<LockGuard> {
    let host = host_name().unwrap_or_default();
    let holder = format!(
        "process {} on {}, since {}",
        std::process::id(),
        String::from_utf8_lossy(&host),
        jiff::Zoned::now().strftime("%Y-%m-%d %H:%M")
    );
    match storage.lock(&holder)? {
        Lock::Held(guard) => Ok(guard),
        Lock::Busy(holder) => Err(Error::Busy { location: storage.location(), holder }),
    }
}
