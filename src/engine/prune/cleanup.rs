//! What runs that did not end well have left behind.
//!
//! An unfinished set looks the same whether its run was killed or is under way. Runs of Souvenir are kept
//! away by the lock of the place, where it has one, but duplicity's are not. So the set is deleted only
//! when nothing at the place has been written to for a while: no file of any unfinished set, and no file
//! that is not whole yet. A run that is alive writes all the time. Where the place cannot tell when a file
//! was written, unfinished sets stay, unless the caller says that nothing is under way by asking for no
//! wait at all.
//!
//! What the next backup goes on with is no leftover: finished volumes of an interrupted run, and a set that
//! was interrupted just before its manifest.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use super::deleter::{DeletedSet, Deleter};
use super::{Mode, Place, stays};
use crate::engine::backup::is_copy;
use crate::engine::backup::staging::almost_finished;
use crate::engine::chain::{Collection, Set};
use crate::engine::error::{Error, Result};
use crate::engine::format::name::SetKind;
use crate::engine::job::{Job, Phase};
use crate::engine::storage::{Storage, StorageErrorKind, StoredFile, UPLOAD_PREFIX};

/// Where to clean up.
#[derive(Debug)]
pub struct CleanupRequest<'a> {
    /// Where.
    pub storage: &'a dyn Storage,
    /// Whether really.
    pub mode: Mode,
    /// For how long nothing must have been written to what is unfinished. Zero says that no backup is
    /// under way.
    pub untouched_for: Duration,
    /// The time by the clock of the place, as far as that is known.
    pub now: SystemTime,
}

/// What was deleted; or, in a dry run, what would have been.
#[derive(Debug, Clone)]
pub struct CleanupSummary {
    /// Where.
    pub location: String,
    /// Whether really.
    pub mode: Mode,
    /// Incremental sets that followed no other set.
    pub orphaned: Vec<DeletedSet>,
    /// Sets that were never finished.
    pub unfinished: Vec<DeletedSet>,
    /// Signature files that followed nothing, and files that were not whole.
    pub single_files: Vec<String>,
    /// Files, of sets and single ones.
    pub file_count: u64,
    /// Bytes of the files.
    pub deleted_bytes: u64,
    /// Unfinished sets and files that stay, since they may belong to a run that is under way.
    pub in_use: Vec<String>,
    /// Warnings given.
    pub warning_count: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Deletes what no state is made of. A set that another run may be making right now stays.
pub fn cleanup(request: &CleanupRequest<'_>, job: &Job) -> Result<CleanupSummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let Place { files, lock: _lock } = Place::open(request.storage, request.mode)?;
    let almost_finished: HashSet<SetKind> =
        files.iter().filter_map(|file| almost_finished(&file.name)).collect();
    let uploads: Vec<StoredFile> = files.iter().filter(|file| is_upload(&file.name)).cloned().collect();
    let collection = Collection::new(files);
    let leftovers = collection.leftovers();
    for set in &leftovers.partly_hidden {
        job.warn(stays(&set.name()));
    }
    let unfinished_files = || leftovers.unfinished.iter().flat_map(|set| set.files()).chain(&uploads);
    let is_quiet = is_untouched(request, unfinished_files(), job)?;
    let (unfinished, uploads, in_use): (Vec<&Set>, Vec<StoredFile>, Vec<String>) = if is_quiet {
        let (waiting, unfinished): (Vec<&Set>, Vec<&Set>) = leftovers
            .unfinished
            .into_iter()
            .partition(|set| !request.untouched_for.is_zero() && almost_finished.contains(&set.kind));
        (unfinished, uploads, waiting.into_iter().map(Set::name).collect())
    } else {
        let names = leftovers.unfinished.iter().map(|set| set.name());
        let mut in_use: Vec<String> = names.collect();
        // Files of other runs can be told apart: each is written by one run only.
        let mut old = Vec::new();
        for file in uploads {
            match is_untouched(request, std::iter::once(&file), job)? {
                true => old.push(file),
                false => in_use.push(file.name),
            }
        }
        (Vec::new(), old, in_use)
    };

    job.phase(Phase::Deleting);
    let mut deleter = Deleter::new(request.storage, request.mode, job);
    let sets = leftovers.orphaned.iter().chain(&unfinished).chain(&leftovers.signatures);
    deleter.expect(sets.flat_map(|set| set.files()).chain(&uploads));
    let (mut orphaned_done, mut unfinished_done, mut single_files) = (Vec::new(), Vec::new(), Vec::new());
    for set in &leftovers.orphaned {
        orphaned_done.extend(deleter.set(set)?);
    }
    for set in &unfinished {
        unfinished_done.extend(deleter.set(set)?.filter(|done| done.file_count > 0));
    }
    for file in leftovers.signatures.iter().flat_map(|set| set.in_deletion_order()).chain(&uploads) {
        if deleter.file(file)? {
            single_files.push(file.name.clone());
        }
    }
    let (file_count, deleted_bytes) = deleter.finish()?;
    Ok(CleanupSummary {
        location: request.storage.location(),
        mode: request.mode,
        orphaned: orphaned_done,
        unfinished: unfinished_done,
        single_files,
        file_count,
        deleted_bytes,
        in_use,
        warning_count: job.warning_count(),
        elapsed: started.elapsed(),
    })
}

/// Whether a file is not whole, or belongs to a copy that was interrupted.
fn is_upload(name: &str) -> bool {
    name.starts_with(UPLOAD_PREFIX) || is_copy(name)
}

/// Whether none of the files has been written to for long enough.
fn is_untouched<'f>(
    request: &CleanupRequest<'_>,
    files: impl Iterator<Item = &'f StoredFile>,
    job: &Job,
) -> Result<bool> {
    if request.untouched_for.is_zero() {
        return Ok(true);
    }
    for file in files {
        job.check()?;
        let modified = match request.storage.modified(&file.name) {
            Ok(modified) => modified,
            // It has just become whole, or was deleted: somebody is at work.
            Err(error) if error.kind == StorageErrorKind::NotFound => None,
            Err(error) => return Err(Error::from(error)),
        };
        // A time that is still to come says nothing.
        let age = modified.and_then(|modified| request.now.duration_since(modified).ok());
        if age.is_none_or(|age| age < request.untouched_for) {
            return Ok(false);
        }
    }
    Ok(true)
}
