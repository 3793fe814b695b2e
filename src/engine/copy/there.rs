//! What the place that is copied to has already: files under their own names, and those that an interrupted
//! copy has finished.

use std::collections::{HashMap, HashSet};

use crate::engine::Error;
use crate::engine::backup::staging;
use crate::engine::chain::Set;
use crate::engine::error::Result;
use crate::engine::format::name::{FileName, SetKind};
use crate::engine::job::Job;
use crate::engine::status::foreign_repository;
use crate::engine::storage::{Storage, StorageErrorKind, StoredFile, UPLOAD_PREFIX};

/// The files of a place. One that does not exist yet has none.
#[derive(Debug, Default)]
pub(super) struct There {
    /// Sizes in bytes.
    files: HashMap<String, u64>,
    /// Finished files of an interrupted copy by the names that they will have: SHA-1 and size in bytes.
    staged: HashMap<String, (String, u64)>,
    sets: HashMap<SetKind, Vec<String>>,
}

impl There {
    /// Looks what is there. Another program's repository is refused.
    pub fn look(storage: &dyn Storage) -> Result<(Self, Vec<StoredFile>)> {
        let files: Vec<StoredFile> = match storage.list() {
            Ok(files) => files,
            Err(error) if error.kind == StorageErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(error.into()),
        };
        if let Some(kind) = foreign_repository(storage, &files)? {
            return Err(Error::ForeignRepository { location: storage.location(), kind });
        }
        Ok((Self::of(&files), files))
    }

    /// The same after what interrupted runs left was put in order: a set that was just getting its names is
    /// taken back, and files that are not whole are deleted. The place must be locked.
    pub fn put_in_order(storage: &dyn Storage, job: &Job) -> Result<Self> {
        let (mut there, files) = Self::look(storage)?;
        if !staging::take_back(storage, &files, job)?.is_empty() {
            there = Self::look(storage)?.0;
        }
        let is_torso = |name: &str| {
            name.starts_with(UPLOAD_PREFIX) || staging::is_copy(name) && staging::parse_copy(name).is_none()
        };
        for file in files.iter().filter(|file| is_torso(&file.name)) {
            staging::delete(storage, &file.name);
        }
        Ok(there)
    }

    fn of(files: &[StoredFile]) -> Self {
        let mut there = Self::default();
        for StoredFile { name, size_bytes } in files {
            if let Some((sha1, name)) = staging::parse_copy(name) {
                there.staged.insert(name.to_owned(), (sha1.to_owned(), *size_bytes));
                continue;
            }
            if let Some(parsed) = FileName::parse(name) {
                there.sets.entry(parsed.set).or_default().push(name.clone());
            }
            there.files.insert(name.clone(), *size_bytes);
        }
        there
    }

    /// The size of a file in bytes, if there is one of that name.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.files.get(name).copied()
    }

    /// What an interrupted copy finished of a file: its SHA-1, and its unfinished name.
    pub fn staged(&self, file: &StoredFile) -> Option<(&str, String)> {
        let (sha1, size_bytes) = self.staged.get(&file.name)?;
        (*size_bytes == file.size_bytes).then(|| (sha1.as_str(), staging::copy_name(sha1, &file.name)))
    }

    /// A file of a set of these times that is none of `set`'s.
    pub fn other_file(&self, set: &Set) -> Option<&str> {
        let names = self.sets.get(&set.kind)?;
        let ours: HashSet<&str> = set.files().map(|file| file.name.as_str()).collect();
        names.iter().map(String::as_str).find(|name| !ours.contains(name))
    }
}
