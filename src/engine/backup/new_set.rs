//! A set while it is made: its files have unfinished names until the last volume is stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::BackupRequest;
use super::changes::Changes;
use super::pipeline::Made;
use super::room::Room;
use super::staging::{self, Fingerprint, Staged, new_name};
use crate::engine::crypto::Sealer;
use crate::engine::error::{Error, Result};
use crate::engine::format::manifest::Manifest;
use crate::engine::format::name::{Codec, FileName, Part, SetKind};
use crate::engine::job::Job;
use crate::engine::origin::host_name;
use crate::engine::path::{EntryPath, plain_root};
use crate::engine::scan::Tree;
use crate::engine::storage::{LockGuard, StorageErrorKind, StoredFile};
use crate::engine::stored::{Stored, StoredWriter};

/// What is known of a set before anything of it is made.
pub struct Begun {
    pub kind: SetKind,
    /// Finished volumes of an interrupted run, with their sizes in bytes.
    pub finished: HashMap<Staged, u64>,
    pub room: Room,
}

/// A set while it is made.
pub struct NewSet<'a> {
    pub request: &'a BackupRequest<'a>,
    pub tree: &'a Tree,
    /// Folders of the tree that are left out.
    pub left_out: &'a [EntryPath],
    pub sealer: Sealer,
    pub kind: SetKind,
    pub codec: Codec,
    /// Finished volumes of an interrupted run, with their sizes in bytes.
    finished: HashMap<FileName, Vec<(Staged, u64)>>,
    pub room: Room,
    /// The unfinished names of the files that are stored, by the names that they will have.
    stored: Mutex<BTreeMap<String, String>>,
    /// Bytes of the volumes among them.
    stored_bytes: AtomicU64,
    pub job: &'a Job,
}

impl<'a> NewSet<'a> {
    /// A set of which nothing is stored but what an interrupted run left.
    pub fn new(
        request: &'a BackupRequest<'a>,
        tree: &'a Tree,
        left_out: &'a [EntryPath],
        sealer: Sealer,
        begun: Begun,
        job: &'a Job,
    ) -> Self {
        let Begun { kind, finished, room } = begun;
        let codec = if request.protection.is_openpgp() { Codec::OpenPgp } else { Codec::Gzip };
        let mut by_name: HashMap<FileName, Vec<(Staged, u64)>> = HashMap::new();
        for (staged, size_bytes) in finished {
            by_name.entry(staged.file).or_default().push((staged, size_bytes));
        }
        let finished = by_name;
        let (stored, stored_bytes) = (Mutex::default(), AtomicU64::new(0));
        Self { request, tree, left_out, sealer, kind, codec, finished, room, stored, stored_bytes, job }
    }

    /// Stores the set. What is finished when it fails, but could be gone on with, stays for the next run.
    /// `lock` is the one of the place.
    pub fn store_all(&self, changes: Changes<'_>, lock: &LockGuard) -> Result<Made> {
        let result = self.store(changes).and_then(|mut made| {
            made.stored_bytes += self.publish(&made, lock)?;
            if let Some((copy, size_bytes)) = made.copy.take() {
                copy.keep(&StoredFile { name: self.file(Part::Signatures).to_string(), size_bytes });
            }
            Ok(made)
        });
        match &result {
            Err(error) if !can_go_on_after(error) => self.delete_what_was_stored(),
            Err(error) if is_full(error) => self.delete_torsos(),
            _ => {}
        }
        let stored_bytes = self.stored_bytes.load(Ordering::Relaxed);
        result.map_err(|error| self.room.explain(error, stored_bytes, self.request.storage, self.job))
    }

    /// Begins a file of the set.
    pub fn create(&self, part: Part) -> Result<StoredWriter> {
        let file = self.file(part);
        StoredWriter::create(self.request.storage, &new_name(file), file.codec, &self.sealer, self.job)
    }

    /// Completes the signatures.
    pub fn finish_signatures(&self, writer: StoredWriter) -> Result<Stored> {
        let stored = writer.finish()?;
        self.note(self.file(Part::Signatures), stored.name.clone());
        Ok(stored)
    }

    /// Completes a volume. With a fingerprint, a later run may take it as it is.
    pub fn finish_volume(
        &self,
        writer: StoredWriter,
        number: u32,
        fingerprint: Option<Fingerprint>,
    ) -> Result<Stored> {
        let mut stored = writer.finish()?;
        let file = self.file(Part::Volume(number));
        self.stored_bytes.fetch_add(stored.size_bytes, Ordering::Relaxed);
        if let Some(fingerprint) = fingerprint {
            let name = Staged { sha1: stored.sha1.clone(), fingerprint, file }.to_string();
            self.request.storage.rename(&stored.name, &name)?;
            stored.name = name;
        }
        self.note(file, stored.name.clone());
        Ok(stored)
    }

    /// The volume, if an interrupted run has finished just that.
    pub fn finished_before(&self, number: u32, fingerprint: &Fingerprint) -> Option<Stored> {
        let file = self.file(Part::Volume(number));
        let (staged, size_bytes) =
            self.finished.get(&file)?.iter().find(|(staged, _)| staged.fingerprint == *fingerprint)?;
        let stored = Stored { name: staged.to_string(), size_bytes: *size_bytes, sha1: staged.sha1.clone() };
        self.stored_bytes.fetch_add(stored.size_bytes, Ordering::Relaxed);
        self.note(file, stored.name.clone());
        Some(stored)
    }

    /// Makes the set exist: all its files get their names, and the manifest is stored last. Returns the
    /// manifest's size in bytes.
    fn publish(&self, made: &Made, lock: &LockGuard) -> Result<u64> {
        let storage = self.request.storage;
        let files: Vec<(String, String)> =
            self.stored().iter().map(|(name, unfinished)| (unfinished.clone(), name.clone())).collect();
        let used: HashSet<&str> = files.iter().map(|(unfinished, _)| unfinished.as_str()).collect();
        for staged in self.finished.values().flatten().map(|(staged, _)| staged.to_string()) {
            if !used.contains(staged.as_str()) {
                staging::delete(storage, &staged);
            }
        }
        self.job.check()?;
        // Sealing takes its time, so it comes before the first file gets its name.
        let text = self.manifest(made).to_bytes();
        let mut writer = self.create(Part::Manifest)?;
        writer.write_all(&text).map_err(|error| writer.fail(error))?;
        let Stored { name: unfinished, size_bytes, .. } = writer.finish()?;
        let file = self.file(Part::Manifest);
        self.note(file, unfinished.clone());
        lock.check()?;
        staging::publish(storage, &files, &(unfinished, file.to_string()))?;
        if let Some(mut copy) = self.request.copies.begin()
            && copy.write_all(&text).is_ok()
        {
            copy.keep(&StoredFile { name: file.to_string(), size_bytes });
        }
        Ok(size_bytes)
    }

    fn manifest(&self, made: &Made) -> Manifest {
        Manifest {
            host_name: host_name(),
            local_dir: Some(plain_root(self.request.root)),
            volumes: made.volumes.clone(),
        }
    }

    fn file(&self, part: Part) -> FileName {
        let codec = match (part, self.codec) {
            // duplicity never compresses a manifest.
            (Part::Manifest, Codec::Gzip) => Codec::Plain,
            (_, codec) => codec,
        };
        FileName { set: self.kind, part, codec }
    }

    /// Deletes all files of the set, whatever their names are by now. What cannot be deleted (the
    /// destination may be gone) the next run finds.
    fn delete_what_was_stored(&self) {
        let files: Vec<_> = std::mem::take(&mut *self.stored()).into_iter().collect();
        for (name, unfinished) in files {
            staging::delete(self.request.storage, &unfinished);
            staging::delete(self.request.storage, &name);
        }
    }

    /// Deletes files that a later run cannot take as they are: where everything is full, they only take space.
    fn delete_torsos(&self) {
        for unfinished in self.stored().values().filter(|name| staging::is_new(name)) {
            staging::delete(self.request.storage, unfinished);
        }
    }

    fn note(&self, file: FileName, unfinished: String) {
        self.stored().insert(file.to_string(), unfinished);
    }

    fn stored(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if error.kind == StorageErrorKind::Full)
}

/// Whether the same run would go on well a little later: it was stopped, the destination went away, or
/// somebody has to make space there.
fn can_go_on_after(error: &Error) -> bool {
    match error {
        Error::Cancelled(_) => true,
        Error::Storage(error) => matches!(
            error.kind,
            StorageErrorKind::Unreachable
                | StorageErrorKind::Timeout
                | StorageErrorKind::NotFound
                | StorageErrorKind::Full
        ),
        _ => false,
    }
}
