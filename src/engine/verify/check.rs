//! What a stored file has to be like.

use std::io;

use crate::engine::crypto::Opener;
use crate::engine::error::{Damage, Error, Result};
use crate::engine::format::difftar::{self, Record};
use crate::engine::format::manifest::HashAlgorithm;
use crate::engine::format::tar;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;
use crate::engine::storage::Storage;
use crate::engine::stored::{StoredReader, about, unreadable};

/// A stored file to look at.
#[derive(Debug)]
pub(super) struct File {
    /// Its name at the storage.
    pub name: String,
    /// The time of its set.
    pub set_time: SetTime,
    /// What it is meant to hold.
    pub held: Held,
}

/// What a file is meant to hold.
#[derive(Debug)]
pub(super) enum Held {
    /// Entries of a set.
    Volume {
        /// The file's hash in the manifest.
        hash: Option<(HashAlgorithm, String)>,
        /// Names of further files that claim to be it.
        others: Vec<String>,
        /// The first and the last entry.
        range: (EntryPath, EntryPath),
    },
    /// The signatures of a set.
    Signatures {
        /// Whether of a full set, which has one entry at least.
        full: bool,
    },
}

impl Held {
    /// The first and the last entry, where that is known.
    pub fn range(&self) -> Option<(EntryPath, EntryPath)> {
        match self {
            Self::Volume { range, .. } => Some(range.clone()),
            Self::Signatures { .. } => None,
        }
    }
}

/// Reads a file to its end. Entries of the backup in it; those of signatures do not count.
pub(super) fn check(file: &File, storage: &dyn Storage, opener: &Opener, job: &Job) -> Result<u64> {
    let name = file.name.as_str();
    let (name, reader) = match &file.held {
        Held::Volume { hash, others, .. } => {
            let no_hash = || malformed(name, "its manifest has no hash of it".to_owned());
            let (algorithm, hash) = hash.as_ref().ok_or_else(no_hash)?;
            StoredReader::open_by_hash(storage, name, others, (*algorithm, hash), opener, job)?
        }
        Held::Signatures { .. } => {
            let reader = StoredReader::open_counted(storage, name, opener, job);
            (name, reader.map_err(|error| about(name, error))?)
        }
    };
    let mut tar = tar::Reader::new(reader);
    let mut order = Order::default();
    let mut count = 0;
    while let Some(header) = tar.next_entry().map_err(|error: io::Error| unreadable(name, error))? {
        job.check()?;
        let (record, entry) = difftar::entry(header).map_err(|error| malformed(name, error.to_string()))?;
        let is_in_place = match (&file.held, record) {
            (Held::Volume { .. }, Record::Signature) => false,
            (Held::Volume { .. }, _) => true,
            (Held::Signatures { .. }, record) => {
                matches!(record, Record::Signature | Record::Snapshot | Record::Deleted)
            }
        };
        if !is_in_place {
            return Err(malformed(name, format!("the entry of {} does not belong into it", entry.path)));
        }
        if let Held::Volume { range: (first, last), .. } = &file.held
            && !(first..=last).contains(&&entry.path)
        {
            let reason = format!("{} is in it, and its manifest does not say so", entry.path);
            return Err(malformed(name, reason));
        }
        order.follow(record, entry.path).map_err(|reason| malformed(name, reason))?;
        count += 1;
    }
    tar.into_inner().finish()?;
    match file.held {
        Held::Signatures { full: true } if count == 0 => Err(Error::damaged(name, Damage::Empty)),
        Held::Signatures { .. } => Ok(0),
        Held::Volume { .. } => Ok(count),
    }
}

/// The order of the format: paths go up, the chunks of a whole file follow one another, and those of a
/// delta ascend.
#[derive(Debug, Default)]
struct Order {
    last: Option<(EntryPath, Option<u64>)>,
}

impl Order {
    fn follow(&mut self, record: Record, path: EntryPath) -> Result<(), String> {
        let chunk = match record {
            Record::SnapshotChunk(number) | Record::DiffChunk(number) => Some(number),
            Record::Snapshot | Record::Diff | Record::Deleted | Record::Signature => None,
        };
        if let Some((before, chunk_before)) = &self.last {
            let follows = match (chunk_before, chunk) {
                (Some(last), Some(next)) if *before == path => match record {
                    Record::DiffChunk(_) => next > *last,
                    _ => next == last + 1,
                },
                // A file may have begun in the volume before, but not without one.
                (_, Some(next)) => *before < path && next == 1,
                (_, None) => *before < path,
            };
            if !follows {
                let piece = chunk.map_or_else(String::new, |number| format!(", piece {number},"));
                return Err(format!("{path}{piece} comes after {before}"));
            }
        }
        self.last = Some((path, chunk));
        Ok(())
    }
}

fn malformed(name: &str, reason: String) -> Error {
    Error::damaged(name, Damage::Malformed(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(records: &[(Record, &str)]) -> Result<(), String> {
        let mut order = Order::default();
        records.iter().try_for_each(|(record, path)| {
            order.follow(*record, EntryPath::from_bytes(path.as_bytes()).unwrap())
        })
    }

    #[test]
    fn what_is_out_of_order_is_found() {
        use Record::{Deleted, DiffChunk, Snapshot, SnapshotChunk};
        goes(&[(Snapshot, ""), (Snapshot, "a"), (Deleted, "a/z"), (Snapshot, "a b")]).unwrap();
        goes(&[(SnapshotChunk(7), "a"), (SnapshotChunk(8), "a"), (DiffChunk(1), "b")]).unwrap();
        goes(&[(DiffChunk(3), "a"), (DiffChunk(9), "a"), (Snapshot, "b")]).unwrap();
        for wrong in [
            &[(Snapshot, "b"), (Snapshot, "a")][..],
            &[(Snapshot, "a"), (Snapshot, "a")],
            &[(Snapshot, "a b"), (Snapshot, "a/z")],
            &[(SnapshotChunk(1), "a"), (SnapshotChunk(3), "a")],
            &[(DiffChunk(2), "a"), (DiffChunk(2), "a")],
            &[(Snapshot, "a"), (SnapshotChunk(2), "b")],
            &[(Snapshot, "a"), (SnapshotChunk(1), "a")],
        ] {
            assert!(goes(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            goes(&[(Snapshot, "b"), (SnapshotChunk(2), "c")]),
            Err("c, piece 2, comes after b".to_owned())
        );
    }
}
