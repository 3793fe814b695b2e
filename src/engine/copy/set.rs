//! One set: its files get unfinished names at the other place, several at a time, and their own names when the
//! last of them is there.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::there::There;
use super::transfer::{Hash, Places, Trouble};
use super::{Known, Mode};
use crate::engine::backup::staging;
use crate::engine::chain::Set;
use crate::engine::crypto::Opener;
use crate::engine::error::{Damage, Error, Result};
use crate::engine::format::manifest::HashAlgorithm;
use crate::engine::format::name::{Codec, FileName, Part};
use crate::engine::job::panicked;
use crate::engine::restore::read_manifest;
use crate::engine::storage::{LockGuard, StoredFile};
use crate::engine::stored::StoredReader;

/// Files that are on their way at the same time.
const LINES: usize = 4;

/// A file to copy, and what its manifest says of it.
#[derive(Debug)]
struct Wanted {
    file: StoredFile,
    hash: Option<Hash>,
}

/// What became of a file.
#[derive(Debug)]
enum Placed {
    /// It is there under its own name.
    Present,
    /// It is there, finished, under an unfinished name.
    Staged {
        /// The name.
        name: String,
        /// Bytes that were sent.
        copied_bytes: u64,
    },
}

/// What became of a set.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Files that were copied, or would be.
    pub file_count: u64,
    /// Their bytes.
    pub copied_bytes: u64,
}

/// Why a set is not copied: all that is wrong with its files.
pub(super) enum Failed {
    /// The set cannot be copied; others can.
    Set(Vec<Trouble>),
    /// Nothing can.
    All(Error),
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::All(error) => Self::All(error),
            trouble @ Trouble::File { .. } => Self::Set(vec![trouble]),
        }
    }
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::All(error.into())
    }
}

/// Copies sets.
pub(super) struct Copier<'a> {
    pub places: Places<'a>,
    pub there: &'a There,
    /// Opens manifests and signatures; none if no manifest is to be looked into.
    pub opener: Option<&'a Opener>,
    pub known: Known,
    pub mode: Mode,
    /// The lock of the other place, unless nothing is written.
    pub lock: Option<&'a LockGuard>,
}

impl Copier<'_> {
    /// Copies a set. It becomes visible at the other place once all its files are there.
    pub fn set(&self, set: &Set) -> Result<Done, Failed> {
        if let Some(other) = self.there.other_file(set) {
            let reason = "another backup of the same time is at the destination";
            return Err(Trouble::conflict(other, reason).into());
        }
        if self.mode == Mode::DryRun {
            return self.foresee(set.files());
        }
        let is_there = |file: &StoredFile| self.there.size(&file.name) == Some(file.size_bytes);
        if self.known == Known::BySize && set.files().all(is_there) {
            self.places.job.bytes_done(set.stored_bytes);
            return Ok(Done::default());
        }
        // Volumes first, then whatever else there is, then the signatures.
        let mut wanted = self.volumes(set)?;
        let unvouched = |file: &StoredFile| Wanted { file: file.clone(), hash: None };
        wanted.extend(set.others.iter().filter(|file| !is_volume(file)).map(unvouched));
        if let Some(file) = &set.signatures {
            self.check(file)?;
            wanted.push(unvouched(file));
        }
        let mut done = Done::default();
        let placed = self.stage(&wanted, &mut done)?;
        let mut manifest = self.stage(&set.manifest.iter().map(unvouched).collect::<Vec<_>>(), &mut done)?;
        self.lock.map_or(Ok(()), LockGuard::check)?;
        let to = self.places.to;
        match manifest.pop() {
            Some((name, Placed::Staged { name: staged, .. })) => {
                staging::publish(to, &unfinished(placed), &(staged, name))?;
            }
            // The set is there already and lacks files, or it is one without a manifest.
            _ => {
                staging::rename_all(to, &unfinished(placed))?;
                to.settle()?;
            }
        }
        Ok(done)
    }

    /// Copies files that are told of nowhere, in their order.
    pub fn files(&self, files: &[StoredFile]) -> Result<Done, Failed> {
        if self.mode == Mode::DryRun {
            return self.foresee(files.iter());
        }
        let wanted: Vec<_> = files.iter().map(|file| Wanted { file: file.clone(), hash: None }).collect();
        let mut done = Done::default();
        let placed = self.stage(&wanted, &mut done)?;
        self.lock.map_or(Ok(()), LockGuard::check)?;
        for (staged, name) in unfinished(placed) {
            self.places.to.rename(&staged, &name)?;
        }
        self.places.to.settle()?;
        Ok(done)
    }

    /// What would be copied, as far as names and sizes tell.
    fn foresee<'f>(&self, files: impl Iterator<Item = &'f StoredFile>) -> Result<Done, Failed> {
        let mut done = Done::default();
        for file in files {
            match self.there.size(&file.name) {
                Some(size) if size == file.size_bytes => {}
                Some(_) => return Err(Trouble::conflict(&file.name, OTHER_SIZE).into()),
                None => {
                    done.file_count += 1;
                    done.copied_bytes += file.size_bytes;
                }
            }
        }
        Ok(done)
    }

    /// The volumes of a set, with what its manifest says of them.
    fn volumes(&self, set: &Set) -> Result<Vec<Wanted>, Failed> {
        let places = self.places;
        let mut hashes = BTreeMap::new();
        if let (Some(opener), Some(_)) = (self.opener, &set.manifest) {
            let manifest = read_manifest(places.from, set, opener, places.job)
                .map_err(|error| places.of_source(&set.name(), error))?;
            hashes = manifest.volumes.into_iter().map(|volume| (volume.number, volume.hash)).collect();
        }
        let mut missing = Vec::new();
        for number in hashes.keys().filter(|number| !set.volumes.contains_key(number)) {
            let codec = if set.is_encrypted() { Codec::OpenPgp } else { Codec::Gzip };
            let name = FileName { set: set.kind, part: Part::Volume(*number), codec }.to_string();
            missing.push(places.of_source(&name, Error::damaged(&name, Damage::Missing)));
        }
        if !missing.is_empty() {
            return Err(Failed::Set(missing));
        }
        let mut wanted = Vec::new();
        for (number, file) in &set.volumes {
            let hash = hashes.get(number).cloned().flatten();
            let others: Vec<&StoredFile> = set.others.iter().filter(|file| is(file, *number)).collect();
            if others.is_empty() {
                wanted.push(Wanted { file: file.clone(), hash });
                continue;
            }
            // Which of them the manifest means, only their hashes tell.
            let (mut is_found, mut first) = (hash.is_none(), None);
            for file in [file].into_iter().chain(others) {
                let found = match &hash {
                    Some(hash) => places.source_hash(file, Some(hash)).map(|_| Some(hash.clone())),
                    None => Ok(None),
                };
                let hash = match found {
                    Ok(hash) => hash,
                    Err(trouble @ Trouble::File { .. }) => {
                        first.get_or_insert(trouble);
                        None
                    }
                    Err(trouble) => return Err(trouble.into()),
                };
                is_found |= hash.is_some();
                wanted.push(Wanted { file: file.clone(), hash });
            }
            if let Some(trouble) = first.filter(|_| !is_found) {
                return Err(trouble.into());
            }
        }
        Ok(wanted)
    }

    /// Reads signatures to their end, since no manifest vouches for them: a checksum inside them does.
    fn check(&self, file: &StoredFile) -> Result<(), Trouble> {
        let (places, Some(opener)) = (self.places, self.opener) else { return Ok(()) };
        StoredReader::open(places.from, &file.name, opener, places.job)
            .and_then(StoredReader::finish)
            .map_err(|error| places.of_source(&file.name, error))
    }

    /// Brings files to the other place, under unfinished names unless they are there already. What became of
    /// each, in their order. A damaged file does not keep the others from being looked at.
    fn stage(&self, wanted: &[Wanted], done: &mut Done) -> Result<Vec<(String, Placed)>, Failed> {
        let next = Mutex::new(wanted.iter().enumerate());
        let results: Mutex<BTreeMap<usize, Result<Placed, Trouble>>> = Mutex::default();
        let work = || {
            loop {
                let Some((index, wanted)) = lock(&next).next() else { return };
                let result = catch_unwind(AssertUnwindSafe(|| self.place(wanted)))
                    .unwrap_or_else(|panic| Err(Trouble::All(panicked(&*panic))));
                self.places.job.entry_done();
                let is_over = matches!(result, Err(Trouble::All(_)));
                lock(&results).insert(index, result);
                if is_over {
                    // Nobody begins another one.
                    while lock(&next).next().is_some() {}
                }
            }
        };
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..LINES.min(wanted.len()) {
                std::thread::Builder::new()
                    .name("copy".to_owned())
                    .spawn_scoped(scope, work)
                    .map_err(|source| Error::Local { action: "starting a thread", source })?;
            }
            Ok(())
        })?;
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (mut placed, mut troubles) = (Vec::new(), Vec::new());
        for (index, result) in results {
            match result {
                Ok(what) => {
                    if let Placed::Staged { copied_bytes, .. } = &what {
                        done.file_count += 1;
                        done.copied_bytes += copied_bytes;
                    }
                    placed.push((wanted[index].file.name.clone(), what));
                }
                Err(Trouble::All(error)) => return Err(Failed::All(error)),
                Err(trouble) => troubles.push(trouble),
            }
        }
        if troubles.is_empty() { Ok(placed) } else { Err(Failed::Set(troubles)) }
    }

    /// Brings one file to the other place.
    fn place(&self, wanted: &Wanted) -> Result<Placed, Trouble> {
        let (places, Wanted { file, hash }) = (self.places, wanted);
        let expected = || -> Result<Hash, Trouble> {
            match hash {
                Some(hash) => Ok(hash.clone()),
                None => Ok((HashAlgorithm::Sha1, places.source_hash(file, None)?)),
            }
        };
        if let Some(size) = self.there.size(&file.name) {
            if size != file.size_bytes {
                return Err(Trouble::conflict(&file.name, OTHER_SIZE));
            }
            if self.known == Known::ByHash && !places.is_same(&file.name, file, &expected()?)? {
                return Err(Trouble::conflict(&file.name, OTHER_CONTENTS));
            }
            places.job.bytes_done(file.size_bytes);
            return Ok(Placed::Present);
        }
        if let Some((sha1, staged)) = self.there.staged(file) {
            let is_it = match hash {
                Some((HashAlgorithm::Sha1, digits)) => digits == sha1,
                _ => places.source_hash(file, hash.as_ref())? == sha1,
            };
            if is_it {
                places.job.bytes_done(file.size_bytes);
                return Ok(Placed::Staged { name: staged, copied_bytes: 0 });
            }
            staging::delete(places.to, &staged);
        }
        if let Some((HashAlgorithm::Sha1, sha1)) = hash {
            let staged = staging::copy_name(sha1, &file.name);
            places.copy(file, hash.as_ref(), &staged)?;
            return Ok(Placed::Staged { name: staged, copied_bytes: file.size_bytes });
        }
        let begun = staging::new_copy_name(&file.name);
        let sha1 = places.copy(file, hash.as_ref(), &begun)?;
        if !places.is_same(&begun, file, &(HashAlgorithm::Sha1, sha1.clone()))? {
            staging::delete(places.to, &begun);
            let reason = "the destination gives back something else than was written to it";
            return Err(Trouble::conflict(&file.name, reason));
        }
        let staged = staging::copy_name(&sha1, &file.name);
        places.to.rename(&begun, &staged)?;
        Ok(Placed::Staged { name: staged, copied_bytes: file.size_bytes })
    }
}

/// Unfinished names and the names to be.
fn unfinished(placed: Vec<(String, Placed)>) -> Vec<(String, String)> {
    let unfinished = |(name, placed)| match placed {
        Placed::Staged { name: staged, .. } => Some((staged, name)),
        Placed::Present => None,
    };
    placed.into_iter().filter_map(unfinished).collect()
}

fn is(file: &StoredFile, number: u32) -> bool {
    FileName::parse(&file.name).is_some_and(|name| name.part == Part::Volume(number))
}

fn is_volume(file: &StoredFile) -> bool {
    FileName::parse(&file.name).is_some_and(|name| matches!(name.part, Part::Volume(_)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const OTHER_SIZE: &str =
    "a file of this name and of another size is at the destination; it is not overwritten";

const OTHER_CONTENTS: &str =
    "a file of this name and with other contents is at the destination; it is not overwritten";
