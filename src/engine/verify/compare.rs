//! Comparing a folder with what a backup says of it: attributes, and contents by their signatures.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine::backup::{Absent, Change, Changes, Compare, open_source};
use crate::engine::chain::Collection;
use crate::engine::copies::Copies;
use crate::engine::crypto::{Keyring, Opener, Passphrases};
use crate::engine::error::{Error, Result};
use crate::engine::format::time::SetTime;
use crate::engine::job::{Job, Phase};
use crate::engine::known::KnownTree;
use crate::engine::path::EntryPath;
use crate::engine::scan::{Selection, Walk};
use crate::engine::storage::Storage;

/// Differences that are listed; more are only counted.
const MOST_LISTED: usize = 10_000;

/// What to compare.
#[derive(Debug)]
pub struct CompareRequest<'a> {
    /// Where the backup is.
    pub storage: &'a dyn Storage,
    /// Where gpg's keys are.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
    /// The state of that time, or the newest.
    pub time: Option<SetTime>,
    /// The folder that was backed up.
    pub root: &'a Path,
}

/// How an entry of the folder differs from the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It is in the backup, but not in the folder.
    Missing,
    /// Its contents are others.
    Contents,
    /// Only its owner, its mode, its time or another attribute differs.
    Attributes,
    /// It is not in the backup, or something of another kind is.
    New,
}

/// An entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The entry.
    pub path: EntryPath,
    /// How.
    pub kind: DifferenceKind,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct CompareSummary {
    /// The time of the set that was compared with.
    pub set_time: SetTime,
    /// Entries of the folder that were looked at.
    pub entry_count: u64,
    /// What differs, in order; the first ten thousand.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub difference_count: u64,
    /// Warnings given: what could not be looked at.
    pub warning_count: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Compares a folder with the state of a time. Every file is read; of the backup only the signatures are.
pub fn compare(request: &CompareRequest<'_>, job: &Job) -> Result<CompareSummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let tree = open_source(request.root)?;
    let collection = Collection::new(request.storage.list()?);
    let no_backup = || Error::NoBackup { location: request.storage.location() };
    let sets = collection.sets_for(request.time).ok_or_else(no_backup)?;
    let set_time = sets.last().map(|set| set.kind.time()).ok_or_else(no_backup)?;
    let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
    let known = KnownTree::open(request.storage, &Copies::none(), sets, &opener, job)?;

    job.phase(Phase::Verifying);
    let everything = Selection::everything();
    let walk = Walk::new(&tree, &everything, &[], true, job)?;
    let mut differences = Vec::new();
    let (mut missing_count, mut differing_count) = (0, 0);
    let changes = Changes::since(&tree, walk, known, Absent::nothing(), Compare::Contents, job);
    for change in changes.without_probing() {
        let change = change?;
        let kind = match &change {
            Change::Deleted(_) => DifferenceKind::Missing,
            Change::Delta(..) => DifferenceKind::Contents,
            Change::Attributes(..) => DifferenceKind::Attributes,
            Change::Whole(_) => DifferenceKind::New,
        };
        match kind {
            DifferenceKind::Missing => missing_count += 1,
            _ => differing_count += 1,
        }
        if differences.len() < MOST_LISTED {
            differences.push(Difference { path: change.path().clone(), kind });
        }
    }
    Ok(CompareSummary {
        set_time,
        // What is the same was counted as done.
        entry_count: job.progress().done_files + differing_count,
        differences,
        difference_count: missing_count + differing_count,
        warning_count: job.warning_count(),
        elapsed: started.elapsed(),
    })
}
