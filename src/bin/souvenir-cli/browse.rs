//! Looking into backups by way of the catalogue.

use std::path::PathBuf;

use anyhow::Context;

use crate::arguments::ListOptions;
use crate::browse_arguments::{CatalogOptions, ChangesOptions, HistoryOptions, SearchOptions};
use crate::browse_report as report;
use crate::console::Console;
use crate::secrets::Environment;
use crate::stores::Destination;
use crate::{Clock, in_job};
use souvenir::engine::catalog::{
    Catalog, DEFAULT_LIMIT_BYTES, Pattern, SyncRequest, enforce_limit, is_damage,
};
use souvenir::engine::copies::Copies;
use souvenir::engine::crypto::{Keyring, Passphrases};
use souvenir::engine::format::entry::EntryKind;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Job;
use souvenir::engine::list::{ListRequest, Listing, list as read_list};
use souvenir::engine::path::EntryPath;
use souvenir::engine::storage::Storage;
use souvenir::engine::{Error, Result};
use souvenir::preferences::Preferences;

/// Where backups are, and with what they are read.
struct Unopened {
    destination: Destination,
    keyring: Keyring,
    passphrases: Passphrases,
}

impl Unopened {
    fn open(self, job: &Job) -> Result<Place> {
        let storage = self.destination.open(job)?;
        Ok(Place { storage, keyring: self.keyring, passphrases: self.passphrases })
    }
}

/// The same, ready to be read.
struct Place {
    storage: Box<dyn Storage>,
    keyring: Keyring,
    passphrases: Passphrases,
}

/// An answer of the catalogue.
pub struct Answer<T> {
    /// What it said.
    pub value: T,
    /// Why the destination could not be looked at, if it could not: then the answer may be old.
    pub unreachable: Option<Error>,
}

/// `list`: the number of warnings.
pub fn list(
    console: &Console,
    options: ListOptions,
    keyring: Keyring,
    environment: Environment,
    clock: &Clock,
) -> anyhow::Result<u64> {
    let passphrases = options.passphrase.read(environment)?;
    let place = Unopened { destination: options.destination, keyring, passphrases };
    let path = options.path.as_deref().map(EntryPath::from_user).transpose();
    let path = path.context("PATH leads out of the backup")?;
    // Without a path it is everything, as ever.
    let whole = options.recursive || path.is_none();
    let path = path.unwrap_or_default();
    let time = clock.time_of(options.time)?;
    let answer = in_job(console, move |job| {
        let place = place.open(job)?;
        let read = |job: &Job| -> Result<Answer<(Listing, Vec<_>)>> {
            let listing = place.read_list(&path, whole, time, job)?;
            Ok(Answer { value: (listing, Vec::new()), unreachable: None })
        };
        // Where no catalogue can be kept, a list can be had nevertheless.
        let can_be_kept = || match place.catalog() {
            Err(Error::Local { .. }) => Ok(false),
            opened => opened.map(|_| true),
        };
        if options.no_catalog || !can_be_kept()? {
            return read(job);
        }
        let answer = place.ask(job, |catalog| {
            let mut entries = Vec::new();
            if !whole {
                let directory = catalog.directory(&path, time)?;
                entries = directory.entries;
                if entries.is_empty() {
                    // Of a file there is itself to be listed.
                    let itself = catalog.entry(&path, time)?;
                    entries.extend(itself.filter(|entry| !matches!(entry.kind, EntryKind::Directory)));
                }
                return Ok((Listing { set_time: directory.set_time, entries }, directory.missing));
            }
            let (set_time, missing) = catalog.entries_below(&path, time, job, |entry| {
                entries.push(entry);
                Ok(())
            })?;
            Ok((Listing { set_time, entries }, missing))
        })?;
        // Without its first set nothing is known of a chain. Reading it says what is wrong.
        if answer.value.1.iter().any(|set| set.is_full) { read(job) } else { Ok(answer) }
    })?;
    report::list(console, answer)
}

/// `search`: the number of warnings.
pub fn search(
    console: &Console,
    options: SearchOptions,
    keyring: Keyring,
    environment: Environment,
) -> anyhow::Result<u64> {
    let passphrases = options.passphrase.read(environment)?;
    let place = Unopened { destination: options.destination, keyring, passphrases };
    let text = &options.pattern;
    let pattern = if options.literal { Pattern::part(text) } else { Pattern::new(text) }?;
    let limit = options.limit;
    let found = in_job(console, move |job| {
        place.open(job)?.ask(job, |catalog| catalog.search(&pattern, limit, job))
    })?;
    report::search(console, found)
}

/// `history`: the number of warnings.
pub fn history(
    console: &Console,
    options: HistoryOptions,
    keyring: Keyring,
    environment: Environment,
) -> anyhow::Result<u64> {
    let passphrases = options.passphrase.read(environment)?;
    let place = Unopened { destination: options.destination, keyring, passphrases };
    let path = EntryPath::from_user(&options.path).context("PATH leads out of the backup")?;
    let asked = path.clone();
    let history = in_job(console, move |job| place.open(job)?.ask(job, |catalog| catalog.history(&asked)))?;
    report::history(console, &path, history)
}

/// `changes`: the number of warnings.
pub fn changes(
    console: &Console,
    options: ChangesOptions,
    keyring: Keyring,
    environment: Environment,
    clock: &Clock,
) -> anyhow::Result<u64> {
    let passphrases = options.passphrase.read(environment)?;
    let place = Unopened { destination: options.destination, keyring, passphrases };
    let (from, to) = (clock.time(options.from)?, clock.time(options.to)?);
    let changes =
        in_job(console, move |job| place.open(job)?.ask(job, |catalog| catalog.changes(from, to, job)))?;
    report::changes(console, changes)
}

/// `catalog`: the number of warnings.
pub fn catalog(
    console: &Console,
    options: CatalogOptions,
    keyring: Keyring,
    environment: Environment,
) -> anyhow::Result<u64> {
    let passphrases = options.passphrase.read(environment)?;
    let place = Unopened { destination: options.destination, keyring, passphrases };
    let overview = in_job(console, move |job| {
        let place = place.open(job)?;
        let cache = cache_folder()?;
        if let Some(mebibytes) = options.limit {
            let failed = |source| Error::Local { action: "keeping the limit", source };
            let preferences = Preferences::open_usual();
            preferences.map_or(Ok(()), |mut kept| kept.set_catalog_limit(mebibytes)).map_err(failed)?;
            enforce_limit(&cache, limit_bytes())?;
        }
        if options.empty || options.rebuild {
            Catalog::empty(&cache, &*place.storage)?;
        }
        if options.empty {
            return Ok(None);
        }
        let mut catalog = place.catalog()?;
        if options.rebuild {
            place.sync(&mut catalog, job)?;
        }
        Ok(Some((catalog.overview()?, limit_bytes())))
    })?;
    match overview {
        Some((overview, limit_bytes)) => report::catalog(console, &overview, limit_bytes),
        None => Ok(0),
    }
}

impl Place {
    /// Opens the catalogue. None is begun of a place that is not there.
    fn catalog(&self) -> Result<Catalog> {
        let cache = cache_folder()?;
        if !Catalog::exists(&cache, &*self.storage) {
            self.storage.list()?;
        }
        Catalog::open(&cache, &*self.storage)
    }

    /// Brings the catalogue up to date and asks it something.
    fn ask<T>(&self, job: &Job, query: impl Fn(&Catalog) -> Result<T>) -> Result<Answer<T>> {
        match self.try_to_ask(job, &query) {
            // The next time it is a new one.
            Err(error) if is_damage(&error) => self.try_to_ask(job, &query),
            result => result,
        }
    }

    fn try_to_ask<T>(&self, job: &Job, query: impl Fn(&Catalog) -> Result<T>) -> Result<Answer<T>> {
        let mut catalog = self.catalog()?;
        let unreachable = match self.sync(&mut catalog, job) {
            Ok(()) => None,
            Err(error @ Error::Storage(_)) if catalog.overview()?.synced.is_some() => Some(error),
            Err(error) => return Err(error),
        };
        Ok(Answer { value: query(&catalog)?, unreachable })
    }

    fn sync(&self, catalog: &mut Catalog, job: &Job) -> Result<()> {
        let (keyring, passphrases) = (&self.keyring, &self.passphrases);
        // What was backed up from this machine needs no key.
        let copies = Copies::of(&cache_folder()?, &*self.storage).without_new();
        let request = SyncRequest { storage: &*self.storage, keyring, passphrases, copies: &copies };
        let summary = catalog.sync(&request, job)?;
        tracing::debug!(?summary, "the catalogue is up to date");
        if summary.taken_count > 0
            && let Err(error) = enforce_limit(&cache_folder()?, limit_bytes())
        {
            tracing::warn!(%error, "the size of the catalogues could not be looked at");
        }
        Ok(())
    }

    /// Reads a state from the destination itself.
    fn read_list(&self, path: &EntryPath, whole: bool, time: Option<SetTime>, job: &Job) -> Result<Listing> {
        let (keyring, passphrases) = (&self.keyring, &self.passphrases);
        let request = ListRequest { storage: &*self.storage, keyring, passphrases, time };
        let mut listing = read_list(&request, job)?;
        listing.entries.retain(|entry| entry.path.starts_with(path));
        let is_folder = |listing: &Listing| {
            listing.entries.len() != 1 || matches!(listing.entries[0].kind, EntryKind::Directory)
        };
        if listing.entries.is_empty() && !path.is_root() {
            return Err(Error::PathNotInBackup { path: path.clone() });
        }
        if !whole && is_folder(&listing) {
            listing.entries.retain(|entry| entry.path.parent().as_ref() == Some(path));
        }
        Ok(listing)
    }
}

/// What all catalogues together may take.
fn limit_bytes() -> u64 {
    Preferences::open_usual().map_or(DEFAULT_LIMIT_BYTES, |preferences| preferences.catalog_limit_bytes())
}

/// The folder of all catalogues.
fn cache_folder() -> Result<PathBuf> {
    Copies::usual_cache().ok_or_else(|| Error::Local {
        action: "finding the cache folder",
        source: std::io::Error::new(std::io::ErrorKind::NotFound, "there is no home folder"),
    })
}
