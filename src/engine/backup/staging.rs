//! The files of a set that does not exist yet.
//!
//! A set without a manifest is more than nothing to duplicity: from 3.0.7 on it cannot restore the newest
//! state while there is one. So the files of a set have names that no other program takes for a set's
//! until the last volume is stored. Then they get their own names, and the manifest comes last.
//!
//! An unfinished name carries what the next run must know to take a finished volume as it is: its hash,
//! and a fingerprint of the entries that went into it. Nothing has to be remembered elsewhere, so what
//! a crash, a lost network or a cancel leaves behind can be gone on with, from any machine.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use data_encoding::{BASE32_DNSSEC, HEXLOWER_PERMISSIVE};

use crate::engine::error::Result;
use crate::engine::format::name::{FileName, SetKind};
use crate::engine::job::{Job, panicked};
use crate::engine::storage::{
    Storage, StorageError, StorageErrorKind, StorageResult, StoredFile, UPLOAD_PREFIX,
};
use crate::engine::stored::hexadecimal;

/// Beginning of the names of files that belong to no set yet.
const PREFIX: &str = ".unfinished-";

/// What follows while a file is being written, or if it is of no use to a later run.
const NEW: &str = "new-";

/// What follows in the name of the list of files that are about to get their own names.
const LIST: &str = "list-";

/// Letters of a SHA-1 in a name. Encrypted home folders (eCryptfs) have no room for more than 143 bytes in a
/// name, of which a set's own take up to 72; so hashes are written in base 32.
const HASH_LETTERS: usize = 32;

/// How much of the hash over what goes into a volume is kept: enough that no two are ever mixed up by
/// chance.
pub const FINGERPRINT_BYTES: usize = 10;

/// Letters of that.
const FINGERPRINT_LETTERS: usize = 16;

/// How many files get their names at the same time, at a place behind a line.
const RENAMES_AT_ONCE: usize = 6;

/// What follows in the names of files that are copied from another place.
const COPY: &str = "copy-";

/// Hexadecimal digits of a SHA-1 in their names.
const DIGITS: usize = 40;

/// Largest list that is believed, in bytes: room for millions of volumes.
const LIST_LIMIT: u64 = 1 << 30;

/// The beginning of a SHA-1 over everything that decides what is in a volume, in base 32.
pub type Fingerprint = String;

/// The unfinished name of a finished volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Staged {
    /// SHA-1 of the stored file, in hexadecimal.
    pub sha1: String,
    /// What went into it.
    pub fingerprint: Fingerprint,
    /// The name that it will have.
    pub file: FileName,
}

impl Staged {
    fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        let (sha1, rest) = rest.split_at_checked(HASH_LETTERS)?;
        let (fingerprint, rest) = rest.strip_prefix('-')?.split_at_checked(FINGERPRINT_LETTERS)?;
        let file = FileName::parse(rest.strip_prefix('-')?)?;
        let bytes = |text: &str| BASE32_DNSSEC.decode(text.as_bytes()).ok();
        bytes(fingerprint)?;
        Some(Self { sha1: hexadecimal(&bytes(sha1)?), fingerprint: fingerprint.to_owned(), file })
    }
}

impl fmt::Display for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sha1 = HEXLOWER_PERMISSIVE.decode(self.sha1.as_bytes()).map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{}-{}-{}", BASE32_DNSSEC.encode(&sha1), self.fingerprint, self.file)
    }
}

/// The name of a file while it is being written.
pub fn new_name(file: FileName) -> String {
    format!("{PREFIX}{NEW}{file}")
}

/// The unfinished name of a file while it is copied from another place, where nobody knows its hash yet.
pub fn new_copy_name(name: &str) -> String {
    format!("{PREFIX}{COPY}{NEW}{name}")
}

/// The unfinished name of a file that was copied from another place.
pub fn copy_name(sha1: &str, name: &str) -> String {
    format!("{PREFIX}{COPY}{sha1}-{name}")
}

/// The SHA-1 of a file that was copied, and the name that it will have.
pub fn parse_copy(name: &str) -> Option<(&str, &str)> {
    let (sha1, name) = name.strip_prefix(PREFIX)?.strip_prefix(COPY)?.split_at_checked(DIGITS)?;
    let is_hex = sha1.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.strip_prefix('-').filter(|_| is_hex).map(|name| (sha1, name))
}

/// Whether a file belongs to an interrupted copy. A backup does not go on with it.
pub fn is_copy(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with(COPY))
}

/// Whether a file is of no use to a later run.
pub fn is_new(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with(NEW))
}

/// Whether a file belongs to a set that does not exist yet.
pub fn is_unfinished(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The set whose list of names a file is: a run was interrupted when its set was all but finished, and the
/// next one takes it back.
pub fn almost_finished(name: &str) -> Option<SetKind> {
    let manifest = name.strip_prefix(PREFIX)?.strip_prefix(LIST)?;
    Some(FileName::parse(manifest)?.set)
}

/// What an earlier run left behind.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Finished volumes of each set that was begun, with their sizes in bytes.
    volumes: HashMap<SetKind, Vec<(Staged, u64)>>,
    /// Names of files that are of no use.
    useless: Vec<String>,
}

impl Leftovers {
    /// Finds them. A set that was just getting its names, but no manifest, is taken apart again. Nobody
    /// else may be at work at the destination.
    pub fn find(storage: &dyn Storage, files: &[StoredFile], job: &Job) -> Result<Self> {
        let mut found = Self::default();
        let renamed = take_back(storage, files, job)?;
        for file in files {
            let name = renamed.get(&file.name).unwrap_or(&file.name);
            match Staged::parse(name) {
                Some(staged) => {
                    found.volumes.entry(staged.file.set).or_default().push((staged, file.size_bytes))
                }
                None => match name.strip_prefix(PREFIX) {
                    Some(rest) if is_list(rest) => {}
                    Some(_) => found.useless.push(name.clone()),
                    None if name.starts_with(UPLOAD_PREFIX) => found.useless.push(name.clone()),
                    None => {}
                },
            }
        }
        Ok(found)
    }

    /// The set of which most is there, of those that `fits` lets pass.
    pub fn best(&self, fits: impl Fn(SetKind) -> bool) -> Option<SetKind> {
        let sets = self.volumes.iter().filter(|(kind, _)| fits(**kind));
        sets.max_by_key(|(kind, volumes)| (volumes.len(), kind.time())).map(|(kind, _)| *kind)
    }

    /// One of the finished volumes of a set, to try a passphrase on.
    pub fn any_volume(&self, kind: SetKind) -> Option<String> {
        self.volumes.get(&kind)?.first().map(|(staged, _)| staged.to_string())
    }

    /// Keeps the volumes of one set and deletes everything else.
    pub fn keep_only(&mut self, kind: Option<SetKind>, storage: &dyn Storage) -> HashMap<Staged, u64> {
        let kept = kind.and_then(|kind| self.volumes.remove(&kind)).unwrap_or_default();
        for (staged, _) in self.volumes.drain().flat_map(|(_, volumes)| volumes) {
            delete(storage, &staged.to_string());
        }
        for name in self.useless.drain(..) {
            delete(storage, &name);
        }
        kept.into_iter().collect()
    }
}

/// Takes sets apart again that were just getting their names, and tells the new names of `files` that were
/// renamed. Nobody else may be at work at the destination.
pub fn take_back(storage: &dyn Storage, files: &[StoredFile], job: &Job) -> Result<BTreeMap<String, String>> {
    let mut renamed = BTreeMap::new();
    for list in files.iter().filter(|file| file.name.strip_prefix(PREFIX).is_some_and(is_list)) {
        undo_publishing(storage, files, list, &mut renamed, job)?;
    }
    Ok(renamed)
}

fn is_list(rest: &str) -> bool {
    rest.starts_with(LIST)
}

/// Deletes a file that no set needs; if it cannot be deleted, the next run tries again.
pub fn delete(storage: &dyn Storage, name: &str) {
    match storage.delete(name) {
        Err(error) if error.kind != StorageErrorKind::NotFound => {
            tracing::warn!(%error, "an unfinished file stays");
        }
        _ => {}
    }
}

/// Gives the files of a set their names, the manifest last. `files` and `manifest` are unfinished names and
/// the names to be.
///
/// A list of them is stored first and deleted last, so that a run which is interrupted in between can be
/// taken back.
pub fn publish(storage: &dyn Storage, files: &[(String, String)], manifest: &(String, String)) -> Result<()> {
    let list = format!("{PREFIX}{LIST}{}", manifest.1);
    let mut upload = storage.create(&list)?;
    let lines: String = files.iter().map(|(unfinished, file)| format!("{unfinished} {file}\n")).collect();
    let location = format!("{}/{list}", storage.location());
    upload
        .write_all(lines.as_bytes())
        .map_err(|source| StorageError::from_io("writing", location, source))?;
    upload.finish()?;
    rename_all(storage, files)?;
    storage.settle()?;
    rename_all(storage, std::slice::from_ref(manifest))?;
    storage.settle()?;
    delete(storage, &list);
    Ok(())
}

/// Gives files their names, several at once where each takes a few turns over a line.
pub fn rename_all(storage: &dyn Storage, files: &[(String, String)]) -> Result<()> {
    let rename = |(unfinished, file): &(String, String)| storage.rename(unfinished, file);
    if storage.local_folder().is_some() || files.len() == 1 {
        return Ok(files.iter().try_for_each(rename)?);
    }
    let next = AtomicUsize::new(0);
    let has_failed = AtomicBool::new(false);
    let work = || -> StorageResult<()> {
        while !has_failed.load(Ordering::Relaxed)
            && let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed))
        {
            rename(file).inspect_err(|_| has_failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..RENAMES_AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => Ok(result?),
            Err(panic) => Err(panicked(&*panic)),
        })
    })
}

/// Takes back what a run did that was interrupted before its manifest. `renamed` tells the new names of
/// `files` that were renamed.
fn undo_publishing(
    storage: &dyn Storage,
    files: &[StoredFile],
    list: &StoredFile,
    renamed: &mut BTreeMap<String, String>,
    job: &Job,
) -> Result<()> {
    let manifest = &list.name[PREFIX.len() + LIST.len()..];
    if !files.iter().any(|file| file.name == manifest) {
        let there: HashSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let location = format!("{}/{}", storage.location(), list.name);
        for line in BufReader::new(storage.open(&list.name)?.take(LIST_LIMIT)).lines() {
            job.check()?;
            let line = line.map_err(|source| StorageError::from_io("reading", &location, source))?;
            let Some((unfinished, file)) = line.split_once(' ') else { continue };
            let is_ours = is_unfinished(unfinished) && FileName::parse(file).is_some();
            if is_ours && there.contains(file) {
                storage.rename(file, unfinished)?;
                renamed.insert(file.to_owned(), unfinished.to_owned());
            }
        }
    }
    delete(storage, &list.name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_name_tells_everything() {
        let file = FileName::parse("duplicity-full.20231114T221320Z.vol12.difftar.gpg").unwrap();
        let staged = Staged { sha1: "a".repeat(40), fingerprint: "0".repeat(16), file };
        let name = staged.to_string();
        assert!(is_unfinished(&name) && name.len() < 143);
        assert_eq!(Staged::parse(&name), Some(staged));
        assert_eq!(FileName::parse(&name), None, "nobody takes it for a volume");
        let new = new_name(file);
        assert!(is_unfinished(&new));
        assert_eq!((Staged::parse(&new), FileName::parse(&new)), (None, None));
        assert_eq!(almost_finished(&format!("{PREFIX}{LIST}{file}")), Some(file.set));
        assert_eq!(almost_finished(&name), None);
        let copy = copy_name(&"b".repeat(40), "df.s44we8.m");
        assert_eq!(parse_copy(&copy), Some(("b".repeat(40).as_str(), "df.s44we8.m")));
        assert!(
            is_copy(&copy) && is_copy(&new_copy_name("df.s44we8.m")) && !is_copy(&name) && !is_copy(&new)
        );
        assert_eq!((Staged::parse(&copy), parse_copy(&new_copy_name("df.s44we8.m"))), (None, None));
        for other in ["", ".unfinished-", ".unfinished-é", &name[..name.len() - 20], "notes"] {
            assert_eq!(Staged::parse(other), None, "{other}");
        }
    }
}
