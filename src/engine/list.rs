//! What was there at a time, read from the signatures of the chain.

use super::chain::Collection;
use super::copies::Copies;
use super::crypto::{Keyring, Opener, Passphrases};
use super::error::{Error, Result};
use super::format::entry::Entry;
use super::format::time::SetTime;
use super::job::{Job, Phase};
use super::known::KnownTree;
use super::storage::Storage;

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
    let set_time = sets.last().map(|set| set.kind.time()).ok_or_else(no_backup)?;
    let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
    let mut known = KnownTree::open(request.storage, &Copies::none(), sets, &opener, job)?;
    let mut entries = Vec::new();
    while let Some(entry) = known.take()? {
        entries.push(entry);
    }
    Ok(Listing { set_time, entries })
}
