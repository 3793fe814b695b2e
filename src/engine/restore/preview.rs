//! What a restore would do, before it does anything.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::attributes::time_of;
use super::{RestoreRequest, Source, want};
use crate::engine::chain::Collection;
use crate::engine::copies::Copies;
use crate::engine::crypto::Opener;
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::format::time::SetTime;
use crate::engine::job::{Job, Phase};
use crate::engine::known::KnownTree;

/// What a restore would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestorePreview {
    /// The time of the set that would be restored.
    pub set_time: Option<SetTime>,
    /// Entries that would be restored.
    pub entry_count: u64,
    /// Of these, regular files.
    pub file_count: u64,
    /// Bytes of contents, as far as the sizes are known: sets of duplicity do not tell.
    pub file_bytes: u64,
    /// Files whose size is not known.
    pub unknown_size_count: u64,
    /// Entries, apart from folders, in whose place something is already.
    pub conflict_count: u64,
    /// Of these, what would be lost if it were replaced: files that are not known to have the same size and time, and
    /// what is no file. A folder is never replaced.
    pub differing_count: u64,
    /// Of these, what is older than the entry that would be restored.
    pub older_count: u64,
    /// Names of the volumes that would be read.
    pub volumes: Vec<String>,
    /// Their bytes.
    pub volume_bytes: u64,
    /// Volumes that are needed too, and are missing or empty.
    pub lost_count: u64,
}

/// Finds out what a restore would do. Reads manifests and signatures only; writes nothing.
pub fn preview(request: &RestoreRequest<'_>, job: &Job) -> Result<RestorePreview> {
    job.phase(Phase::Preparing);
    let collection = Collection::new(request.storage.list()?);
    let no_backup = || Error::NoBackup { location: request.storage.location() };
    let sets = collection.sets_for(request.time).ok_or_else(no_backup)?;
    let opener = Opener::new(request.keyring, request.passphrases, request.sign_key, job)?;
    preview_by(request, &Copies::none(), job, |take| {
        let mut known = KnownTree::open(request.storage, &Copies::none(), sets, &opener, job)?;
        while let Some(entry) = known.take()? {
            take(entry)?;
        }
        Ok(())
    })
}

/// The same, with entries that `walk` tells, such as those of a catalogue, and with copies of manifests
/// where there are any: then no key is needed.
pub fn preview_by(
    request: &RestoreRequest<'_>,
    copies: &Copies,
    job: &Job,
    walk: impl FnOnce(&mut dyn FnMut(Entry) -> Result<()>) -> Result<()>,
) -> Result<RestorePreview> {
    let collection = Collection::new(request.storage.list()?);
    let no_backup = || Error::NoBackup { location: request.storage.location() };
    let sets = collection.sets_for(request.time).ok_or_else(no_backup)?;
    let opener = Opener::new(request.keyring, request.passphrases, request.sign_key, job)?;
    let source = Source { storage: request.storage, opener: &opener, job };
    let set_time = sets.last().map(|set| set.kind.time());
    let mut preview = RestorePreview { set_time, ..RestorePreview::default() };
    for set in sets {
        for volume in want(set, &request.paths, copies, source)?.all_volumes() {
            match volume.stored_bytes {
                0 => preview.lost_count += 1,
                bytes => {
                    preview.volume_bytes += bytes;
                    preview.volumes.push(volume.name.clone());
                }
            }
        }
    }
    walk(&mut |entry| {
        job.check()?;
        preview.take(request, &entry);
        Ok(())
    })?;
    match request.paths.first() {
        Some(path) if preview.entry_count == 0 => Err(Error::PathNotInBackup { path: path.clone() }),
        _ => Ok(preview),
    }
}

impl RestorePreview {
    fn take(&mut self, request: &RestoreRequest<'_>, entry: &Entry) {
        let Some(relative) = request.relative(&entry.path) else { return };
        self.entry_count += 1;
        if entry.kind == EntryKind::File {
            self.file_count += 1;
            self.file_bytes += entry.size_bytes.unwrap_or(0);
            self.unknown_size_count += u64::from(entry.size_bytes.is_none());
        }
        if entry.kind == EntryKind::Directory {
            return;
        }
        let place = request.target.join(relative.as_path());
        let Ok(there) = place.symlink_metadata() else { return };
        self.conflict_count += 1;
        if there.is_dir() || is_same(entry, &place, &there) {
            return;
        }
        self.differing_count += 1;
        let time = time_of(entry);
        let is_older = (there.mtime(), there.mtime_nsec()) < (time.tv_sec(), time.tv_nsec());
        self.older_count += u64::from(is_older);
    }
}

/// Whether what is there is what would be restored: a file by size and time, of which duplicity keeps whole seconds, a
/// link by where it leads.
fn is_same(entry: &Entry, place: &Path, there: &Metadata) -> bool {
    match &entry.kind {
        EntryKind::File => {
            let time = time_of(entry);
            let nanos = [0, there.mtime_nsec()];
            there.is_file()
                && there.mtime() == time.tv_sec()
                && nanos.contains(&time.tv_nsec())
                && entry.size_bytes.is_some_and(|size| size == there.len())
        }
        EntryKind::Symlink(target) => {
            place.read_link().is_ok_and(|found| found.as_os_str().as_encoded_bytes() == &**target)
        }
        _ => false,
    }
}
