//! Looking whether stored files are as they were written: that they are there, that their hashes,
//! checksums and signatures are right, that each opens to its end, and that what is in it can be
//! understood.
//!
//! Manifests come first, one after the other, since they vouch for the volumes; then several files are
//! read at a time ([`check`] knows what to look for).

mod check;
mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::chain::{Collection, Set};
use super::crypto::{CryptoError, Keyring, Opener, Passphrases};
use super::error::{Damage, Error, Fault, Result};
use super::format::manifest::Manifest;
use super::format::name::{Codec, FileName, Part};
use super::format::time::SetTime;
use super::job::{Job, Phase, Warning, panicked};
use super::path::EntryPath;
use super::restore::read_manifest;
use super::storage::Storage;
use check::{File, Held};
pub use compare::{CompareRequest, CompareSummary, Difference, DifferenceKind, compare};

/// Which sets are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that make up the state of that time, or the newest.
    At(Option<SetTime>),
    /// All that are finished, also those that follow no other set.
    All,
}

/// What to look at.
#[derive(Debug)]
pub struct VerifyRequest<'a> {
    /// Where.
    pub storage: &'a dyn Storage,
    /// Where gpg's keys are.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
    /// The key that must have signed; none: signatures are not demanded, bad ones still reported.
    pub sign_key: Option<&'a str>,
    /// Which sets.
    pub which: Which,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct VerifySummary {
    /// Where.
    pub location: String,
    /// The times of the sets that were looked at, oldest first.
    pub set_times: Vec<SetTime>,
    /// Files that were looked at, with those that are missing.
    pub file_count: u64,
    /// Bytes of the files.
    pub checked_bytes: u64,
    /// Entries in the volumes that were understood.
    pub entry_count: u64,
    /// Files that are not as they should be, in the order of the sets and volumes.
    pub damaged: Vec<DamagedFile>,
    /// Warnings given: one for each damaged file.
    pub warning_count: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// A stored file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    /// Its name at the storage.
    pub file: String,
    /// The time of its set.
    pub set_time: SetTime,
    /// What is wrong with it.
    pub fault: Fault,
    /// The same in technical words.
    pub reason: String,
    /// The first and the last entry in it, where its manifest tells.
    pub held: Option<(EntryPath, EntryPath)>,
}

/// Looks at the stored files of some sets. That they are damaged is a warning each; that they cannot
/// be looked at, for want of a key or a passphrase, is an error.
pub fn verify(request: &VerifyRequest<'_>, job: &Job) -> Result<VerifySummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let collection = Collection::new(request.storage.list()?);
    let sets = chosen(&collection, request.which);
    if sets.is_empty() {
        return Err(Error::NoBackup { location: request.storage.location() });
    }
    let opener = Opener::new(request.keyring, request.passphrases, request.sign_key, job)?;

    job.phase(Phase::Verifying);
    for file in
        sets.iter().flat_map(|set| set.manifest.iter().chain(&set.signatures).chain(set.volumes.values()))
    {
        job.add_total(1, file.size_bytes);
    }
    job.total_is_known();
    let findings = Findings { job, storage: request.storage, found: Mutex::default() };
    let mut files = Vec::new();
    for set in &sets {
        let index = files.len();
        let set_time = set.kind.time();
        let volumes = match read_manifest(request.storage, set, &opener, job) {
            Ok(manifest) => {
                findings.found().open_sets.insert(set_time);
                if let Err(error) = names_all(set, &manifest) {
                    findings.note(index, set.name(), set_time, None, error)?;
                }
                manifest.volumes
            }
            Err(error) => {
                findings.note(index, set.name(), set_time, None, error)?;
                Vec::new()
            }
        };
        job.entry_done();
        job.bytes_done(set.manifest.as_ref().map_or(0, |file| file.size_bytes));
        files.extend(volumes.into_iter().map(|volume| File {
            name: name(set, Part::Volume(volume.number)),
            set_time,
            held: Held::Volume {
                hash: volume.hash,
                others: set.other_files_for(volume.number),
                range: (volume.start.path, volume.end.path),
            },
        }));
        let held = Held::Signatures { full: set.kind.is_full() };
        files.push(File { name: name(set, Part::Signatures), set_time, held });
    }
    // Without the key there is nothing to go on with.
    if findings.found().open_sets.is_empty() {
        findings.judge_locked()?;
    }
    let entry_count = check_all(&files, request.storage, &opener, &findings)?;
    findings.judge_locked()?;

    let damaged = std::mem::take(&mut findings.found().damaged);
    let progress = job.progress();
    Ok(VerifySummary {
        location: request.storage.location(),
        set_times: sets.iter().map(|set| set.kind.time()).collect(),
        file_count: (sets.len() + files.len()) as u64,
        checked_bytes: progress.done_bytes,
        entry_count,
        damaged: damaged.into_values().flatten().collect(),
        warning_count: job.warning_count(),
        elapsed: started.elapsed(),
    })
}

fn chosen(collection: &Collection, which: Which) -> Vec<&Set> {
    match which {
        Which::At(time) => collection.sets_for(time).unwrap_or_default().iter().collect(),
        Which::All => {
            let mut sets: Vec<_> = collection.sets().filter(|set| set.is_complete()).collect();
            sets.sort_by_key(|set| set.kind.time());
            sets
        }
    }
}

/// Whether the manifest speaks of as many volumes as there are, and leaves none out.
fn names_all(set: &Set, manifest: &Manifest) -> Result<()> {
    let named: Vec<u32> = manifest.volumes.iter().map(|volume| volume.number).collect();
    let last = named.last().copied().unwrap_or(0);
    let malformed = |reason: &str| Error::damaged(set.name(), Damage::Malformed(reason.to_owned()));
    if named.is_empty() {
        return Err(malformed("it names no volume"));
    }
    if set.volumes.keys().any(|number| *number > last) || named.len() as u64 != u64::from(last) {
        return Err(malformed("it does not name all volumes that are there"));
    }
    Ok(())
}

/// The name of a file of the set, or the one that it should have if it is not there.
fn name(set: &Set, part: Part) -> String {
    let file = match part {
        Part::Volume(number) => set.volumes.get(&number),
        Part::Signatures => set.signatures.as_ref(),
        Part::Manifest | Part::Statistics => None,
    };
    let codec = if set.is_encrypted() { Codec::OpenPgp } else { Codec::Gzip };
    file.map_or_else(|| FileName { set: set.kind, part, codec }.to_string(), |file| file.name.clone())
}

/// Looks at the files, as many at a time as the machine has cores. Entries that were understood.
fn check_all(files: &[File], storage: &dyn Storage, opener: &Opener, findings: &Findings<'_>) -> Result<u64> {
    let job = findings.job;
    let next = Mutex::new(files.iter().enumerate());
    let failure: Mutex<Option<Error>> = Mutex::default();
    let entry_count = Mutex::new(0_u64);
    let work = || -> Result<()> {
        loop {
            job.check()?;
            if failure.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return Ok(());
            }
            let Some((index, file)) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                return Ok(());
            };
            match check::check(file, storage, opener, job) {
                Ok(count) => {
                    findings.found().open_sets.insert(file.set_time);
                    *entry_count.lock().unwrap_or_else(PoisonError::into_inner) += count;
                }
                Err(error) => {
                    findings.note(index, file.name.clone(), file.set_time, file.held.range(), error)?;
                }
            }
            job.entry_done();
        }
    };
    let worker = || {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)));
        if let Err(error) = result {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..count {
            std::thread::Builder::new()
                .name("verify".to_owned())
                .spawn_scoped(scope, worker)
                .map_err(|source| Error::Local { action: "starting a thread", source })?;
        }
        Ok(())
    })?;
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(entry_count.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// What was found so far.
struct Findings<'a> {
    job: &'a Job,
    storage: &'a dyn Storage,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// By the order of the files.
    damaged: BTreeMap<usize, Vec<DamagedFile>>,
    /// Sets of which a file could be opened: their key and passphrase are there.
    open_sets: BTreeSet<SetTime>,
    /// Files that seem to want another key or passphrase.
    locked: Vec<(usize, DamagedFile, Error)>,
}

impl Findings<'_> {
    /// Notes what an error says of a file, or gives the error back if it is about more than the file.
    fn note(
        &self,
        index: usize,
        file: String,
        set_time: SetTime,
        held: Option<(EntryPath, EntryPath)>,
        error: Error,
    ) -> Result<()> {
        use CryptoError as C;
        let damaged = DamagedFile { file, set_time, fault: (&error).into(), reason: error.to_string(), held };
        let is_of_the_file = match &error {
            Error::Damaged { .. } => true,
            Error::Crypto { source, .. } => match source {
                // The packets in front of the data name the key, and can be damaged as well.
                C::MissingSecretKey { .. } | C::WrongPassphrase { .. } => {
                    self.found().locked.push((index, damaged, error));
                    return Ok(());
                }
                // The last is what gpg comes to when what it has decrypted cannot be decompressed.
                C::Damaged(_)
                | C::BadSignature { .. }
                | C::NotSigned { .. }
                | C::WrongSigner { .. }
                | C::Other(_) => true,
                _ => false,
            },
            // A bad place on the disk looks like a drive that is gone.
            Error::Storage(_) => self.storage.list().is_ok(),
            _ => false,
        };
        if !is_of_the_file {
            return Err(error);
        }
        self.record(index, damaged);
        Ok(())
    }

    /// Files that want another key than the rest of their set are damaged. Fails with the error of one whose whole
    /// set does.
    fn judge_locked(&self) -> Result<()> {
        let locked = std::mem::take(&mut self.found().locked);
        for (index, damaged, error) in locked {
            if !self.found().open_sets.contains(&damaged.set_time) {
                return Err(error);
            }
            self.record(index, damaged);
        }
        Ok(())
    }

    fn record(&self, index: usize, damaged: DamagedFile) {
        let DamagedFile { file, fault, reason, held, .. } = damaged.clone();
        self.job.warn(Warning::Damaged { file, fault, reason, held });
        self.found().damaged.entry(index).or_default().push(damaged);
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
