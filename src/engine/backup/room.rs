//! Whether what a backup is going to write fits into its destination, as far as anybody can tell before.

use crate::engine::chain::{Collection, Set};
use crate::engine::error::Error;
use crate::engine::format::name::SetKind;
use crate::engine::job::{Job, Warning};
use crate::engine::storage::{Storage, StorageErrorKind};

/// How much a set may be larger than the one before it without anybody being surprised, in percent.
const GROWTH_PERCENT: u64 = 125;

/// By how much a volume may come to be larger than it aims at: a delta is planned as an eighth of its file, and
/// may be as large as that.
const LARGEST_VOLUME: u64 = 9;

/// The room at a destination when a set is begun.
#[derive(Debug)]
pub(super) struct Room {
    location: String,
    /// Bytes that are free, where the place tells.
    free_bytes: Option<u64>,
    /// What the set is expected to come to at most, going by the last one of its kind, in bytes.
    like_last_bytes: Option<u64>,
    is_full: bool,
    /// What an interrupted run has stored of it already, in bytes.
    finished_bytes: u64,
}

impl Room {
    /// Looks how much room there is for a set of that kind.
    pub fn look(storage: &dyn Storage, collection: &Collection, kind: SetKind, finished_bytes: u64) -> Self {
        let free_bytes = storage.free_bytes().unwrap_or_else(|error| {
            tracing::warn!(%error, "nobody knows how much is free");
            None
        });
        let last = collection.chains.last().and_then(|chain| match kind {
            SetKind::Full { .. } => chain.sets.first(),
            SetKind::Incremental { .. } => chain.sets.last().filter(|set| !set.kind.is_full()),
        });
        let grown = |set: &Set| set.stored_bytes.saturating_mul(GROWTH_PERCENT) / 100;
        Self {
            location: storage.location(),
            free_bytes,
            like_last_bytes: last.map(grown),
            is_full: kind.is_full(),
            finished_bytes,
        }
    }

    /// Warns if the set may not fit. `source_bytes` is what is backed up, before it is compressed. How much of
    /// it has changed since the set before nobody knows until it was read.
    pub fn mind(&self, source_bytes: u64, job: &Job) {
        let Some(free_bytes) = self.free_bytes else { return };
        let expected = match self.like_last_bytes {
            Some(like_last) => like_last.min(source_bytes),
            None if self.is_full => source_bytes,
            None => return,
        };
        let needed_bytes = expected.saturating_sub(self.finished_bytes);
        if needed_bytes > free_bytes {
            job.warn(Warning::LittleSpace { location: self.location.clone(), needed_bytes, free_bytes });
        }
    }

    /// What is said of a destination that is full: how much may still be needed, and how much is free.
    /// `stored_bytes` are finished.
    pub fn explain(&self, error: Error, stored_bytes: u64, storage: &dyn Storage, job: &Job) -> Error {
        match error {
            Error::Storage(source) if source.kind == StorageErrorKind::Full => {
                let progress = job.progress();
                let is_known = self.is_full && progress.total_known;
                let needed_bytes = progress.total_bytes.saturating_sub(stored_bytes);
                Error::NoSpace {
                    location: storage.location(),
                    needed_bytes: is_known.then_some(needed_bytes),
                    free_bytes: storage.free_bytes().ok().flatten(),
                    source,
                }
            }
            error => error,
        }
    }
}

/// The size that volumes may aim at where files cannot be larger than `max_file_bytes`.
pub(super) fn volume_bytes(wanted: u64, max_file_bytes: Option<u64>) -> u64 {
    max_file_bytes.map_or(wanted, |max| wanted.min(max / LARGEST_VOLUME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::chain::samples;

    fn kind(is_full: bool) -> SetKind {
        let sets = samples::collection(if is_full { samples::full(1) } else { samples::incremental(1, 2) });
        let found = sets.sets().next().map(|set| set.kind);
        found.unwrap()
    }

    fn room(collection: &Collection, is_full: bool, free_bytes: u64) -> Room {
        let folder = tempfile::tempdir().unwrap();
        let storage = crate::engine::storage::LocalFolder::new(folder.path());
        Room { free_bytes: Some(free_bytes), ..Room::look(&storage, collection, kind(is_full), 0) }
    }

    fn warns(room: &Room, source_bytes: u64) -> bool {
        let job = Job::unattended();
        room.mind(source_bytes, &job);
        job.warning_count() > 0
    }

    #[test]
    fn a_first_set_is_measured_by_its_source_and_a_later_one_by_the_last() {
        let none = Collection::default();
        assert!(warns(&room(&none, true, 99), 100) && !warns(&room(&none, true, 100), 100));
        assert!(!warns(&Room { free_bytes: None, ..room(&none, true, 0) }, 100));
        assert!(!warns(&Room { finished_bytes: 60, ..room(&none, true, 40) }, 100));
        // Of an incremental one nothing is known before there was another.
        assert!(!warns(&room(&none, false, 0), 100));
        let chain = samples::collection([samples::full(1), samples::incremental(1, 2)].concat());
        for (index, is_full) in [true, false].into_iter().enumerate() {
            let expected = chain.chains[0].sets[index].stored_bytes * 125 / 100;
            assert!(warns(&room(&chain, is_full, expected - 1), 1 << 40), "{is_full}");
            assert!(!warns(&room(&chain, is_full, expected), 1 << 40), "{is_full}");
            assert!(!warns(&room(&chain, is_full, 1), 1), "no more than there is: {is_full}");
        }
    }

    #[test]
    fn volumes_stay_far_below_the_largest_file() {
        let max = u64::from(u32::MAX);
        assert_eq!(volume_bytes(64 << 20, Some(max)), 64 << 20);
        assert_eq!(volume_bytes(64 << 20, None), 64 << 20);
        let largest = volume_bytes(1 << 40, Some(max));
        assert!(largest * 8 < max && largest > 400 << 20);
    }
}
