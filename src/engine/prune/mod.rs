//! Deleting old backups, and what was left behind by runs that did not end well.
//!
//! What may go is decided by [`chain`](super::chain); here it is deleted, in an order that leaves only
//! whole sets and unused files whenever it stops. A file that cannot be deleted is a warning.

mod cleanup;
mod deleter;

use std::time::{Duration, Instant};

use super::backup::lock;
use super::chain::Collection;
use super::chain::removal::{Kept, Policy};
use super::chain::retention::Reason;
use super::error::{Error, Result};
use super::format::time::SetTime;
use super::job::{Job, Phase, Warning};
use super::status::foreign_repository;
use super::storage::{LockGuard, Storage, StoredFile};
pub use cleanup::{CleanupRequest, CleanupSummary, cleanup};
pub use deleter::DeletedSet;
use deleter::Deleter;

/// Whether files are deleted, or only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Delete.
    Delete,
    /// Say what would be deleted.
    DryRun,
}

/// What to delete, and where.
#[derive(Debug)]
pub struct PruneRequest<'a> {
    /// Where.
    pub storage: &'a dyn Storage,
    /// Which sets.
    pub policy: &'a Policy,
    /// Whether really.
    pub mode: Mode,
}

/// What was deleted; or, in a dry run, what would have been.
#[derive(Debug, Clone)]
pub struct PruneSummary {
    /// Where.
    pub location: String,
    /// Whether really.
    pub mode: Mode,
    /// Sets, in the order in which they went.
    pub deleted: Vec<DeletedSet>,
    /// Files, also those that were left of sets that are gone.
    pub file_count: u64,
    /// Bytes of the files.
    pub deleted_bytes: u64,
    /// Sets of chains that stay, oldest chain first.
    pub kept: Vec<KeptSet>,
    /// Warnings given.
    pub warning_count: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// A set that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSet {
    /// Its time.
    pub time: SetTime,
    /// Whether it stands on its own.
    pub full: bool,
    /// Why it stays.
    pub reasons: Vec<Reason>,
}

/// Deletes the sets that a policy lets go.
///
/// If it is stopped at any point, what is left can be read by Souvenir and by duplicity: sets that are
/// whole, and files that belong to no set, for [`cleanup`].
pub fn prune(request: &PruneRequest<'_>, job: &Job) -> Result<PruneSummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let place = Place::open(request.storage, request.mode)?;
    let Place { files, lock } = place;
    let collection = Collection::new(files);
    let removal = collection.removal(request.policy);
    for kept in &removal.kept {
        if kept.reasons.contains(&Reason::PartlyHidden) {
            job.warn(stays(&kept.set.name()));
        }
    }

    job.phase(Phase::Deleting);
    let mut deleter = Deleter::new(request.storage, request.mode, job);
    let doomed = removal.chains.iter().flatten().chain(&removal.signatures);
    deleter.expect(doomed.flat_map(|set| set.files()));
    let mut deleted = Vec::new();
    for chain in &removal.chains {
        for set in chain {
            lock.as_ref().map_or(Ok(()), LockGuard::check)?;
            // What a set builds on outlives it.
            let Some(done) = deleter.set(set)? else { break };
            deleted.push(done);
        }
    }
    for set in &removal.signatures {
        deleter.set(set)?;
    }
    let (file_count, deleted_bytes) = deleter.finish()?;
    Ok(PruneSummary {
        location: request.storage.location(),
        mode: request.mode,
        deleted,
        file_count,
        deleted_bytes,
        kept: removal.kept.into_iter().map(KeptSet::from).collect(),
        warning_count: job.warning_count(),
        elapsed: started.elapsed(),
    })
}

impl From<Kept<'_>> for KeptSet {
    fn from(kept: Kept<'_>) -> Self {
        Self { time: kept.set.kind.time(), full: kept.set.kind.is_full(), reasons: kept.reasons }
    }
}

/// A place in which something may be deleted.
struct Place {
    files: Vec<StoredFile>,
    /// Keeps other runs of Souvenir away; not in a dry run, which writes nothing at all.
    lock: Option<LockGuard>,
}

impl Place {
    fn open(storage: &dyn Storage, mode: Mode) -> Result<Self> {
        let refuse_foreign = |files: &[StoredFile]| match foreign_repository(storage, files)? {
            Some(kind) => Err(Error::ForeignRepository { location: storage.location(), kind }),
            None => Ok(()),
        };
        let files = storage.list()?;
        refuse_foreign(&files)?;
        if mode == Mode::DryRun {
            return Ok(Self { files, lock: None });
        }
        let lock = lock(storage)?;
        // What was there before may have changed until the lock was ours.
        Ok(Self { files: storage.list()?, lock: Some(lock) })
    }
}

/// The warning of a set of which more is there than can be told.
fn stays(name: &str) -> Warning {
    let reason = "there are more files of its set, or of one that builds on it, with a prefix or of a kind \
        that cannot be read"
        .to_owned();
    Warning::NotDeleted { file: name.to_owned(), reason }
}
