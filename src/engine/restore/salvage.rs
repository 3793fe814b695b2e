//! What damaged volumes of a set held.
//!
//! Nothing vouches for a volume whose hash is wrong, or not known. But the signatures of its set, which are a file of
//! their own, tell each entry with its attributes and have the sums of each file. So the entries are those that the
//! signatures tell of. The contents of a file are read from the damaged volume, as far as that can be read, and whoever
//! uses them must compare them with the signature that comes with the entry.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::Source;
use super::fetch::Volume;
use super::stream::{Head, Word};
use crate::engine::chain::Set;
use crate::engine::crypto::{CryptoError as C, Opener};
use crate::engine::error::{Damage, Error, Result};
use crate::engine::format::difftar::{self, Record};
use crate::engine::format::entry::EntryKind;
use crate::engine::format::tar;
use crate::engine::known::SetSignatures;
use crate::engine::path::EntryPath;
use crate::engine::stored::{StoredReader, WholeFile, about, unreadable};

/// A volume that nothing vouches for.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// Its name at the storage.
    pub name: String,
    /// Whether it was read, and has another hash than it should have.
    pub was_compared: bool,
}

/// All files that claim to be that volume.
pub fn suspects(volume: Volume, was_compared: bool) -> impl Iterator<Item = Suspect> {
    let names = std::iter::once(volume.name).chain(volume.others);
    names.map(move |name| Suspect { name, was_compared })
}

/// Paths from the first to the last, or, without a last one, all that follow.
pub type Range = (EntryPath, Option<EntryPath>);

/// Whether a path is in a range.
pub fn covers((first, last): &Range, path: &EntryPath) -> bool {
    first <= path && last.as_ref().is_none_or(|last| path <= last)
}

/// The entries in a range of a set, as its signatures tell them.
pub struct Salvage<'env> {
    source: Source<'env>,
    signatures: SetSignatures,
    range: Range,
    /// Volumes that are still to be looked through.
    suspects: VecDeque<Suspect>,
    volume: Option<tar::Reader<Remains>>,
    /// The entry that the volume has come to.
    found: Option<(Record, EntryPath)>,
}

/// The signatures of a set, read to their end: only that tells whether they are whole and rightly signed, so that they
/// can vouch for contents. An error of the inner kind says why they cannot.
pub fn whole_signatures(set: &Set, source: Source<'_>) -> Result<Result<WholeFile>> {
    let Source { storage, opener, job } = source;
    let Some(file) = &set.signatures else {
        return Ok(Err(Error::damaged(format!("the signatures of {}", set.name()), Damage::Missing)));
    };
    let read = |opener: &Opener| WholeFile::read(storage, &file.name, opener, job);
    match asking_only_for_what_is_not_known(opener, read).map_err(|error| about(&file.name, error)) {
        Err(error @ (Error::Damaged { .. } | Error::Crypto { .. })) => Ok(Err(error)),
        Err(error) => Err(error),
        Ok(file) => Ok(Ok(file)),
    }
}

/// Opens a file that may be damaged where it says how to open it: a passphrase that it refuses is not asked for again.
fn asking_only_for_what_is_not_known<T>(opener: &Opener, open: impl Fn(&Opener) -> Result<T>) -> Result<T> {
    match open(&opener.without_questions()) {
        Err(Error::Crypto { source: C::PassphraseNeeded { .. } | C::AgentLocked(_), .. }) => open(opener),
        result => result,
    }
}

impl<'env> Salvage<'env> {
    /// The entries in `range`, with what `suspects` have of their contents.
    pub fn new(
        source: Source<'env>,
        signatures: SetSignatures,
        range: Range,
        suspects: Vec<Suspect>,
    ) -> Self {
        Self { source, signatures, range, suspects: suspects.into(), volume: None, found: None }
    }

    /// The signatures, which may be at the next entry behind the last one by now.
    pub fn into_signatures(self) -> SetSignatures {
        self.signatures
    }

    /// What it is about.
    pub fn into_range(self) -> Range {
        self.range
    }

    /// Whether it is about that path.
    pub fn covers(&self, path: &EntryPath) -> bool {
        covers(&self.range, path)
    }

    /// Whether that path is the last one.
    pub fn ends_with(&self, path: &EntryPath) -> bool {
        self.range.1.as_ref() == Some(path)
    }

    /// The signature of a file, passing over what comes before it.
    pub fn signature_of(&mut self, path: &EntryPath) -> Result<Option<Vec<u8>>> {
        self.signatures.signature_of(path)
    }

    /// The next entry behind `after`, and as what its data were found.
    pub fn next_head(&mut self, after: Option<&EntryPath>) -> Result<Option<(Record, Head)>> {
        while let Some(head) = self.signatures.head()? {
            let path = &head.entry.path;
            if *path < self.range.0 || after.is_some_and(|after| path <= after) {
                self.signatures.take()?;
                continue;
            }
            if !covers(&self.range, path) {
                return Ok(None);
            }
            let (record, word, proof) = match (head.record, &head.entry.kind) {
                (Record::Deleted, _) => (Record::Deleted, Word::Deleted, None),
                (_, EntryKind::File) => {
                    let path = path.clone();
                    match self.find(&path)? {
                        Some((record, word)) => match self.signatures.signature()? {
                            Some(signature) => (record, word, Some(signature)),
                            None => (Record::Snapshot, Word::Lost, None),
                        },
                        None => (Record::Snapshot, Word::Lost, None),
                    }
                }
                _ => (Record::Snapshot, Word::Snapshot, None),
            };
            let Some(head) = self.signatures.take()? else { break };
            return Ok(Some((record, Head { word, entry: head.entry, is_hearsay: true, proof })));
        }
        Ok(None)
    }

    /// Goes on with the entry that the volumes have next, if it is of that path and behind `last`. A second file of the
    /// same volume begins with what was there already.
    pub fn next_of(&mut self, path: &EntryPath, last: Record) -> Result<Option<Record>> {
        while let Some((record, found)) = self.peek()? {
            let record = *record;
            if found > path {
                break;
            }
            let is_behind = found == path && chunk(record) > chunk(last);
            self.found = None;
            if is_behind {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Goes on to the beginning of a file's data, if the volumes have it.
    fn find(&mut self, path: &EntryPath) -> Result<Option<(Record, Word)>> {
        while let Some((record, found)) = self.peek()? {
            let record = *record;
            if found > path {
                break;
            }
            let is_it = found == path;
            self.found = None;
            let word = match record {
                Record::Snapshot | Record::SnapshotChunk(1) => Word::Snapshot,
                Record::Diff | Record::DiffChunk(1) => Word::Diff,
                _ => continue,
            };
            if is_it {
                return Ok(Some((record, word)));
            }
        }
        Ok(None)
    }

    /// The entry that the volumes come to next, of those that may be in them.
    fn peek(&mut self) -> Result<Option<&(Record, EntryPath)>> {
        while self.found.is_none() {
            self.source.job.check()?;
            let Some(volume) = &mut self.volume else {
                let Some(suspect) = self.suspects.pop_front() else { return Ok(None) };
                self.volume = Remains::open(&suspect, self.source)?.map(tar::Reader::of_remains);
                continue;
            };
            match volume.next_entry() {
                Ok(Some(header)) => {
                    let entry = difftar::entry(header).ok();
                    self.found = entry
                        .map(|(record, entry)| (record, entry.path))
                        .filter(|(_, path)| self.covers(path));
                }
                Ok(None) => self.volume = None,
                // What should have been a header is none. The next one may be.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.volume = None,
                Err(error) => return Err(unreadable(&volume.get_ref().name, error)),
            }
        }
        Ok(self.found.as_ref())
    }
}

/// Which chunk it is; 0 for what is none.
fn chunk(record: Record) -> u64 {
    match record {
        Record::SnapshotChunk(number) | Record::DiffChunk(number) => number,
        Record::Snapshot | Record::Diff | Record::Deleted | Record::Signature => 0,
    }
}

impl Read for Salvage<'_> {
    /// Reads the data of the entry that was found last.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.volume.as_mut().map_or(Ok(0), |volume| volume.read(buffer))
    }
}

/// What is left of a damaged volume. It ends where it cannot be read any further.
struct Remains {
    name: String,
    reader: Option<StoredReader>,
}

impl Remains {
    fn open(suspect: &Suspect, source: Source<'_>) -> Result<Option<Self>> {
        let Source { storage, opener, job } = source;
        let name = suspect.name.clone();
        let open =
            |opener: &Opener| StoredReader::open_unvouched(storage, &name, suspect.was_compared, opener, job);
        match asking_only_for_what_is_not_known(opener, open).map_err(|error| about(&name, error)) {
            Ok(reader) => Ok(Some(Self { name, reader: Some(reader) })),
            Err(Error::Damaged { .. } | Error::Crypto { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Read for Remains {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(reader) = &mut self.reader else { return Ok(0) };
        let error = match reader.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => error,
            result => return result,
        };
        match unreadable(&self.name, error) {
            error @ (Error::Damaged { .. } | Error::Crypto { .. }) => {
                tracing::debug!(%error, "a damaged volume can be read so far");
                self.reader = None;
                Ok(0)
            }
            error => Err(error.into_stream()),
        }
    }
}
