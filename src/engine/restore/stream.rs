//! The entries of one set in a row, over all its volumes.
//!
//! A damaged volume does not end the row. What was in it is told by the signatures of the set: what has
//! attributes only comes from there, and the contents of files are lost, file by file.

use std::io::{self, Read};
use std::thread::Scope;

use super::fetch::{Ahead, Fetcher, OpenVolume, Volume};
use super::{Source, is_everywhere};
use crate::engine::chain::Set;
use crate::engine::copies::Copies;
use crate::engine::error::{Damage, Error, Fault, Result};
use crate::engine::format::difftar::{self, Record};
use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::format::tar;
use crate::engine::job::Warning;
use crate::engine::known::SetSignatures;
use crate::engine::path::EntryPath;
use crate::engine::stored::unreadable;

/// What a set says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// This is it; the contents of a regular file are the data of the stream.
    Snapshot,
    /// The data of the stream are the difference to the state before.
    Diff,
    /// It is gone.
    Deleted,
    /// A regular file whose data were in a damaged volume.
    Lost,
}

/// The entry that a stream has come to.
#[derive(Debug)]
pub struct Head {
    /// What the set says of it.
    pub word: Word,
    /// The entry, with the attributes that the set gives it.
    pub entry: Entry,
    /// Whether the volume with it is damaged, and only the signatures tell of it.
    pub is_hearsay: bool,
}

/// The entries of one set.
pub struct SetStream<'scope, 'env> {
    set: &'env Set,
    source: Source<'env>,
    fetcher: Fetcher<'scope, 'env>,
    volume: Option<tar::Reader<OpenVolume>>,
    /// What a damaged volume held, as long as it is being told.
    lost: Option<Lost>,
    head: Option<Head>,
    /// The record and the path that came last.
    last: Option<(Record, EntryPath)>,
    /// Ranges of paths that the set said something of, but nobody knows what.
    blind: Vec<(EntryPath, EntryPath)>,
    damage: Option<Error>,
}

struct Lost {
    signatures: SetSignatures,
    first: EntryPath,
    /// None if everything to the end is lost.
    last: Option<EntryPath>,
}

impl<'scope, 'env> SetStream<'scope, 'env> {
    /// The entries of `volumes`, which belong to `set`.
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        source: Source<'env>,
        set: &'env Set,
        volumes: Vec<Volume>,
        ahead: Ahead,
    ) -> Self {
        let fetcher = Fetcher::new(scope, source.storage, source.opener, source.job, volumes, ahead);
        let (volume, lost, head, last, damage) = (None, None, None, None, None);
        Self { set, source, fetcher, volume, lost, head, last, blind: Vec::new(), damage }
    }

    /// What is left of a set whose manifest is damaged: nothing vouches for its volumes.
    pub fn without_volumes(mut self, damage: Error) -> Result<Self> {
        self.lost = Some(self.tell_lost(EntryPath::root(), None)?);
        self.damage = Some(damage);
        Ok(self)
    }

    /// The entry that comes next.
    pub fn head(&mut self) -> Result<Option<&Head>> {
        while self.head.is_none() {
            self.head = if let Some(lost) = &mut self.lost {
                let head = lost.next(self.last.as_ref().map(|(_, path)| path));
                match head {
                    Ok(Some(head)) => {
                        self.last = Some((Record::Snapshot, head.entry.path.clone()));
                        Some(head)
                    }
                    Ok(None) => {
                        self.lost = None;
                        None
                    }
                    Err(error) => {
                        let Some(Lost { first, last: Some(last), .. }) = self.lost.take() else {
                            return Err(error);
                        };
                        self.cannot_tell((first, last), error)?;
                        None
                    }
                }
            } else {
                match self.next_entry()? {
                    Next::Entry(record, entry) => self.begin(record, entry),
                    Next::EndOfVolume => None,
                    Next::End => return Ok(None),
                }
            };
        }
        Ok(self.head.as_ref())
    }

    /// Takes the entry that comes next. Its data can be read until the next one is asked for.
    pub fn take(&mut self) -> Result<Option<Head>> {
        self.head()?;
        Ok(self.head.take())
    }

    /// The data of the entry that was taken last, over all its chunks.
    pub fn data(&mut self) -> EntryData<'_, 'scope, 'env> {
        EntryData { stream: self, ended: false }
    }

    /// Whether the set may have said something of a path, but nobody knows what.
    pub fn is_blind_at(&self, path: &EntryPath) -> bool {
        self.blind.iter().any(|(first, last)| first <= path && path <= last)
    }

    /// The first damage that was met.
    pub fn into_damage(self) -> Option<Error> {
        self.damage
    }

    /// What to make of an entry with which no other entry's data go on.
    fn begin(&mut self, record: Record, entry: Entry) -> Option<Head> {
        let path = entry.path.clone();
        let last = self.last.as_ref().map(|(_, path)| path);
        let is_chunk = matches!(record, Record::SnapshotChunk(_) | Record::DiffChunk(_));
        if is_chunk && last == Some(&path) {
            return None; // of an entry that nobody wants the rest of
        }
        if last.is_some_and(|last| *last >= path) {
            let reason = "it comes twice or out of order in the backup".to_owned();
            self.source.job.warn(Warning::NotRestored { path, reason });
            return None;
        }
        let word = match record {
            Record::Snapshot | Record::SnapshotChunk(1) => Word::Snapshot,
            Record::Diff | Record::DiffChunk(1) => Word::Diff,
            Record::Deleted => Word::Deleted,
            // Its beginning is missing.
            Record::SnapshotChunk(_) | Record::DiffChunk(_) => Word::Lost,
            Record::Signature => {
                let reason = "a volume should hold no signature".to_owned();
                self.source.job.warn(Warning::NotRestored { path, reason });
                return None;
            }
        };
        self.last = Some((record, path));
        Some(Head { word, entry, is_hearsay: false })
    }

    /// Reads on to the next entry, be it a chunk or not.
    fn next_entry(&mut self) -> Result<Next> {
        let Some(volume) = &mut self.volume else {
            return Ok(match self.fetcher.next_volume()? {
                Some(volume) => {
                    self.volume = Some(tar::Reader::new(volume));
                    Next::EndOfVolume
                }
                None => Next::End,
            });
        };
        self.source.job.check()?;
        let header = volume.next_entry();
        let name = &volume.get_ref().name;
        let error = match header {
            Ok(Some(header)) => match difftar::entry(header) {
                Ok((record, entry)) => return Ok(Next::Entry(record, entry)),
                Err(error) => Error::damaged(name, Damage::Malformed(error.to_string())),
            },
            Err(error) => unreadable(name, error),
            Ok(None) => {
                let Some(volume) = self.volume.take().map(tar::Reader::into_inner) else {
                    return Ok(Next::End);
                };
                let range = volume.range.clone();
                if let Err(error) = volume.finish() {
                    self.damaged(range, error)?;
                }
                return Ok(Next::EndOfVolume);
            }
        };
        self.volume_failed(error)?;
        Ok(Next::EndOfVolume)
    }

    fn volume_failed(&mut self, error: Error) -> Result<()> {
        match self.volume.take() {
            Some(volume) => self.damaged(volume.get_ref().range.clone(), error),
            None => Err(error),
        }
    }

    /// A volume that held `range` is damaged: goes on with what the signatures tell of it.
    fn damaged(&mut self, range: (EntryPath, EntryPath), error: Error) -> Result<()> {
        let file = match &error {
            _ if is_everywhere(&error) => return Err(error),
            Error::Damaged { file, .. } | Error::Crypto { file: Some(file), .. } => file.clone(),
            Error::Crypto { file: None, .. } => self.set.name(),
            _ => return Err(error),
        };
        self.source.job.warn(Warning::damaged(file, &error, Some(range.clone())));
        self.damage.get_or_insert(error);
        match self.tell_lost(range.0.clone(), Some(range.1.clone())) {
            Ok(lost) => {
                self.lost = Some(lost);
                Ok(())
            }
            Err(error) => self.cannot_tell(range, error),
        }
    }

    fn tell_lost(&self, first: EntryPath, last: Option<EntryPath>) -> Result<Lost> {
        let Source { storage, opener, job } = self.source;
        Ok(Lost {
            signatures: SetSignatures::open(storage, &Copies::none(), self.set, opener, job)?,
            first,
            last,
        })
    }

    /// The signatures, too, are of no use. Without volumes and without signatures nothing can go on.
    fn cannot_tell(&mut self, range: (EntryPath, EntryPath), error: Error) -> Result<()> {
        self.blind.push(range);
        match error {
            Error::Damaged { .. } | Error::Crypto { .. } if !is_everywhere(&error) => {
                let signatures = self.set.signatures.as_ref();
                let file = signatures.map_or_else(|| self.set.name(), |file| file.name.clone());
                let (fault, reason) = (Fault::from(&error), error.to_string());
                self.source.job.warn(Warning::Untold { file, fault, reason });
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Whether another chunk of the current entry follows.
    fn next_chunk(&mut self) -> io::Result<bool> {
        let Some((current, path)) = self.last.clone() else { return Ok(false) };
        if !matches!(current, Record::SnapshotChunk(_) | Record::DiffChunk(_)) {
            return Ok(false);
        }
        loop {
            let next = self.next_entry().map_err(Error::into_stream)?;
            if self.lost.as_ref().is_some_and(|lost| lost.covers(&path)) || self.is_blind_at(&path) {
                return Err(invalid("a part of it is in a damaged volume"));
            }
            match next {
                Next::EndOfVolume if self.lost.is_some() => return Ok(false),
                Next::EndOfVolume => {}
                Next::End => return Ok(false),
                Next::Entry(record, entry) if entry.path == path => {
                    let follows = match (current, record) {
                        (Record::SnapshotChunk(last), Record::SnapshotChunk(next)) => next == last + 1,
                        // Deltas of pieces that were made side by side leave numbers out.
                        (Record::DiffChunk(last), Record::DiffChunk(next)) => next > last,
                        _ => false,
                    };
                    self.last = Some((record, path));
                    return if follows { Ok(true) } else { Err(invalid("a part of it is missing")) };
                }
                Next::Entry(record, entry) => {
                    self.head = self.begin(record, entry);
                    return Ok(false);
                }
            }
        }
    }
}

enum Next {
    Entry(Record, Entry),
    EndOfVolume,
    End,
}

impl Lost {
    fn covers(&self, path: &EntryPath) -> bool {
        self.first <= *path && self.last.as_ref().is_none_or(|last| path <= last)
    }

    /// The next entry behind `after` that the damaged volume held.
    fn next(&mut self, after: Option<&EntryPath>) -> Result<Option<Head>> {
        while let Some(head) = self.signatures.take()? {
            if !self.covers(&head.entry.path) {
                if head.entry.path > self.first {
                    return Ok(None);
                }
                continue;
            }
            if after.is_some_and(|after| head.entry.path <= *after) {
                continue;
            }
            let word = match (head.record, &head.entry.kind) {
                (Record::Deleted, _) => Word::Deleted,
                (_, EntryKind::File) => Word::Lost,
                _ => Word::Snapshot,
            };
            return Ok(Some(Head { word, entry: head.entry, is_hearsay: true }));
        }
        Ok(None)
    }
}

/// The data of an entry. Errors are [`Error`]s of ours where nothing can go on, else `InvalidData` with
/// what is wrong with this entry.
pub struct EntryData<'a, 'scope, 'env> {
    stream: &'a mut SetStream<'scope, 'env>,
    ended: bool,
}

impl Read for EntryData<'_, '_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.ended || buffer.is_empty() {
                return Ok(0);
            }
            let Some(volume) = &mut self.stream.volume else {
                self.ended = true;
                return Ok(0);
            };
            match volume.read(buffer) {
                Ok(0) => self.ended = !self.stream.next_chunk()?,
                Ok(count) => return Ok(count),
                Err(error) => {
                    self.ended = true;
                    let error = unreadable(&volume.get_ref().name, error);
                    self.stream.volume_failed(error).map_err(Error::into_stream)?;
                    return Err(invalid("a part of it is in a damaged volume"));
                }
            }
        }
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
