//! Bringing files back.
//!
//! Volumes are checked, fetched and opened several at a time ([`fetch`]). Each set of the chain is a row
//! of entries ([`stream`]); one thread reads the rows side by side ([`merge`]), puts each file together
//! from its last whole state and the differences to it, and writes it to its place ([`writer`]). What
//! is damaged is named, and everything else is restored, be it from what is left of a damaged volume
//! ([`salvage`]).

mod attributes;
mod fetch;
mod merge;
mod place;
mod preview;
mod read;
mod salvage;
mod stream;
mod witness;
mod writer;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::chain::{Collection, Set};
use super::copies::Copies;
use super::crypto::{Keyring, Opener, Passphrases};
use super::error::{Damage, Error, Result};
use super::format::manifest::{Manifest, VolumeInfo};
use super::format::name::{Codec, FileName, Part};
use super::format::time::SetTime;
use super::job::{Job, Phase, Warning};
use super::path::EntryPath;
use super::storage::{Storage, StoredFile};
use super::stored::{StoredReader, read_small};
pub use preview::{RestorePreview, preview, preview_by};
pub use read::{FileContents, ReadRequest, read_file};

use fetch::{Ahead, Volume};
use salvage::whole_signatures;
use stream::SetStream;
use writer::Writer;

/// Largest manifest that is believed, in bytes: room for millions of volumes.
pub(crate) const MANIFEST_LIMIT: u64 = 1 << 30;

/// Buffer for contents, in bytes. A buffer of nothing but zeros becomes a hole in the file.
const COPY_BYTES: usize = 64 * 1024;

/// What to do where something is already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Do not begin if the target is anything but an empty folder.
    Refuse,
    /// Leave what is there, and count it.
    Skip,
    /// Restore the file beside it, under a name of its own, unless what is there has the same contents.
    KeepBoth,
    /// Put the restored file in its place if that is older, else leave what is there.
    NewerWins,
    /// Put the restored file in its place. A folder with something in it is never replaced by a file.
    Replace,
}

/// What to bring back, and where to.
#[derive(Debug)]
pub struct RestoreRequest<'a> {
    /// Where from.
    pub storage: &'a dyn Storage,
    /// Where gpg's keys are.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
    /// The key that must have signed; none: signatures are not demanded, bad ones still refused.
    pub sign_key: Option<&'a str>,
    /// The state of that time, or the newest.
    pub time: Option<SetTime>,
    /// What to restore, each with everything below it; empty for everything.
    pub paths: Vec<EntryPath>,
    /// Where `strip` goes. Made if missing.
    pub target: PathBuf,
    /// This ancestor is cut off the restored paths: with `strip = a`, `a/b` goes to `target/b`, and
    /// `a` itself, be it a folder or a file, becomes `target`.
    pub strip: EntryPath,
    /// What to do where something is already.
    pub conflict: Conflict,
}

/// What a restore did.
#[derive(Debug, Clone)]
pub struct RestoreSummary {
    /// The time of the set that was restored.
    pub set_time: SetTime,
    /// Entries written.
    pub entry_count: u64,
    /// Entries left alone because something was there.
    pub skipped_count: u64,
    /// Bytes of file contents written.
    pub written_bytes: u64,
    /// Volumes read.
    pub volume_count: u32,
    /// Stored files that were found to be damaged.
    pub damaged_count: u64,
    /// Warnings given; each one is something that is not as it was.
    pub warning_count: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a restore reads from.
#[derive(Clone, Copy)]
struct Source<'a> {
    storage: &'a dyn Storage,
    opener: &'a Opener,
    job: &'a Job,
}

/// What is to be read of one set.
struct Wanted<'a> {
    set: &'a Set,
    /// The volumes that hold something of what is wanted.
    volumes: Vec<Volume>,
    /// What else is there.
    unnamed: Option<Unnamed>,
}

/// Volumes that the manifest of their set should name and does not.
struct Unnamed {
    volumes: Vec<Volume>,
    /// Where the last one ends that is named.
    from: EntryPath,
    /// What is wrong with the manifest.
    damage: Error,
}

impl Wanted<'_> {
    fn all_volumes(&self) -> impl Iterator<Item = &Volume> {
        self.volumes.iter().chain(self.unnamed.iter().flat_map(|unnamed| &unnamed.volumes))
    }
}

impl RestoreRequest<'_> {
    /// Where a path goes, relative to what the target stands for; none if it is not to be restored.
    fn relative(&self, path: &EntryPath) -> Option<EntryPath> {
        let asked_for = self.paths.is_empty() || self.paths.iter().any(|wanted| path.starts_with(wanted));
        path.strip_prefix(&self.strip).filter(|_| asked_for)
    }
}

/// Restores. Fails if nothing at all can be done; what is damaged or cannot be written is a warning.
pub fn restore(request: &RestoreRequest<'_>, job: &Job) -> Result<RestoreSummary> {
    let started = Instant::now();
    job.phase(Phase::Preparing);
    let collection = Collection::new(request.storage.list()?);
    let no_backup = || Error::NoBackup { location: request.storage.location() };
    let sets = collection.sets_for(request.time).ok_or_else(no_backup)?;
    let last = sets.last().ok_or_else(no_backup)?;
    let opener = Opener::new(request.keyring, request.passphrases, request.sign_key, job)?;
    let source = Source { storage: request.storage, opener: &opener, job };
    let wanted = sets
        .iter()
        .map(|set| want(set, &request.paths, &Copies::none(), source))
        .collect::<Result<Vec<_>>>()?;
    let volumes = || wanted.iter().flat_map(Wanted::all_volumes);
    let volume_count = u32::try_from(volumes().count()).unwrap_or(u32::MAX);
    if volume_count == 0 {
        return Err(nothing_to_restore(&request.paths, last));
    }
    if request.conflict == Conflict::Refuse {
        refuse_if_used(&request.target)?;
    }

    job.phase(Phase::Restoring);
    job.add_total(0, volumes().map(|volume| volume.stored_bytes).sum());
    job.total_is_known();
    let mut writer = Writer::new(request, job)?;
    let met = hand_over(wanted, source, &mut writer)?;
    let done = writer.finish()?;
    if done.found_count == 0 {
        // What was asked for may well have been in what is damaged.
        return Err(met.first.unwrap_or_else(|| nothing_to_restore(&request.paths, last)));
    }
    Ok(RestoreSummary {
        set_time: last.kind.time(),
        entry_count: done.entry_count,
        skipped_count: done.skipped_count,
        written_bytes: done.written_bytes,
        volume_count,
        damaged_count: met.count,
        warning_count: job.warning_count(),
        elapsed: started.elapsed(),
    })
}

/// The damage that was met.
struct DamageMet {
    first: Option<Error>,
    /// How many stored files it was in.
    count: u64,
}

/// Hands all that is wanted over to a sink.
fn hand_over(wanted: Vec<Wanted<'_>>, source: Source<'_>, sink: &mut impl merge::Sink) -> Result<DamageMet> {
    std::thread::scope(|scope| {
        let mut streams = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let ahead = if wanted.set.kind.is_full() { Ahead::far() } else { Ahead::NEAR };
            let Wanted { set, volumes, unnamed } = wanted;
            streams.push(SetStream::new(scope, source, set, volumes, unnamed, ahead));
        }
        merge::restore(&mut streams, sink, source.job)?;
        let count = streams.iter().map(SetStream::damaged_count).sum();
        Ok(DamageMet { first: streams.into_iter().find_map(SetStream::into_damage), count })
    })
}

/// Reads the manifest of a set and chooses its volumes. Of a set whose manifest is damaged the signatures still tell
/// what it has.
fn want<'a>(set: &'a Set, paths: &[EntryPath], copies: &Copies, source: Source<'_>) -> Result<Wanted<'a>> {
    let Source { storage, opener, job } = source;
    let numbers_behind =
        |last| set.volumes.range((Bound::Excluded(last), Bound::Unbounded)).map(|(number, _)| *number);
    let (volumes, last, from, damage) = match read_manifest_by(storage, copies, set, opener, job) {
        Ok(manifest) => {
            let volumes = wanted_volumes(set, &manifest, paths);
            let (last, from) = match manifest.volumes.last() {
                Some(last) => (last.number, last.end.path.clone()),
                None => (0, EntryPath::root()),
            };
            if numbers_behind(last).next().is_none() {
                return Ok(Wanted { set, volumes, unnamed: None });
            }
            let reason = "it does not name all volumes that are there".to_owned();
            (volumes, last, from, Error::damaged(set.name(), Damage::Malformed(reason)))
        }
        Err(error @ (Error::Damaged { .. } | Error::Crypto { .. }))
            if !is_everywhere(&error)
                || may_be_of_one_file(&error) && whole_signatures(set, source)?.is_ok() =>
        {
            (Vec::new(), 0, EntryPath::root(), error)
        }
        Err(error) => return Err(error),
    };
    job.warn(Warning::damaged(set.name(), &damage, None));
    let is_behind = |path: &EntryPath| *path >= from || from.starts_with(path);
    let unnamed = (paths.is_empty() || paths.iter().any(is_behind)).then(|| Unnamed {
        volumes: numbers_behind(last).map(|number| volume(set, number)).collect(),
        from: from.clone(),
        damage,
    });
    Ok(Wanted { set, volumes, unnamed })
}

/// Whether the next volume would fail for the same reason.
fn is_everywhere(error: &Error) -> bool {
    use super::crypto::CryptoError as C;
    matches!(error, Error::Crypto { source, .. } if !matches!(source, C::Damaged(_) | C::BadSignature { .. }))
}

/// Whether what seems to be wrong with the key may be wrong with this file alone, such as with the packets that name the
/// key. If another file of the set can be opened, that is so.
fn may_be_of_one_file(error: &Error) -> bool {
    use super::crypto::CryptoError as C;
    let Error::Crypto { source, .. } = error else { return false };
    matches!(
        source,
        C::MissingSecretKey { .. }
            | C::WrongPassphrase { .. }
            | C::NotSigned { .. }
            | C::WrongSigner { .. }
            | C::Other(_)
    )
}

fn nothing_to_restore(paths: &[EntryPath], set: &Set) -> Error {
    match paths.first() {
        Some(path) => Error::PathNotInBackup { path: path.clone() },
        None => Error::damaged(set.name(), Damage::Malformed("it names no volume".to_owned())),
    }
}

/// Reads and parses the manifest of a set.
pub(crate) fn read_manifest(
    storage: &dyn Storage,
    set: &Set,
    opener: &Opener,
    job: &Job,
) -> Result<Manifest> {
    read_manifest_by(storage, &Copies::none(), set, opener, job)
}

/// The same, from a copy on this machine if there is one.
fn read_manifest_by(
    storage: &dyn Storage,
    copies: &Copies,
    set: &Set,
    opener: &Opener,
    job: &Job,
) -> Result<Manifest> {
    let missing = || Error::damaged(set.name(), Damage::Missing);
    let file = set.manifest.as_ref().ok_or_else(missing)?;
    if file.size_bytes == 0 {
        return Err(Error::damaged(&file.name, Damage::Empty));
    }
    parse_manifest(file, copies.open(storage, file, opener, job)?)
}

/// Parses the manifest `file`, which `reader` reads.
pub(crate) fn parse_manifest(file: &StoredFile, reader: StoredReader) -> Result<Manifest> {
    let text = read_small(&file.name, reader, MANIFEST_LIMIT)?;
    Manifest::parse(&text).map_err(|error| Error::damaged(&file.name, Damage::Malformed(error.to_string())))
}

/// The volumes that hold something of `paths`. One that is not there is found missing when it is read.
fn wanted_volumes(set: &Set, manifest: &Manifest, paths: &[EntryPath]) -> Vec<Volume> {
    let is_wanted =
        |volume: &&VolumeInfo| paths.is_empty() || paths.iter().any(|path| may_hold(volume, path));
    let with_hash = |info: &VolumeInfo| Volume {
        hash: info.hash.clone(),
        range: (info.start.path.clone(), info.end.path.clone()),
        ..volume(set, info.number)
    };
    manifest.volumes.iter().filter(is_wanted).map(with_hash).collect()
}

/// A volume of which only its number is known.
fn volume(set: &Set, number: u32) -> Volume {
    let file = set.volumes.get(&number);
    let codec = if set.is_encrypted() { Codec::OpenPgp } else { Codec::Gzip };
    let expected = FileName { set: set.kind, part: Part::Volume(number), codec };
    Volume {
        name: file.map_or_else(|| expected.to_string(), |file| file.name.clone()),
        others: set.other_files_for(number),
        stored_bytes: file.map_or(0, |file| file.size_bytes),
        hash: None,
        range: (EntryPath::root(), EntryPath::root()),
    }
}

/// Whether a volume's range of paths reaches into `path` or what lies below it.
fn may_hold(volume: &VolumeInfo, path: &EntryPath) -> bool {
    let starts_before_the_end = volume.start.path <= *path || volume.start.path.starts_with(path);
    starts_before_the_end && *path <= volume.end.path
}

fn refuse_if_used(target: &Path) -> Result<()> {
    let failed = |source| Error::Target { path: target.to_owned(), source };
    match std::fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::TargetNotEmpty(target.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(Error::TargetNotEmpty(target.to_owned()))
        }
        Err(error) => Err(failed(error)),
    }
}
