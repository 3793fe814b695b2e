//! What was there at a time, read from the signatures of the chain.

use std::collections::BTreeMap;

use super::chain::{Collection, Set};
use super::crypto::{Keyring, Opener, Passphrases};
use super::error::{Damage, Error, Result};
use super::format::difftar::{self, Record};
use super::format::entry::Entry;
use super::format::tar;
use super::format::time::SetTime;
use super::job::{Job, Phase};
use super::path::EntryPath;
use super::storage::Storage;
use super::stored::{StoredReader, unreadable};

/// Which state to list.
#[derive(Debug)]
pub struct ListRequest<'a> {
    /// Where from.
    pub storage: &'a dyn Storage,
    /// Where gpg's keys are.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
    /// The state of that time, or the newest.
    pub time: Option<SetTime>,
}

/// What was there at a time.
#[derive(Debug)]
pub struct Listing {
    /// The time of the set.
    pub set_time: SetTime,
    /// Every entry, parents before what they hold; the root first. The size of a regular file is
    /// known if Souvenir wrote the set.
    pub entries: Vec<Entry>,
}

/// Lists the state at a time. Of a chain the newest word on a path counts.
pub fn list(request: &ListRequest<'_>, job: &Job) -> Result<Listing> {
    job.phase(Phase::Listing);
    let collection = Collection::new(request.storage.list()?);
    let no_backup = || Error::NoBackup { location: request.storage.location() };
    let sets = collection.sets_for(request.time).ok_or_else(no_backup)?;
    let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
    let mut entries = BTreeMap::new();
    for set in sets {
        read_signatures(request.storage, set, &opener, job, |path, entry| match entry {
            Some(entry) => {
                entries.insert(path, entry);
            }
            None => {
                entries.remove(&path);
            }
        })?;
    }
    let set_time = sets.last().map(|set| set.kind.time()).ok_or_else(no_backup)?;
    Ok(Listing { set_time, entries: entries.into_values().collect() })
}

/// Reads the signature tar of a set; `None` stands for a path that is gone.
fn read_signatures(
    storage: &dyn Storage,
    set: &Set,
    opener: &Opener,
    job: &Job,
    mut take: impl FnMut(EntryPath, Option<Entry>),
) -> Result<()> {
    let missing = || Error::damaged(format!("the signatures of {}", set.name()), Damage::Missing);
    let name = &set.signatures.as_ref().ok_or_else(missing)?.name;
    let mut tar = tar::Reader::new(StoredReader::open(storage, name, opener, job)?);
    let mut is_empty = true;
    while let Some(header) = tar.next_entry().map_err(|error| unreadable(name, error))? {
        job.check()?;
        is_empty = false;
        let (record, entry) = difftar::entry(header)
            .map_err(|error| Error::damaged(name, Damage::Malformed(error.to_string())))?;
        match record {
            Record::Deleted => take(entry.path, None),
            Record::Snapshot | Record::Signature => take(entry.path.clone(), Some(entry)),
            Record::Diff | Record::SnapshotChunk(_) | Record::DiffChunk(_) => {
                let what = format!("{} is not a signature", entry.path);
                return Err(Error::damaged(name, Damage::Malformed(what)));
            }
        }
    }
    tar.into_inner().finish()?;
    // A full set has its root at least; an incremental one may have nothing to say.
    if is_empty && set.kind.is_full() {
        return Err(Error::damaged(name, Damage::Empty));
    }
    Ok(())
}
