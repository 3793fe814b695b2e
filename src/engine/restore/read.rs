//! One file into memory, to be looked at: nothing of it is written to the disk.

use std::io::{self, BufReader, Cursor, Read};

use super::merge::{FileParts, Sink};
use super::{Source, hand_over, nothing_to_restore, want};
use crate::engine::chain::Collection;
use crate::engine::copies::Copies;
use crate::engine::crypto::{Keyring, Opener, Passphrases};
use crate::engine::delta::patch;
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::Entry;
use crate::engine::format::time::SetTime;
use crate::engine::job::{Job, Phase, Warning};
use crate::engine::path::EntryPath;
use crate::engine::storage::Storage;

/// Which file to read.
#[derive(Debug)]
pub struct ReadRequest<'a> {
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
    /// The file.
    pub path: EntryPath,
    /// The most bytes that it, or an earlier state that it builds on, may have.
    pub limit_bytes: u64,
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct FileContents {
    /// The file.
    pub entry: Entry,
    /// What is in it; none if that is more than the limit.
    pub bytes: Option<Vec<u8>>,
}

/// Reads a regular file, going by the same checks as a restore. Memory is bounded by the limit, whatever
/// the stored files say of the size.
pub fn read_file(request: &ReadRequest<'_>, job: &Job) -> Result<FileContents> {
    job.phase(Phase::Restoring);
    let collection = Collection::new(request.storage.list()?);
    let no_backup = || Error::NoBackup { location: request.storage.location() };
    let sets = collection.sets_for(request.time).ok_or_else(no_backup)?;
    let last = sets.last().ok_or_else(no_backup)?;
    let opener = Opener::new(request.keyring, request.passphrases, request.sign_key, job)?;
    let source = Source { storage: request.storage, opener: &opener, job };
    let paths = [request.path.clone()];
    let wanted =
        sets.iter().map(|set| want(set, &paths, &Copies::none(), source)).collect::<Result<Vec<_>>>()?;
    let mut memory = Memory { request, job, found: None, is_lost: false };
    let met = hand_over(wanted, source, &mut memory)?;
    memory.found.ok_or_else(|| met.first.unwrap_or_else(|| nothing_to_restore(&paths, last)))
}

struct Memory<'a> {
    request: &'a ReadRequest<'a>,
    job: &'a Job,
    found: Option<FileContents>,
    /// Whether the file was come to, and cannot be had.
    is_lost: bool,
}

impl Memory<'_> {
    /// Reads to the end, or gives up at the limit.
    fn read(&self, data: impl Read) -> io::Result<Option<Vec<u8>>> {
        let limit = self.request.limit_bytes;
        let mut bytes = Vec::new();
        data.take(limit + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    fn put_together(&self, mut parts: FileParts<'_, '_, '_>) -> io::Result<Option<Vec<u8>>> {
        let base = &mut parts.streams[parts.base];
        let Some(mut bytes) = self.read(base.data())? else { return Ok(None) };
        base.prove(&mut &bytes[..])?;
        for diff in std::mem::take(&mut parts.diffs) {
            self.job.check().map_err(Error::into_stream)?;
            let diff = &mut parts.streams[diff];
            let state = self.read(patch(Cursor::new(bytes), BufReader::new(diff.data()))?)?;
            let Some(state) = state else { return Ok(None) };
            diff.prove(&mut &state[..])?;
            bytes = state;
        }
        Ok(Some(bytes))
    }
}

impl Sink for Memory<'_> {
    fn wants(&self, path: &EntryPath) -> bool {
        *path == self.request.path
    }

    fn is_done(&self) -> bool {
        self.found.is_some() || self.is_lost
    }

    fn file(&mut self, entry: Entry, parts: FileParts<'_, '_, '_>) -> Result<()> {
        match self.put_together(parts) {
            Ok(bytes) => {
                self.found = Some(FileContents { entry, bytes });
                Ok(())
            }
            // Our own errors are of more than this file; others say what is wrong with it.
            Err(error) => match error.downcast::<Error>() {
                Ok(ours) => Err(ours),
                Err(error) => {
                    self.not_restored(entry.path, error.to_string());
                    Ok(())
                }
            },
        }
    }

    fn other(&mut self, _entry: Entry, _is_hearsay: bool) -> Result<()> {
        Ok(())
    }

    fn not_restored(&mut self, path: EntryPath, reason: String) {
        self.is_lost = true;
        self.job.warn(Warning::lost(path, reason));
    }
}
