//! What a chain knows of a tree at a time: the signature tars of its sets, read side by side as one
//! stream in the order of the format. Memory does not grow with the number of entries.

use super::chain::Set;
use super::copies::Copies;
use super::crypto::Opener;
use super::error::{Damage, Error, Fault, Result};
use super::format::difftar::{self, Record};
use super::format::entry::Entry;
use super::format::tar;
use super::job::{Job, Warning};
use super::path::EntryPath;
use super::storage::Storage;
use super::stored::{StoredReader, unreadable};
use std::io::Read;

/// Largest signature that is believed, in bytes: that of a file of some 30 PB.
const SIGNATURE_LIMIT: u64 = 1 << 30;

/// What is known of the tree after some sets of a chain.
pub struct KnownTree {
    /// One for each set, the newest first: its word on a path goes before that of the others.
    sets: Vec<SetSignatures>,
    /// Which of them has the word on the next path.
    next: Option<usize>,
}

impl KnownTree {
    /// A tree that nothing is known of.
    pub fn empty() -> Self {
        Self { sets: Vec::new(), next: None }
    }

    /// Opens the signatures of `sets`, given from the oldest to the newest.
    pub fn open(
        storage: &dyn Storage,
        copies: &Copies,
        sets: &[Set],
        opener: &Opener,
        job: &Job,
    ) -> Result<Self> {
        let sets = sets
            .iter()
            .rev()
            .map(|set| SetSignatures::open(storage, copies, set, opener, job))
            .collect::<Result<_>>()?;
        Ok(Self { sets, next: None })
    }

    /// The entry that comes next, if any is left.
    pub fn peek(&mut self) -> Result<Option<&Entry>> {
        while self.next.is_none() {
            let Some(first) = self.first()? else { return Ok(None) };
            if self.sets[first].head.as_ref().is_some_and(|head| head.record == Record::Deleted) {
                self.pass(first)?;
            } else {
                self.next = Some(first);
            }
        }
        Ok(self.next.and_then(|set| self.sets[set].head.as_ref()).map(|head| &head.entry))
    }

    /// Takes the next entry, without its signature.
    pub fn take(&mut self) -> Result<Option<Entry>> {
        self.peek()?;
        let Some(set) = self.next.take() else { return Ok(None) };
        self.pass(set)
    }

    /// The signature of the next entry, which is to be a regular file. To be called once, before the
    /// entry is taken. `None` if the chain has no signature of it.
    pub fn signature(&mut self) -> Result<Option<Vec<u8>>> {
        self.peek()?;
        self.next.map_or(Ok(None), |set| self.sets[set].signature())
    }

    /// Which set has the smallest path; of several the newest.
    fn first(&mut self) -> Result<Option<usize>> {
        let mut first: Option<(usize, &EntryPath)> = None;
        for (index, set) in self.sets.iter_mut().enumerate() {
            let Some(head) = set.head()? else { continue };
            if first.is_none_or(|(_, path)| head.entry.path < *path) {
                first = Some((index, &head.entry.path));
            }
        }
        Ok(first.map(|(index, _)| index))
    }

    /// Takes the head of `set` and what older sets say of the same path.
    fn pass(&mut self, set: usize) -> Result<Option<Entry>> {
        let Some(head) = self.sets[set].head.take() else { return Ok(None) };
        for older in &mut self.sets[set + 1..] {
            older.head.take_if(|other| other.entry.path == head.entry.path);
        }
        Ok(Some(head.entry))
    }
}

/// What the signature tar of one set says, entry by entry.
pub struct SetSignatures {
    /// Name of the stored file.
    name: String,
    is_full: bool,
    /// None once its end is reached.
    tar: Option<tar::Reader<StoredReader>>,
    head: Option<Head>,
    last: Option<EntryPath>,
    job: Job,
}

/// An entry whose data has not been read.
pub struct Head {
    /// What is said of it: [`Record::Signature`], [`Record::Snapshot`] or [`Record::Deleted`].
    pub record: Record,
    /// The entry.
    pub entry: Entry,
}

impl SetSignatures {
    /// Opens the signatures of a set.
    pub fn open(
        storage: &dyn Storage,
        copies: &Copies,
        set: &Set,
        opener: &Opener,
        job: &Job,
    ) -> Result<Self> {
        let missing = || Error::damaged(format!("the signatures of {}", set.name()), Damage::Missing);
        let file = set.signatures.as_ref().ok_or_else(missing)?;
        Ok(Self::of(set, &file.name, copies.open(storage, file, opener, job)?, job))
    }

    /// The signatures of a set in the file `name`, which `reader` reads.
    pub fn of(set: &Set, name: &str, reader: StoredReader, job: &Job) -> Self {
        let (name, is_full, tar) = (name.to_owned(), set.kind.is_full(), Some(tar::Reader::new(reader)));
        Self { name, is_full, tar, head: None, last: None, job: job.clone() }
    }

    /// The entry that comes next.
    pub fn head(&mut self) -> Result<Option<&Head>> {
        if self.head.is_none() {
            self.head = self.read_head()?;
        }
        Ok(self.head.as_ref())
    }

    /// Takes the entry that comes next.
    pub fn take(&mut self) -> Result<Option<Head>> {
        self.head()?;
        Ok(self.head.take())
    }

    fn read_head(&mut self) -> Result<Option<Head>> {
        while let Some(tar) = &mut self.tar {
            self.job.check()?;
            let Some(header) = tar.next_entry().map_err(|error| unreadable(&self.name, error))? else {
                if let Some(tar) = self.tar.take() {
                    tar.into_inner().finish()?;
                }
                // A full set has its root at least; an incremental one may have nothing to say.
                if self.last.is_none() && self.is_full {
                    return Err(Error::damaged(&self.name, Damage::Empty));
                }
                break;
            };
            let (record, entry) =
                difftar::entry(header).map_err(|error| self.malformed(error.to_string()))?;
            if !matches!(record, Record::Signature | Record::Snapshot | Record::Deleted) {
                return Err(self.malformed(format!("{} is not a signature", entry.path)));
            }
            if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
                // duplicity passes such entries over with a warning too.
                let reason = format!("{} stands twice or out of order in it", entry.path);
                let (file, fault) = (self.name.clone(), Fault::Malformed);
                self.job.warn(Warning::Damaged { file, fault, reason, held: None });
                continue;
            }
            self.last = Some(entry.path.clone());
            return Ok(Some(Head { record, entry }));
        }
        Ok(None)
    }

    /// The signature of a file, passing over what comes before it. `None` if there is none.
    pub fn signature_of(&mut self, path: &EntryPath) -> Result<Option<Vec<u8>>> {
        while self.head()?.is_some_and(|head| head.entry.path < *path) {
            self.head = None;
        }
        if self.head.as_ref().is_some_and(|head| head.entry.path == *path) {
            self.signature()
        } else {
            Ok(None)
        }
    }

    /// The signature of the head, to be asked for once. `None` if that has none.
    pub fn signature(&mut self) -> Result<Option<Vec<u8>>> {
        let is_file = self.head.as_ref().is_some_and(|head| head.record == Record::Signature);
        let (true, Some(tar)) = (is_file, &mut self.tar) else { return Ok(None) };
        let mut bytes = Vec::new();
        tar.take(SIGNATURE_LIMIT).read_to_end(&mut bytes).map_err(|error| unreadable(&self.name, error))?;
        Ok(Some(bytes))
    }

    fn malformed(&self, what: String) -> Error {
        Error::damaged(&self.name, Damage::Malformed(what))
    }
}
