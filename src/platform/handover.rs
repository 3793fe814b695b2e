//! Files that were restored for another program, which takes them from here: one folder below the cache for each
//! time that something is handed over. Nobody says when it has taken them, so they stay for a day.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder that is yet to be made, at a place that only this person can look into.
pub fn new_folder(cache: &Path) -> io::Result<PathBuf> {
    let (all, private) = (folder_of_all(cache), Permissions::from_mode(0o700));
    DirBuilder::new().recursive(true).mode(0o700).create(&all)?;
    // What is restored may bring its own permissions.
    Ok(tempfile::Builder::new().prefix("").permissions(private).tempdir_in(all)?.keep().join("files"))
}

/// Removes what was handed over more than a day before `now`. A folder that cannot be removed is left.
pub fn remove_old(cache: &Path, now: SystemTime) {
    let Ok(folders) = fs::read_dir(folder_of_all(cache)) else { return };
    for folder in folders.flatten() {
        let made = folder.metadata().and_then(|metadata| metadata.created().or_else(|_| metadata.modified()));
        if made.is_ok_and(|made| now.duration_since(made).is_ok_and(|age| age > KEPT))
            && let Err(error) = remove(&folder.path())
        {
            tracing::warn!("{} is left: {error}", folder.path().display());
        }
    }
}

/// The files in a folder, by name.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort_unstable();
    Ok(files)
}

fn folder_of_all(cache: &Path) -> PathBuf {
    cache.join("souvenir").join("dragged")
}

/// Removes a folder with everything below it, also where a restored folder may not be written to.
fn remove(folder: &Path) -> io::Result<()> {
    make_writable(folder)?;
    fs::remove_dir_all(folder)
}

fn make_writable(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handed_over_stays_for_a_day() {
        let cache = tempfile::tempdir().unwrap();
        let folder = new_folder(cache.path()).unwrap();
        let place = folder.parent().unwrap();
        assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir_all(folder.join("letters")).unwrap();
        fs::write(folder.join("letters/one"), "one").unwrap();
        fs::write(folder.join("note"), "two").unwrap();
        fs::set_permissions(folder.join("letters"), Permissions::from_mode(0o500)).unwrap();
        assert_eq!(files(&folder).unwrap(), [folder.join("letters"), folder.join("note")]);
        let now = SystemTime::now();
        remove_old(cache.path(), now + Duration::from_secs(23 * 60 * 60));
        remove_old(cache.path(), now - Duration::from_secs(60));
        assert!(folder.join("letters/one").exists());
        remove_old(cache.path(), now + Duration::from_secs(25 * 60 * 60));
        assert!(!place.exists());
        assert_ne!(new_folder(cache.path()).unwrap(), new_folder(cache.path()).unwrap());
    }
}
