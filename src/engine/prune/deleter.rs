//! Deleting sets, file by file.

use super::Mode;
use crate::engine::chain::Set;
use crate::engine::error::Result;
use crate::engine::format::name::{FileName, Part, SetKind};
use crate::engine::format::time::SetTime;
use crate::engine::job::{Job, Warning};
use crate::engine::storage::{Storage, StorageErrorKind, StoredFile};

/// A set that was deleted, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedSet {
    /// Its time.
    pub time: SetTime,
    /// The time of the set that it builds on, if it is an incremental one.
    pub start: Option<SetTime>,
    /// Files of it that are gone.
    pub file_count: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
}

/// Deletes, or only counts.
pub(super) struct Deleter<'a> {
    storage: &'a dyn Storage,
    mode: Mode,
    job: &'a Job,
    file_count: u64,
    deleted_bytes: u64,
}

impl<'a> Deleter<'a> {
    pub fn new(storage: &'a dyn Storage, mode: Mode, job: &'a Job) -> Self {
        Self { storage, mode, job, file_count: 0, deleted_bytes: 0 }
    }

    /// Says what is going to be deleted.
    pub fn expect<'f>(&self, files: impl Iterator<Item = &'f StoredFile>) {
        for file in files {
            self.job.add_total(1, file.size_bytes);
        }
        self.job.total_is_known();
    }

    /// Deletes a set. `None` if its manifest cannot be deleted: then the set stays as it is, and with
    /// it has to stay what it builds on.
    pub fn set(&mut self, set: &Set) -> Result<Option<DeletedSet>> {
        let before = (self.file_count, self.deleted_bytes);
        let mut exists = set.is_complete();
        for file in set.in_deletion_order() {
            let is_manifest = FileName::parse(&file.name).is_some_and(|name| name.part == Part::Manifest);
            if exists && !is_manifest {
                // A set without a manifest does not exist; one without its volumes would be damaged.
                if self.mode == Mode::Delete {
                    self.storage.settle()?;
                }
                exists = false;
            }
            if !self.file(file)? && is_manifest {
                return Ok(None);
            }
        }
        let start = match set.kind {
            SetKind::Full { .. } => None,
            SetKind::Incremental { start, .. } => Some(start),
        };
        Ok(Some(DeletedSet {
            time: set.kind.time(),
            start,
            file_count: self.file_count - before.0,
            deleted_bytes: self.deleted_bytes - before.1,
        }))
    }

    /// Deletes a file, and says whether it is gone. That it is still there is a warning; that the place
    /// is gone, or cannot be written at all, is an error.
    pub fn file(&mut self, file: &StoredFile) -> Result<bool> {
        self.job.check()?;
        if self.mode == Mode::Delete {
            match self.storage.delete(&file.name) {
                Ok(()) => {}
                Err(error) => match error.kind {
                    // Somebody else was quicker.
                    StorageErrorKind::NotFound => return Ok(true),
                    StorageErrorKind::Unreachable
                    | StorageErrorKind::Timeout
                    | StorageErrorKind::ReadOnly
                    | StorageErrorKind::NotAFolder => return Err(error.into()),
                    _ => {
                        let reason = error.source.to_string();
                        self.job.warn(Warning::NotDeleted { file: file.name.clone(), reason });
                        return Ok(false);
                    }
                },
            }
        }
        self.file_count += 1;
        self.deleted_bytes += file.size_bytes;
        self.job.entry_done();
        self.job.bytes_done(file.size_bytes);
        Ok(true)
    }

    /// Makes what was done last. Files and bytes that are gone.
    pub fn finish(self) -> Result<(u64, u64)> {
        if self.mode == Mode::Delete && self.file_count > 0 {
            self.storage.settle()?;
        }
        Ok((self.file_count, self.deleted_bytes))
    }
}
