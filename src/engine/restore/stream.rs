//! The entries of one set in a row, over all its volumes.
//!
//! A damaged volume does not end the row. What was in it is told by the signatures of the set ([`salvage`]).
//!
//! [`salvage`]: super::salvage

use std::io::{self, Read};
use std::thread::Scope;

use super::fetch::{Ahead, Fetcher, OpenVolume, Volume};
use super::salvage::{Range, Salvage, Suspect, covers, suspects};
use super::witness::Witness;
use super::{Source, Unnamed, is_everywhere, may_be_of_one_file};
use crate::engine::chain::Set;
use crate::engine::delta::is_signature_of;
use crate::engine::error::{Damage, Error, Fault, Result};
use crate::engine::format::difftar::{self, Record};
use crate::engine::format::entry::Entry;
use crate::engine::format::tar;
use crate::engine::job::Warning;
use crate::engine::path::EntryPath;
use crate::engine::stored::unreadable;

/// What is wrong with a file of which a damaged volume held something.
const IN_DAMAGED_VOLUME: &str = "a part of it is in a damaged volume";

/// What a set says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// This is it; the contents of a regular file are the data of the stream.
    Snapshot,
    /// The data of the stream are the difference to the state before.
    Diff,
    /// It is gone.
    Deleted,
    /// A regular file whose data were in a damaged volume, and cannot be read there.
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
    /// The signature that the state of the file must have, if its data come from a damaged volume.
    pub proof: Option<Vec<u8>>,
}

/// The entries of one set.
pub struct SetStream<'scope, 'env> {
    set: &'env Set,
    source: Source<'env>,
    fetcher: Fetcher<'scope, 'env>,
    volume: Option<tar::Reader<OpenVolume>>,
    /// What a damaged volume held, as long as it is being told.
    salvage: Option<Salvage<'env>>,
    witness: Witness<'env>,
    /// Volumes that the manifest does not name, until it is their turn.
    unnamed: Option<Unnamed>,
    head: Option<Head>,
    /// The record and the path that came last.
    last: Option<(Record, EntryPath)>,
    /// The signature that the state of the entry that was taken last must have, if some of its data were in a damaged
    /// volume.
    proof: Option<Vec<u8>>,
    /// Ranges of paths that the set said something of, but nobody knows what.
    blind: Vec<Range>,
    damage: Option<Error>,
    damaged_count: u64,
}

impl<'scope, 'env> SetStream<'scope, 'env> {
    /// The entries of `volumes`, which belong to `set`, and of those that its manifest does not name.
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        source: Source<'env>,
        set: &'env Set,
        volumes: Vec<Volume>,
        unnamed: Option<Unnamed>,
        ahead: Ahead,
    ) -> Self {
        let fetcher = Fetcher::new(scope, source.storage, source.opener, source.job, volumes, ahead);
        Self {
            set,
            source,
            fetcher,
            volume: None,
            salvage: None,
            witness: Witness::new(set, source),
            damage: None,
            damaged_count: u64::from(unnamed.is_some()),
            unnamed,
            head: None,
            last: None,
            proof: None,
            blind: Vec::new(),
        }
    }

    /// The entry that comes next.
    pub fn head(&mut self) -> Result<Option<&Head>> {
        while self.head.is_none() {
            self.head = if let Some(salvage) = &mut self.salvage {
                match salvage.next_head(self.last.as_ref().map(|(_, path)| path)) {
                    Ok(Some((record, head))) => {
                        self.last = Some((record, head.entry.path.clone()));
                        Some(head)
                    }
                    Ok(None) => {
                        self.end_salvage();
                        None
                    }
                    Err(error) => {
                        self.give_up_salvage(error)?;
                        None
                    }
                }
            } else {
                match self.next_entry()? {
                    Next::Entry(record, entry) => self.begin(record, entry),
                    Next::EndOfVolume => None,
                    Next::End if self.begin_unnamed()? => None,
                    Next::End => return Ok(None),
                }
            };
        }
        Ok(self.head.as_ref())
    }

    /// Takes the entry that comes next. Its data can be read until the next one is asked for.
    pub fn take(&mut self) -> Result<Option<Head>> {
        self.head()?;
        let mut head = self.head.take();
        self.proof = head.as_mut().and_then(|head| head.proof.take());
        Ok(head)
    }

    /// The data of the entry that was taken last, over all its chunks.
    pub fn data(&mut self) -> EntryData<'_, 'scope, 'env> {
        EntryData { stream: self, ended: false }
    }

    /// Whether the state of the file that was taken last must be proven, once its data have been read.
    pub fn needs_proof(&self) -> bool {
        self.proof.is_some()
    }

    /// Compares the state that the data of the entry that was taken last lead to with its signature, if that is all
    /// that vouches for it. `InvalidData` if it is another.
    pub fn prove(&mut self, state: &mut impl Read) -> io::Result<()> {
        let Some(signature) = self.proof.take() else { return Ok(()) };
        let job = self.source.job;
        let is_it = is_signature_of(&signature, |buffer| {
            job.check().map_err(Error::into_stream)?;
            state.read(buffer)
        })?;
        if is_it { Ok(()) } else { Err(invalid(IN_DAMAGED_VOLUME)) }
    }

    /// Whether the set may have said something of a path, but nobody knows what.
    pub fn is_blind_at(&self, path: &EntryPath) -> bool {
        self.blind.iter().any(|range| covers(range, path))
    }

    /// How many stored files were found to be damaged.
    pub fn damaged_count(&self) -> u64 {
        self.damaged_count
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
            self.source.job.warn(Warning::lost(path, "it comes twice or out of order in the backup"));
            return None;
        }
        let word = match record {
            Record::Snapshot | Record::SnapshotChunk(1) => Word::Snapshot,
            Record::Diff | Record::DiffChunk(1) => Word::Diff,
            Record::Deleted => Word::Deleted,
            // Its beginning is missing.
            Record::SnapshotChunk(_) | Record::DiffChunk(_) => Word::Lost,
            Record::Signature => {
                self.source.job.warn(Warning::lost(path, "a volume should hold no signature"));
                return None;
            }
        };
        self.last = Some((record, path));
        Some(Head { word, entry, is_hearsay: false, proof: None })
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
        let name = &volume.get_ref().volume.name;
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
                let range = volume.volume.range.clone();
                if let Err(error) = volume.finish() {
                    self.damaged(range, Vec::new(), error)?;
                }
                return Ok(Next::EndOfVolume);
            }
        };
        self.volume_failed(error)?;
        Ok(Next::EndOfVolume)
    }

    fn volume_failed(&mut self, error: Error) -> Result<()> {
        let Some(volume) = self.volume.take() else { return Err(error) };
        let volume = volume.into_inner().volume;
        let range = volume.range.clone();
        // Of one whose hash is right all was read that can be.
        let was_compared = matches!(&error, Error::Damaged { damage: Damage::HashMismatch { .. }, .. });
        let is_unread = was_compared || volume.hash.is_none() || !volume.others.is_empty();
        let suspects = if is_unread { suspects(volume, was_compared).collect() } else { Vec::new() };
        self.damaged(range, suspects, error)
    }

    /// The data of an entry cannot be read any further.
    fn data_failed(&mut self, error: io::Error) -> Result<()> {
        if self.salvage.is_none()
            && let Some(volume) = &self.volume
        {
            let error = unreadable(&volume.get_ref().volume.name, error);
            return self.volume_failed(error);
        }
        match unreadable(&self.set.name(), error) {
            // What the damaged volume has left ends here.
            Error::Damaged { .. } | Error::Crypto { .. } => Ok(()),
            error => Err(error),
        }
    }

    /// A volume that held `range` is damaged: goes on with what the signatures tell of it, and with what can be read of
    /// the `suspects`.
    fn damaged(&mut self, range: (EntryPath, EntryPath), suspects: Vec<Suspect>, error: Error) -> Result<()> {
        let file = match &error {
            _ if is_everywhere(&error) => return Err(error),
            Error::Damaged { file, .. } | Error::Crypto { file: Some(file), .. } => file.clone(),
            Error::Crypto { file: None, .. } => self.set.name(),
            _ => return Err(error),
        };
        self.source.job.warn(Warning::damaged(file, &error, Some(range.clone())));
        self.damage.get_or_insert(error);
        self.damaged_count += 1;
        self.salvage_from(suspects, (range.0, Some(range.1)))
    }

    /// Goes on with the volumes that the manifest does not name. False if there are none.
    fn begin_unnamed(&mut self) -> Result<bool> {
        let Some(Unnamed { volumes, from, damage }) = self.unnamed.take() else { return Ok(false) };
        self.damage.get_or_insert(damage);
        let suspects = volumes.into_iter().flat_map(|volume| suspects(volume, false)).collect();
        self.salvage_from(suspects, (from, None))?;
        Ok(true)
    }

    fn salvage_from(&mut self, suspects: Vec<Suspect>, range: Range) -> Result<()> {
        match self.witness.tell(suspects, range.clone()) {
            Ok(Some(salvage)) => self.salvage = Some(salvage),
            Ok(None) => self.blind.push(range),
            Err(error) => return self.cannot_tell(range, error),
        }
        Ok(())
    }

    /// Goes on with the volume after the damaged one.
    fn end_salvage(&mut self) {
        if let Some(salvage) = self.salvage.take() {
            self.witness.take_back(salvage);
        }
    }

    /// The signatures cannot be read any further.
    fn give_up_salvage(&mut self, error: Error) -> Result<()> {
        match self.salvage.take() {
            Some(salvage) => self.cannot_tell(salvage.into_range(), error),
            None => Err(error),
        }
    }

    /// The signatures, too, are of no use. That is said once.
    fn cannot_tell(&mut self, range: Range, error: Error) -> Result<()> {
        let is_known = !self.blind.is_empty();
        self.blind.push(range);
        match error {
            Error::Damaged { .. } | Error::Crypto { .. }
                if !is_everywhere(&error) || may_be_of_one_file(&error) =>
            {
                if is_known {
                    return Ok(());
                }
                self.damaged_count += 1;
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
        let next = loop {
            if self.is_blind_at(&path) {
                return Err(invalid(IN_DAMAGED_VOLUME));
            }
            if self.salvage.as_ref().is_some_and(|salvage| !salvage.covers(&path)) {
                return Ok(false);
            }
            if self.salvage.is_some() {
                self.demand_proof(&path)?;
            }
            if let Some(salvage) = &mut self.salvage {
                match salvage.next_of(&path, current).map_err(Error::into_stream)? {
                    Some(record) => break record,
                    // The rest may be in the next volume.
                    None if salvage.ends_with(&path) => self.end_salvage(),
                    None => return Ok(false),
                }
            }
            match self.next_entry().map_err(Error::into_stream)? {
                Next::EndOfVolume => {}
                Next::End if self.begin_unnamed().map_err(Error::into_stream)? => {}
                Next::End => return Ok(false),
                Next::Entry(record, entry) if entry.path == path => break record,
                Next::Entry(record, entry) => {
                    self.head = self.begin(record, entry);
                    return Ok(false);
                }
            }
        };
        let follows = match (current, next) {
            (Record::SnapshotChunk(last), Record::SnapshotChunk(next)) => next == last + 1,
            // Deltas of pieces that were made side by side leave numbers out.
            (Record::DiffChunk(last), Record::DiffChunk(next)) => next > last,
            _ => false,
        };
        self.last = Some((next, path));
        if follows { Ok(true) } else { Err(invalid("a part of it is missing")) }
    }

    /// The current entry goes on in a damaged volume: from here on it must be proven. `InvalidData` if it cannot be.
    fn demand_proof(&mut self, path: &EntryPath) -> io::Result<()> {
        if self.proof.is_none()
            && self.witness.can_prove()
            && let Some(salvage) = &mut self.salvage
        {
            match salvage.signature_of(path) {
                Ok(signature) => self.proof = signature,
                Err(error) => self.give_up_salvage(error).map_err(Error::into_stream)?,
            }
        }
        if self.proof.is_some() { Ok(()) } else { Err(invalid(IN_DAMAGED_VOLUME)) }
    }
}

enum Next {
    Entry(Record, Entry),
    EndOfVolume,
    End,
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
            let read = match (&mut self.stream.salvage, &mut self.stream.volume) {
                (Some(salvage), _) => salvage.read(buffer),
                (None, Some(volume)) => volume.read(buffer),
                (None, None) => Ok(0),
            };
            match read {
                Ok(0) => self.ended = !self.stream.next_chunk()?,
                Ok(count) => return Ok(count),
                Err(error) => {
                    self.ended = true;
                    self.stream.data_failed(error).map_err(Error::into_stream)?;
                    return Err(invalid(IN_DAMAGED_VOLUME));
                }
            }
        }
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
