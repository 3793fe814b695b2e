//! Copying backups from one place to another: the stored files as they are, set by set.
//!
//! Oldest chain first, and in it each set after the one that it builds on. The files of a set have unfinished
//! names at the other place ([`staging`](super::backup)) until the last of them is there, as in a backup; so
//! whenever a copy stops, what is there are whole sets, and the next copy goes on. Nothing is ever
//! overwritten. A file is believed to have arrived if its hash on the way was the one in its manifest; of one
//! that no manifest vouches for, what was written is read back.

mod set;
mod there;
mod transfer;

use std::time::{Duration, Instant};

use super::backup::{lock, staging};
use super::chain::{Collection, Set};
use super::crypto::{Keyring, Opener, Passphrases};
use super::error::{Error, Result};
use super::format::name::{FileName, Part};
use super::format::time::SetTime;
use super::job::{Job, Phase, Warning};
use super::status::foreign_repository;
use super::storage::{LockGuard, Storage, StorageErrorKind, StoredFile};
use set::{Copier, Done, Failed};
use there::There;
use transfer::{Places, Trouble};

/// Which sets are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those of chains.
    Chains,
    /// Also what no state is made of: sets that follow no other, sets without a manifest, and files that
    /// cannot be read here.
    Everything,
}

/// How a file that is there already is known to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is read, and its hash compared.
    ByHash,
    /// Its name and its size will do.
    BySize,
}

/// What vouches for volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voucher {
    /// Their manifests, which takes the key or the passphrase.
    Manifests,
    /// Nothing; what was written is read back.
    ReadingBack,
}

/// Whether anything is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Copy.
    Copy,
    /// Say what would be copied, as far as names and sizes tell.
    DryRun,
}

/// What to copy, where from and where to.
#[derive(Debug)]
pub struct CopyRequest<'a> {
    /// Where from.
    pub from: &'a dyn Storage,
    /// Where to.
    pub to: &'a dyn Storage,
    /// Where gpg's keys are.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
    /// Which sets.
    pub which: Which,
    /// How what is there already is known.
    pub known: Known,
    /// What vouches for volumes.
    pub voucher: Voucher,
    /// Whether really.
    pub mode: Mode,
}

/// What was copied; or, in a dry run, what would have been.
#[derive(Debug, Clone)]
pub struct CopySummary {
    /// Where from.
    pub from: String,
    /// Where to.
    pub to: String,
    /// Whether really.
    pub mode: Mode,
    /// The sets, in the order in which they were looked at.
    pub sets: Vec<SetCopied>,
    /// Files that were copied.
    pub file_count: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Warnings given.
    pub warning_count: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl CopySummary {
    /// Fails if a set is not at the other place.
    pub fn all_there(self) -> Result<Self> {
        let missing = self.sets.iter().filter(|set| set.outcome == Outcome::NotCopied).count();
        match missing {
            0 => Ok(self),
            _ => Err(Error::NotAllCopied { location: self.to, set_count: missing as u64 }),
        }
    }
}

/// What became of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCopied {
    /// Its time.
    pub time: SetTime,
    /// Whether it stands on its own.
    pub full: bool,
    /// Whether it is whole at the other place.
    pub outcome: Outcome,
    /// Files that were copied.
    pub file_count: u64,
    /// Their bytes.
    pub copied_bytes: u64,
}

/// Whether a set is at the other place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was copied, or something of it.
    Copied,
    /// It was there before.
    Present,
    /// It is not there. A warning says why.
    NotCopied,
}

/// Copies sets. One that cannot be copied, since it is damaged or since another file is in its way, is a
/// warning for each file, and so is each set that builds on it; none of it becomes visible.
pub fn copy(request: &CopyRequest<'_>, job: &Job) -> Result<CopySummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let CopyRequest { from, to, .. } = *request;
    if from.key() == to.key() {
        return Err(Error::SamePlace { location: to.location() });
    }
    let files = from.list()?;
    if let Some(kind) = foreign_repository(from, &files)? {
        return Err(Error::ForeignRepository { location: from.location(), kind });
    }
    let (there, _) = There::look(to)?;
    let _kept = if request.mode == Mode::Copy { lock_source(from)? } else { None };
    let held = if request.mode == Mode::Copy { Some(lock(to)?) } else { None };
    // Somebody may have been at work until now.
    let (files, there) = match request.mode {
        Mode::Copy => (from.list()?, There::put_in_order(to, job)?),
        Mode::DryRun => (files, there),
    };
    let everything = Everything::new(files, request.which, job);
    if everything.is_empty() {
        return Err(Error::NoBackup { location: from.location() });
    }
    let opener = match (request.voucher, request.mode) {
        (Voucher::Manifests, Mode::Copy) => {
            Some(Opener::new(request.keyring, request.passphrases, None, job)?)
        }
        _ => None,
    };

    job.phase(Phase::Copying);
    everything.files().for_each(|file| job.add_total(1, file.size_bytes));
    job.total_is_known();
    let copier = Copier {
        places: Places { from, to, job },
        there: &there,
        opener: opener.as_ref(),
        known: request.known,
        mode: request.mode,
        lock: held.as_ref(),
    };
    let mut copied = Copied { job, sets: Vec::new(), file_count: 0, copied_bytes: 0 };
    for row in &everything.rows {
        let mut lost = false;
        for set in row {
            job.check()?;
            let builds_on_nothing = lost.then(|| Trouble::conflict(&set.name(), BUILDS_ON_NOTHING));
            let result = builds_on_nothing.map_or_else(|| copier.set(set), |trouble| Err(trouble.into()));
            lost |= copied.note_set(set, result)?;
        }
    }
    if !everything.single_files.is_empty() {
        copied.note(copier.files(&everything.single_files))?;
    }
    if request.mode == Mode::Copy {
        compare(to, &everything, &mut copied)?;
    }
    let Copied { sets, file_count, copied_bytes, .. } = copied;
    Ok(CopySummary {
        from: from.location(),
        to: to.location(),
        mode: request.mode,
        sets,
        file_count,
        copied_bytes,
        warning_count: job.warning_count(),
        elapsed: started.elapsed(),
    })
}

const BUILDS_ON_NOTHING: &str = "the set that it builds on could not be copied";

/// Keeps others from deleting what is being copied. A place that can only be read cannot be locked.
fn lock_source(from: &dyn Storage) -> Result<Option<LockGuard>> {
    match lock(from) {
        Ok(lock) => Ok(Some(lock)),
        Err(Error::Storage(error))
            if matches!(
                error.kind,
                StorageErrorKind::ReadOnly | StorageErrorKind::Permission | StorageErrorKind::Full
            ) =>
        {
            tracing::warn!(%error, "what is copied from is not locked");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What there is to copy.
struct Everything {
    /// Sets, each after those of its row that it builds on.
    rows: Vec<Vec<Set>>,
    /// Files that belong to no set that can be told of; manifests last.
    single_files: Vec<StoredFile>,
}

impl Everything {
    fn new(files: Vec<StoredFile>, which: Which, job: &Job) -> Self {
        let is_prefixed =
            |file: &&StoredFile| !file.name.starts_with('.') && FileName::parse(&file.name).is_none();
        let prefixed: Vec<(FileName, StoredFile)> = files
            .iter()
            .filter(is_prefixed)
            .filter_map(|file| Some((FileName::parse_prefixed(&file.name)?, file.clone())))
            .collect();
        let Collection { chains, orphaned, incomplete, unreadable, partly_hidden } = Collection::new(files);
        let mut rows: Vec<Vec<Set>> = chains.into_iter().map(|chain| chain.sets).collect();
        if which == Which::Chains {
            // With what belongs to it left out, such a set would be damaged.
            for row in &mut rows {
                if let Some(first) = row.iter().position(|set| partly_hidden.contains(&set.kind)) {
                    for set in row.drain(first..) {
                        job.warn(Warning::NotCopied { name: set.name(), reason: PARTLY_HIDDEN.to_owned() });
                    }
                }
            }
            return Self { rows, single_files: Vec::new() };
        }
        rows.extend(orphaned.into_iter().chain(incomplete).map(|set| vec![set]));
        let parsed = |file: StoredFile| FileName::parse(&file.name).map(|name| (name, file));
        let mut single_files: Vec<_> =
            prefixed.into_iter().chain(unreadable.into_iter().filter_map(parsed)).collect();
        single_files.sort_by_key(|(name, file)| (name.part == Part::Manifest, file.name.clone()));
        Self { rows, single_files: single_files.into_iter().map(|(_, file)| file).collect() }
    }

    fn is_empty(&self) -> bool {
        self.files().next().is_none()
    }

    fn files(&self) -> impl Iterator<Item = &StoredFile> {
        self.rows.iter().flatten().flat_map(|set| set.files()).chain(&self.single_files)
    }
}

const PARTLY_HIDDEN: &str = "there are more files of its set, or of one that it builds on, with a prefix or of a kind \
    that cannot be read; ask for everything to copy them too";

/// What was copied so far.
struct Copied<'a> {
    job: &'a Job,
    sets: Vec<SetCopied>,
    file_count: u64,
    copied_bytes: u64,
}

impl Copied<'_> {
    /// Notes what became of a set, and tells whether it is not there.
    fn note_set(&mut self, set: &Set, result: Result<Done, Failed>) -> Result<bool> {
        let done = self.note(result)?;
        let outcome = match &done {
            None => Outcome::NotCopied,
            Some(done) if done.file_count > 0 => Outcome::Copied,
            Some(_) => Outcome::Present,
        };
        let Done { file_count, copied_bytes } = done.unwrap_or_default();
        let (time, full) = (set.kind.time(), set.kind.is_full());
        self.sets.push(SetCopied { time, full, outcome, file_count, copied_bytes });
        Ok(outcome == Outcome::NotCopied)
    }

    /// Notes what became of files. `None` if something was wrong with them.
    fn note(&mut self, result: Result<Done, Failed>) -> Result<Option<Done>> {
        match result {
            Ok(done) => {
                self.file_count += done.file_count;
                self.copied_bytes += done.copied_bytes;
                Ok(Some(done))
            }
            Err(Failed::All(error)) => Err(error),
            Err(Failed::Set(troubles)) => {
                for trouble in troubles {
                    self.job.warn(match trouble {
                        Trouble::File { name: file, reason, fault: Some(fault) } => {
                            Warning::Damaged { file, fault, reason, held: None }
                        }
                        Trouble::File { name, reason, .. } => Warning::NotCopied { name, reason },
                        Trouble::All(error) => return Err(error),
                    });
                }
                Ok(None)
            }
        }
    }
}

/// Looks once more whether every file of what was copied is there, and deletes what is of no use to a later
/// copy.
fn compare(to: &dyn Storage, everything: &Everything, copied: &mut Copied<'_>) -> Result<()> {
    let (there, files) = There::look(to)?;
    for file in files.iter().filter(|file| staging::is_copy(&file.name)) {
        staging::delete(to, &file.name);
    }
    let is_missing = |file: &&StoredFile| there.size(&file.name) != Some(file.size_bytes);
    let job = copied.job;
    let sets = everything.rows.iter().flatten();
    for (set, done) in sets.zip(&mut copied.sets).filter(|(_, done)| done.outcome != Outcome::NotCopied) {
        for file in set.files().filter(is_missing) {
            let reason = "it was copied, and is not there any more".to_owned();
            job.warn(Warning::NotCopied { name: file.name.clone(), reason });
            done.outcome = Outcome::NotCopied;
        }
    }
    Ok(())
}
