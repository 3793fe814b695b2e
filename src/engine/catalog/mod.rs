//! The catalogue: a local index of every set of a destination. Browsing, searching and histories go
//! by it, and need neither key nor network.
//!
//! It is made from the signature files of the destination and from nothing else, so it can be thrown
//! away at any time: whatever is wrong with its file, a new one is begun. It holds names in clear
//! text, even of encrypted backups; its folder is for its owner only.
//!
//! This is the only place that knows rusqlite.

mod changes;
mod contents;
mod extras;
mod failure;
mod fold;
mod folder;
mod history;
mod intake;
mod limit;
mod lookup;
mod names;
mod pattern;
mod records;
mod schema;
mod search;
mod sync;
mod timeline;
mod walk;

use std::path::Path;

use rusqlite::Connection;

pub use changes::{Changes, PathChange};
pub use contents::{Amount, Contents, Item};
pub use failure::is_damage;
pub use history::{Change, PathVersion};
pub use limit::{DEFAULT_LIMIT_BYTES, enforce_limit};
pub use lookup::Directory;
pub use pattern::Pattern;
pub use search::{Found, Hit, Span};
pub use sync::{SyncRequest, SyncSummary};
pub use timeline::{IndexedSet, MissingSet, SetState};

use super::copies::folder_of;
use super::error::Result;
use super::format::time::SetTime;
use super::storage::Storage;
use failure::{Failure, READING};
use folder::Folder;

/// The open catalogue of one destination. Several may be open at once, in several processes too; one
/// at a time is brought up to date.
#[derive(Debug)]
pub struct Catalog {
    connection: Connection,
    folder: Folder,
}

/// What a catalogue holds.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The destination that it is of.
    pub location: String,
    /// When it was last found to be, or brought, in line with the destination.
    pub synced: Option<SetTime>,
    /// The sets that it knows, chain by chain, oldest first.
    pub sets: Vec<IndexedSet>,
    /// Paths that it knows, those of deleted files among them.
    pub path_count: u64,
    /// Bytes of its files.
    pub size_bytes: u64,
}

impl Catalog {
    /// Opens the catalogue of a destination in its folder below `cache`. One that is not there, cannot
    /// be understood or was made by another version of Souvenir is replaced by an empty one.
    ///
    /// Fails if the folder cannot be written.
    pub fn open(cache: &Path, storage: &dyn Storage) -> Result<Self> {
        let (folder, connection) = Folder::open(cache, storage)?;
        Ok(Self { connection, folder })
    }

    /// Whether there is a catalogue of a destination.
    pub fn exists(cache: &Path, storage: &dyn Storage) -> bool {
        folder::is_catalog(&folder_of(cache, storage))
    }

    /// Makes the catalogue of a destination an empty one, and gives its bytes back to the disk. Fails if
    /// another process is using it.
    pub fn empty(cache: &Path, storage: &dyn Storage) -> Result<()> {
        Folder::empty(cache, storage)
    }

    /// What it holds.
    pub fn overview(&self) -> Result<Overview> {
        self.reading(|connection| {
            let location = connection.query_row("SELECT location FROM about", [], |row| row.get(0))?;
            let sets = timeline::Timeline::load(connection)?.indexed();
            let path_count: i64 = connection.query_row("SELECT count(*) FROM paths", [], |row| row.get(0))?;
            Ok(Overview {
                location,
                // Without a set it never was, whatever was there before.
                synced: if sets.is_empty() { None } else { self.folder.synced() },
                sets,
                path_count: u64::try_from(path_count).unwrap_or(0),
                size_bytes: self.folder.size_bytes(),
            })
        })
    }

    /// The sets that it knows, chain by chain, oldest first.
    pub fn sets(&self) -> Result<Vec<IndexedSet>> {
        self.reading(|connection| Ok(timeline::Timeline::load(connection)?.indexed()))
    }

    /// When it was last found to be, or brought, in line with the destination.
    pub fn synced(&self) -> Option<SetTime> {
        self.folder.synced()
    }

    /// Runs a query in one transaction, so that it sees one state although another process may be
    /// writing.
    fn reading<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T> {
        let transaction = self.connection.unchecked_transaction().map_err(Failure::from);
        let result = transaction.and_then(|transaction| query(&transaction));
        result.map_err(|failure| self.folder.failed(READING, failure))
    }
}
