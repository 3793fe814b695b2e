//! A restore drill: a random sample of the files is really restored, into a scratch folder, and compared
//! with the signatures that were made when they were backed up and, where the originals have not changed
//! since, with these byte by byte.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::chain::Collection;
use super::copies::Copies;
use super::crypto::{Keyring, Opener, Passphrases};
use super::delta::is_signature_of;
use super::error::{Error, Result};
use super::format::entry::{Entry, EntryKind};
use super::format::time::SetTime;
use super::job::{Job, Phase};
use super::known::KnownTree;
use super::path::EntryPath;
use super::restore::{Conflict, RestoreRequest, restore};
use super::scan::Tree;
use super::storage::Storage;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// What to try.
#[derive(Debug)]
pub struct DrillRequest<'a> {
    /// Where the backup is.
    pub storage: &'a dyn Storage,
    /// Where gpg's keys are.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
    /// The key that must have signed; none: signatures are not demanded.
    pub sign_key: Option<&'a str>,
    /// The state of that time, or the newest.
    pub time: Option<SetTime>,
    /// How many files are tried; fewer if there are not so many.
    pub sample_count: usize,
    /// Larger files are passed over, in bytes: the scratch folder has to hold all of them.
    pub max_file_bytes: u64,
    /// The folder that was backed up, to compare with what is there still.
    pub root: Option<&'a Path>,
    /// A folder, which must exist, in which a scratch folder is made and removed again.
    pub scratch: &'a Path,
    /// Decides which files are tried; another one each time, if none.
    pub seed: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct DrillSummary {
    /// The time of the set that was restored from.
    pub set_time: SetTime,
    /// Files that were tried.
    pub sample_count: u64,
    /// Bytes of their contents.
    pub restored_bytes: u64,
    /// Files whose contents are what was signed when they were backed up.
    pub proved_count: u64,
    /// Of these, files that are also equal to the originals, which have not changed since.
    pub equal_to_source_count: u64,
    /// Files that were not restored, or not as they were.
    pub failures: Vec<Failure>,
    /// Volumes that were read.
    pub volume_count: u32,
    /// Stored files that were found to be damaged, also where the files of the sample came back all the same.
    pub damaged_count: u64,
    /// Warnings given.
    pub warning_count: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// A file that was not restored, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The file.
    pub path: EntryPath,
    /// What is wrong with it.
    pub mismatch: Mismatch,
    /// What the system said; empty where it said nothing.
    pub reason: String,
}

/// What is wrong with a restored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mismatch {
    /// It is not there.
    NotRestored,
    /// Its contents are not what was signed when it was backed up.
    NotAsBackedUp,
    /// It differs from the original, though that looks unchanged.
    NotAsOriginal,
    /// It, or its original, cannot be read.
    Unreadable,
    /// Something that a newer version tells apart.
    #[default]
    #[serde(other)]
    Other,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mismatch {
            Mismatch::NotRestored => "it was not restored",
            Mismatch::NotAsBackedUp => "its contents are not what was backed up",
            Mismatch::NotAsOriginal => "it differs from the original, though that looks unchanged",
            Mismatch::Unreadable | Mismatch::Other => &self.reason,
        })
    }
}

/// Restores a sample and compares it. A file that fails is in the summary; an error means that nothing could
/// be tried.
pub fn drill(request: &DrillRequest<'_>, job: &Job) -> Result<DrillSummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let (set_time, sample) = choose(request, job)?;
    let local = |action| move |source| Error::Local { action, source };
    let scratch = tempfile::Builder::new()
        .prefix("restore-drill-")
        .tempdir_in(request.scratch)
        .map_err(local("making a scratch folder"))?;
    let target = scratch.path().join("restored");
    let restored = restore(
        &RestoreRequest {
            storage: request.storage,
            keyring: request.keyring,
            passphrases: request.passphrases,
            sign_key: request.sign_key,
            time: Some(set_time),
            paths: sample.iter().map(|sampled| sampled.entry.path.clone()).collect(),
            target: target.clone(),
            strip: EntryPath::root(),
            conflict: Conflict::Refuse,
        },
        job,
    )?;

    job.phase(Phase::Verifying);
    job.add_total(sample.len() as u64, sample.iter().filter_map(|sampled| sampled.entry.size_bytes).sum());
    job.total_is_known();
    let target = Tree::open(&target).map_err(local("opening the scratch folder"))?;
    let source = request.root.and_then(|root| Tree::open(root).ok());
    let mut summary = DrillSummary {
        set_time,
        sample_count: sample.len() as u64,
        restored_bytes: restored.written_bytes,
        proved_count: 0,
        equal_to_source_count: 0,
        failures: Vec::new(),
        volume_count: restored.volume_count,
        damaged_count: restored.damaged_count,
        warning_count: 0,
        elapsed: Duration::ZERO,
    };
    for Sampled { entry, signature } in sample {
        job.check()?;
        job.entry_started(&entry.path);
        let size_bytes = entry.size_bytes.unwrap_or(0);
        let proved = prove(&target, &entry, &signature).and_then(|()| {
            match equals_source(&target, source.as_ref(), &entry) {
                Ok(Some(false)) => Err((Mismatch::NotAsOriginal, String::new())),
                Ok(is_equal) => Ok(is_equal.is_some()),
                Err(error) => Err((Mismatch::Unreadable, error.to_string())),
            }
        });
        match proved {
            Ok(is_equal) => {
                summary.proved_count += 1;
                summary.equal_to_source_count += u64::from(is_equal);
            }
            Err((mismatch, reason)) => {
                summary.failures.push(Failure { path: entry.path, mismatch, reason });
            }
        }
        job.entry_done();
        job.bytes_done(size_bytes);
    }
    summary.warning_count = job.warning_count();
    summary.elapsed = started.elapsed();
    Ok(summary)
}

struct Sampled {
    entry: Entry,
    signature: Vec<u8>,
}

/// A sample of the files, each as likely as the others, in the order of the format.
fn choose(request: &DrillRequest<'_>, job: &Job) -> Result<(SetTime, Vec<Sampled>)> {
    let collection = Collection::new(request.storage.list()?);
    let no_backup = || Error::NoBackup { location: request.storage.location() };
    let sets = collection.sets_for(request.time).ok_or_else(no_backup)?;
    let set_time = sets.last().map(|set| set.kind.time()).ok_or_else(no_backup)?;
    let opener = Opener::new(request.keyring, request.passphrases, request.sign_key, job)?;
    let mut known = KnownTree::open(request.storage, &Copies::none(), sets, &opener, job)?;
    let mut random = request.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
    let mut sample: Vec<Sampled> = Vec::new();
    let mut seen_count = 0;
    while let Some(entry) = known.peek()? {
        let fits = entry.size_bytes.is_none_or(|size| size <= request.max_file_bytes);
        if entry.kind != EntryKind::File || !fits {
            known.take()?;
            continue;
        }
        // Of n files the n-th takes the place of a chosen one with a chance of sample_count / n.
        let place =
            if sample.len() < request.sample_count { sample.len() } else { random.usize(..=seen_count) };
        seen_count += 1;
        let signature = if place < request.sample_count { known.signature()? } else { None };
        let entry = known.take()?;
        if let (Some(entry), Some(signature)) = (entry, signature) {
            let sampled = Sampled { entry, signature };
            match sample.get_mut(place) {
                Some(chosen) => *chosen = sampled,
                None => sample.push(sampled),
            }
        }
    }
    if sample.is_empty() {
        return Err(Error::NothingToTry { location: request.storage.location() });
    }
    sample.sort_by(|one, other| one.entry.path.cmp(&other.entry.path));
    Ok((set_time, sample))
}

/// Whether a restored file has the contents that were signed.
fn prove(target: &Tree, entry: &Entry, signature: &[u8]) -> Result<(), (Mismatch, String)> {
    let file = target.open_file(&entry.path);
    match file.and_then(|mut file| is_signature_of(signature, |buffer| file.read(buffer))) {
        Ok(true) => Ok(()),
        Ok(false) => Err((Mismatch::NotAsBackedUp, String::new())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err((Mismatch::NotRestored, String::new())),
        Err(error) => Err((Mismatch::Unreadable, error.to_string())),
    }
}

/// Whether the restored file equals its original. None if that is gone or has changed.
fn equals_source(target: &Tree, source: Option<&Tree>, entry: &Entry) -> io::Result<Option<bool>> {
    let Some(mut original) = source.and_then(|source| source.open_file(&entry.path).ok()) else {
        return Ok(None);
    };
    let mut restored = target.open_file(&entry.path)?;
    if !looks_as(&original, entry)? || original.metadata()?.len() != restored.metadata()?.len() {
        return Ok(None);
    }
    let (mut one, mut other) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    loop {
        let count = restored.read(&mut one)?;
        let is_equal = original.read_exact(&mut other[..count]).is_ok() && one[..count] == other[..count];
        if !is_equal {
            // It may just have been changed.
            return Ok(if looks_as(&original, entry)? { Some(false) } else { None });
        }
        if count == 0 {
            return Ok(Some(true));
        }
    }
}

/// Whether a file still has the size and the time that were backed up.
fn looks_as(file: &File, entry: &Entry) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let data = file.metadata()?;
    let has_nanos =
        entry.extras.as_ref().is_none_or(|extras| i64::from(extras.mtime_nanos) == data.mtime_nsec());
    Ok(data.is_file()
        && entry.size_bytes.is_none_or(|size| size == data.len())
        && entry.mtime == data.mtime().max(0)
        && has_nanos)
}
