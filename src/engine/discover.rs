//! Looking for backups where nobody has said where they are: on a drive that somebody connects.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::Result;
use super::format::name::FileName;
use super::format::time::SetTime;
use super::job::Job;
use super::status::status;
use super::storage::LocalFolder;

/// A folder with backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The folder, relative to where it was looked from.
    pub folder: PathBuf,
    /// When its complete sets were made.
    pub set_times: Vec<SetTime>,
}

/// How deep below the root backups are found.
const MAX_DEPTH: usize = 4;

/// After that many folders it is not looked any further. Those near the root come first.
const MAX_FOLDERS: usize = 5_000;

/// Finds the folders below a root in which there is a complete set, those near the root first. Nothing is said of
/// folders that cannot be read, and what is hidden, lies very deep or behind links is not looked at.
///
/// Fails only when it is cancelled.
pub fn discover(root: &Path, job: &Job) -> Result<Vec<Discovery>> {
    let mut discoveries = Vec::new();
    let mut next = VecDeque::from([(PathBuf::new(), 0)]);
    let mut folder_count = 0;
    while let Some((folder, depth)) = next.pop_front().filter(|_| folder_count < MAX_FOLDERS) {
        folder_count += 1;
        let (has_stored_files, folders) = look_into(&root.join(&folder), job)?;
        let set_times = if has_stored_files { set_times(&root.join(&folder), job)? } else { Vec::new() };
        if !set_times.is_empty() {
            discoveries.push(Discovery { folder, set_times });
        } else if depth < MAX_DEPTH {
            next.extend(folders.into_iter().map(|name| (folder.join(name), depth + 1)));
        }
    }
    Ok(discoveries)
}

/// When the complete sets in a folder were made; none if it cannot be read.
fn set_times(folder: &Path, job: &Job) -> Result<Vec<SetTime>> {
    match status(&LocalFolder::new(folder), job) {
        Ok(status) => Ok(status.chains.iter().flat_map(|chain| &chain.sets).map(|set| set.time).collect()),
        Err(error) if error.is_cancelled() => Err(error),
        Err(error) => {
            tracing::info!(%error, folder = %folder.display(), "a folder with backups could not be looked at");
            Ok(Vec::new())
        }
    }
}

/// Whether a folder has files of backups, and which folders are in it.
fn look_into(folder: &Path, job: &Job) -> Result<(bool, Vec<PathBuf>)> {
    let (mut has_stored_files, mut folders) = (false, Vec::new());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        job.check()?;
        let name = entry.file_name();
        has_stored_files = has_stored_files || name.to_str().and_then(FileName::parse).is_some();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        if !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(PathBuf::from(name));
        }
    }
    folders.sort();
    Ok((has_stored_files, folders))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::engine::error::Error;
    use crate::engine::job::CancelReason;

    fn set(root: &Path, folder: &str, time: &str) {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).unwrap();
        for name in ["full.T.vol1.difftar.gpg", "full.T.manifest.gpg", "full-signatures.T.sigtar.gpg"] {
            fs::write(folder.join(format!("duplicity-{}", name.replace('T', time))), "").unwrap();
        }
    }

    #[test]
    fn folders_with_complete_sets_are_found_those_near_the_root_first() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        set(root, "a/b/deep", "20260101T000000Z");
        set(root, "z", "20260102T000000Z");
        set(root, "z", "20260103T000000Z");
        set(root, "z/inside", "20260104T000000Z");
        set(root, ".hidden", "20260104T000000Z");
        set(root, "1/2/3/4/5", "20260104T000000Z");
        fs::create_dir(root.join("unfinished")).unwrap();
        fs::write(root.join("unfinished/duplicity-full.20260101T000000Z.vol1.difftar"), "").unwrap();
        // What an interrupted backup has left hides nothing.
        set(root, "unfinished/beside", "20260105T000000Z");
        std::os::unix::fs::symlink(root.join("z"), root.join("link")).unwrap();
        let found = discover(root, &Job::unattended()).unwrap();
        let folders: Vec<_> = found.iter().map(|found| found.folder.to_str().unwrap()).collect();
        assert_eq!(folders, ["z", "unfinished/beside", "a/b/deep"]);
        assert_eq!(found[0].set_times.len(), 2);
    }

    #[test]
    fn the_root_itself_may_hold_them() {
        let root = tempfile::tempdir().unwrap();
        set(root.path(), "", "20260101T000000Z");
        let found = discover(root.path(), &Job::unattended()).unwrap();
        assert_eq!(found[0].folder, PathBuf::new());
    }

    #[test]
    fn nothing_is_found_where_nothing_is_and_it_stops_when_told() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(discover(&root.path().join("gone"), &Job::unattended()).unwrap(), []);
        fs::write(root.path().join("file"), "").unwrap();
        let job = Job::unattended();
        job.control().cancel(CancelReason::User);
        assert!(matches!(discover(root.path(), &job), Err(Error::Cancelled(_))));
    }
}
