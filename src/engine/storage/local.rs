//! A folder on this machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, RenameFlags, renameat2};
use nix::sys::statfs::{FsType, MSDOS_SUPER_MAGIC};

use super::lease::LOCK_NAME;
use super::{
    Drives, HeldLock, Lock, LockGuard, Storage, StorageError, StorageErrorKind, StorageResult, StoredFile,
    UPLOAD_PREFIX, Upload,
};

/// What is read of a holder's word on itself, in bytes.
const HOLDER_LIMIT: u64 = 1024;

/// What tells a folder from every other: a path without links, or a drive and a path on it.
pub(super) fn key(folder: &Path) -> PathBuf {
    // One that the first backup will make has no other name than it will have then.
    let in_parent = || Some(folder.parent()?.canonicalize().ok()?.join(folder.file_name()?));
    let known = folder.canonicalize().ok().or_else(in_parent);
    let path = known.or_else(|| std::path::absolute(folder).ok()).unwrap_or_else(|| folder.to_owned());
    match Drives::default().drive_of(&path) {
        Ok(Some(drive)) => drive.key(),
        Ok(None) => path,
        Err(error) => {
            tracing::warn!(%error, "the drives could not be looked at");
            path
        }
    }
}

/// Backups in a folder.
#[derive(Debug, Clone)]
pub struct LocalFolder {
    folder: PathBuf,
    /// File system and inode of the folder when it was locked last.
    locked: Arc<Mutex<Option<(u64, u64)>>>,
}

impl LocalFolder {
    /// The folder need not exist yet; the first upload makes it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), locked: Arc::default() }
    }

    fn fail(&self, action: &'static str, source: io::Error) -> StorageError {
        StorageError::from_io(action, self.location(), source)
    }

    fn fail_file(&self, action: &'static str, name: &str, source: io::Error) -> StorageError {
        StorageError::from_io(action, self.folder.join(name).display().to_string(), source)
    }

    fn look(&self) -> StorageResult<(u64, u64)> {
        let metadata = fs::metadata(&self.folder).map_err(|source| self.fail("writing", source))?;
        Ok((metadata.dev(), metadata.ino()))
    }

    fn make(&self) -> StorageResult<()> {
        fs::create_dir_all(&self.folder).map_err(|source| self.fail("creating", source))
    }

    /// Makes the folder if it is missing; but one that was locked must still be the same. Where a drive was
    /// pulled out, its mount point may be a folder of the disk below, which must not get what is meant
    /// for the drive.
    fn ensure(&self) -> StorageResult<()> {
        match *self.locked() {
            None => self.make(),
            Some(known) if self.look()? == known => Ok(()),
            Some(_) => Err(self.fail("writing", Errno::ENODEV.into())),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Option<(u64, u64)>> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder. Before the first backup it may be missing; its file system is its parent's.
    fn existing(&self) -> &Path {
        self.folder.ancestors().find(|folder| folder.exists()).unwrap_or(&self.folder)
    }

    fn entries(&self) -> StorageResult<Vec<(String, fs::DirEntry)>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|source| self.fail("reading", source))? {
            let entry = entry.map_err(|source| self.fail("reading", source))?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push((name, entry));
            }
        }
        Ok(entries)
    }
}

impl Storage for LocalFolder {
    fn location(&self) -> String {
        self.folder.display().to_string()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        let mut files = Vec::new();
        for (name, entry) in self.entries()? {
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => {
                    files.push(StoredFile { name, size_bytes: metadata.len() })
                }
                Ok(_) => {}
                // Deleted by somebody between being listed and being looked at.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.fail_file("reading", &name, error)),
            }
        }
        Ok(files)
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        let entries = self.entries()?;
        Ok(entries
            .into_iter()
            .filter(|(_, entry)| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|(name, _)| name)
            .collect())
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        let open = || {
            let mut file = File::open(self.folder.join(name))?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        };
        Ok(Box::new(open().map_err(|source| self.fail_file("reading", name, source))?))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        self.ensure()?;
        let final_path = self.folder.join(name);
        if final_path.symlink_metadata().is_ok() {
            return Err(self.fail_file("writing", name, io::ErrorKind::AlreadyExists.into()));
        }
        let temporary = tempfile::Builder::new()
            .prefix(UPLOAD_PREFIX)
            .make_in(&self.folder, |path| {
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
            })
            .map_err(|source| self.fail_file("writing", name, source))?;
        Ok(Box::new(LocalUpload { temporary, final_path }))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        let (from, target) = (self.folder.join(from), self.folder.join(to));
        rename_without_replacing(&from, &target).map_err(|source| self.fail_file("writing", to, source))
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        self.make()?;
        *self.locked() = Some(self.look()?);
        LockFile::take(self.folder.join(LOCK_NAME), holder)
            .map_err(|source| self.fail_file("locking", LOCK_NAME, source))
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        fs::remove_file(self.folder.join(name)).map_err(|source| self.fail_file("deleting", name, source))
    }

    fn settle(&self) -> StorageResult<()> {
        sync_folder(&self.folder).map_err(|source| self.fail("writing", source))
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        fs::symlink_metadata(self.folder.join(name))
            .and_then(|metadata| metadata.modified())
            .map(Some)
            .map_err(|source| self.fail_file("reading", name, source))
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        let numbers = nix::sys::statvfs::statvfs(self.existing())
            .map_err(|errno| self.fail("asking for free space", errno.into()))?;
        let free = u128::from(numbers.blocks_available()) * u128::from(numbers.fragment_size());
        Ok(Some(u64::try_from(free).unwrap_or(u64::MAX)))
    }

    fn max_file_bytes(&self) -> Option<u64> {
        largest_file(nix::sys::statfs::statfs(self.existing()).ok()?.filesystem_type())
    }

    fn local_folder(&self) -> Option<&Path> {
        Some(&self.folder)
    }
}

/// The largest file of a kind of file system, in bytes: FAT counts with 32 bits. Others, exFAT among them, take
/// more than anybody stores.
fn largest_file(kind: FsType) -> Option<u64> {
    (kind == MSDOS_SUPER_MAGIC).then_some(u64::from(u32::MAX))
}

/// A file that is locked for as long as this lives. The system lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    _locked: Flock<File>,
}

impl HeldLock for LockFile {}

impl LockFile {
    fn take(path: PathBuf, holder: &str) -> io::Result<Lock> {
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            let mut locked = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => locked,
                Err((file, Errno::EWOULDBLOCK)) => {
                    let mut text = String::new();
                    file.take(HOLDER_LIMIT).read_to_string(&mut text)?;
                    return Ok(Lock::Busy(text));
                }
                Err((_, Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS)) => {
                    tracing::warn!(path = %path.display(), "the file system has no locks");
                    return Ok(Lock::Held(LockGuard::new(())));
                }
                Err((_, errno)) => return Err(errno.into()),
            };
            // Whoever had it may have deleted it between our opening and our locking it.
            let is_current = path.metadata().is_ok_and(|there| {
                locked.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
            });
            if is_current {
                locked.set_len(0)?;
                locked.write_all(holder.as_bytes())?;
                let lock = Self { path, _locked: locked };
                return Ok(Lock::Held(LockGuard::new(lock)));
            }
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "the lock stays, but nobody holds it");
        }
    }
}

struct LocalUpload {
    /// Removes its file when it is dropped.
    temporary: tempfile::NamedTempFile,
    final_path: PathBuf,
}

impl LocalUpload {
    fn publish(self) -> io::Result<()> {
        self.temporary.as_file().sync_all()?;
        rename_without_replacing(self.temporary.path(), &self.final_path)?;
        sync_folder(self.final_path.parent().unwrap_or(Path::new(".")))
    }
}

fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(()),
        // Some network and FAT file systems cannot refuse to replace.
        Err(Errno::EINVAL | Errno::ENOSYS) => rename_without_kernel_help(from, to),
        Err(errno) => Err(errno.into()),
    }
}

/// A hard link refuses to replace. Where there are no hard links either, a look before the rename has
/// to do; nobody but this program gives files such names.
fn rename_without_kernel_help(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

/// Makes the new name durable. File systems that cannot sync a folder say so with `EINVAL`.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(()),
        result => result,
    }
}

impl Write for LocalUpload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

impl Upload for LocalUpload {
    fn finish(self: Box<Self>) -> StorageResult<()> {
        let location = self.final_path.display().to_string();
        self.publish().map_err(|source| {
            let kind = StorageErrorKind::of(&source);
            StorageError { kind, action: "writing", location, source }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(storage: &LocalFolder, name: &str) -> StorageResult<()> {
        storage.create(name)?.finish()
    }

    #[test]
    fn only_fat_has_a_limit_that_matters() {
        assert_eq!(largest_file(MSDOS_SUPER_MAGIC), Some((4 << 30) - 1));
        assert_eq!(largest_file(nix::sys::statfs::TMPFS_MAGIC), None);
        // The magic number of exFAT, which has no name in the library.
        assert_eq!(largest_file(FsType(0x2011_bab0)), None);
        assert_eq!(LocalFolder::new("/proc/self").max_file_bytes(), None);
    }

    #[test]
    fn a_drive_that_went_away_is_not_taken_for_a_new_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let (place, drive) = (scratch.path().join("mount/backups"), scratch.path().join("drive"));
        let storage = LocalFolder::new(&place);
        let _lock = storage.lock("this test").unwrap();
        put(&storage, "first").unwrap();
        fs::rename(scratch.path().join("mount"), &drive).unwrap();
        assert_eq!(put(&storage, "second").unwrap_err().kind, StorageErrorKind::NotFound);
        assert!(!place.exists());
        // The disk below may have a folder of that name.
        fs::create_dir_all(&place).unwrap();
        assert_eq!(put(&storage, "second").unwrap_err().kind, StorageErrorKind::Unreachable);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        fs::remove_dir_all(scratch.path().join("mount")).unwrap();
        fs::rename(&drive, scratch.path().join("mount")).unwrap();
        put(&storage, "second").unwrap();
        // Who locks anew takes what is there.
        fs::remove_dir_all(&place).unwrap();
        let _lock = storage.lock("this test").unwrap();
        put(&storage, "first").unwrap();
    }
}
