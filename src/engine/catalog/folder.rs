//! The folder of one catalogue: who may read it, who is using it, and when its file is replaced.
//!
//! Whoever has the catalogue open holds the file `lock` in common with others. It is replaced or
//! removed only by who holds that alone: SQLite must never see its file change under it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;

use super::failure::{Failure, READING, WRITING};
use super::schema::{self, Found};
use crate::engine::copies::folder_of;
use crate::engine::error::{Error, Result};
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::storage::Storage;

/// The database. SQLite puts two more files beside it while it is in use.
const DATABASE: &str = "catalog.sqlite";
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Held by everybody who has the catalogue open. Its time says when that was last.
const LOCK: &str = "lock";

/// Held by who brings the catalogue up to date. Its time says when that was last done: to look and find
/// nothing new writes nothing into the database.
const SYNC_LOCK: &str = "sync";

/// Says that a query met damage: the next one to open the catalogue looks at all of it. If there is
/// something in it, then the tables contradict each other, and it need not look.
const SUSPECT: &str = "suspect";

/// How long somebody who uses the catalogue is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a file is replaced before it is given up: another process may break it again.
const ATTEMPTS: u32 = 3;

/// How often is looked whether they are done.
const POLL: Duration = Duration::from_millis(50);

/// Memory for pages of the database, in KiB.
const PAGE_CACHE_KIB: i64 = 16 * 1024;

/// Size in bytes of a page. Few large pages are read quicker than many small ones.
const PAGE_BYTES: i64 = 8192;

/// An open folder. While it lives nobody replaces what is in it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens the folder of a destination and the catalogue in it.
    pub(super) fn open(cache: &Path, storage: &dyn Storage) -> Result<(Self, Connection)> {
        let path = folder_of(cache, storage);
        make(&path).map_err(local(WRITING))?;
        let lock = open_private(&path.join(LOCK)).map_err(local(WRITING))?;
        let location = storage.location();
        for _ in 0..ATTEMPTS {
            wait_for(|| lock.try_lock_shared())?;
            let is_suspect = path.join(SUSPECT).exists();
            if !is_suspect && let Some(connection) = connect(&path, &location)? {
                // Only tells which was used last.
                let _ = lock.set_modified(SystemTime::now());
                return Ok((Self { path, _lock: lock }, connection));
            }
            // flock turns one kind of lock into the other only by letting go of it in between.
            lock.unlock().map_err(local(WRITING))?;
            wait_for(|| lock.try_lock())?;
            mend(&path, &location)?;
            lock.unlock().map_err(local(WRITING))?;
        }
        let source = io::Error::other("a new file cannot be read back");
        Err(Error::Local { action: WRITING, source })
    }

    /// Removes the catalogue of a destination.
    pub(super) fn empty(cache: &Path, storage: &dyn Storage) -> Result<()> {
        let path = folder_of(cache, storage);
        if !is_catalog(&path) {
            return Ok(());
        }
        let lock = open_private(&path.join(LOCK)).map_err(local(WRITING))?;
        wait_for(|| lock.try_lock())?;
        clear(&path).map_err(local(WRITING))
    }

    /// Waits until nobody else brings the catalogue up to date. The lock ends with the file.
    pub(super) fn lock_sync(&self, job: &Job) -> Result<File> {
        let file = open_private(&self.path.join(SYNC_LOCK)).map_err(local(WRITING))?;
        loop {
            job.check()?;
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
                Err(TryLockError::Error(error)) => return Err(local(WRITING)(error)),
            }
        }
    }

    /// Notes that the catalogue is in line with its destination.
    pub(super) fn note_synced(&self, lock: &File) -> Result<()> {
        lock.set_modified(SystemTime::now()).map_err(local(WRITING))
    }

    /// When that was last so.
    pub(super) fn synced(&self) -> Option<SetTime> {
        let modified = self.path.join(SYNC_LOCK).metadata().ok()?.modified().ok()?;
        let since_1970 = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        SetTime::from_epoch(i64::try_from(since_1970.as_secs()).ok()?)
    }

    /// Bytes of the catalogue's files.
    pub(super) fn size_bytes(&self) -> u64 {
        size_bytes(&self.path)
    }

    /// The engine's error for a failure. If it is damage, whoever opens the catalogue next makes sure.
    pub(super) fn failed(&self, action: &'static str, failure: Failure) -> Error {
        if failure.is_damage() {
            let mark = open_private(&self.path.join(SUSPECT));
            if failure.is_contradiction() {
                // Without the mark the next query fails like this one.
                let _ = mark.and_then(|mut file| file.write_all(b"the tables contradict each other\n"));
            }
        }
        failure.into_error(action)
    }
}

/// Removes the catalogue if it is not sound, while nobody else has it open.
fn mend(path: &Path, location: &str) -> Result<()> {
    // Another process may have done it meanwhile.
    let suspicion = path.join(SUSPECT).metadata().map(|data| data.len());
    if !matches!(suspicion, Ok(1..))
        && let Some(connection) = connect(path, location)?
        && (suspicion.is_err() || schema::is_sound(&connection))
    {
        return remove(&path.join(SUSPECT)).map_err(local(WRITING));
    }
    tracing::warn!(folder = %path.display(), "the catalogue cannot be used and is made anew");
    clear(path).map_err(local(WRITING))
}

/// Opens the database, making its tables if it is new. `None` if it is not a catalogue of this version.
fn connect(path: &Path, location: &str) -> Result<Option<Connection>> {
    let file = path.join(DATABASE);
    begin(&file).map_err(local(WRITING))?;
    let usable = (|| -> Result<Option<Connection>, Failure> {
        let mut connection = Connection::open(&file)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
        // With it readers and a writer do not wait for each other. Where it cannot be had they do.
        let _ = connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()));
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "journal_size_limit", 0)?;
        match schema::look(&connection)? {
            Found::Ours => Ok(Some(connection)),
            Found::Foreign => Ok(None),
            Found::Empty => {
                schema::create(&mut connection, location)?;
                Ok(Some(connection))
            }
        }
    })();
    match usable {
        Err(failure) if failure.is_damage() => Ok(None),
        result => result.map_err(|failure| failure.into_error(READING)),
    }
}

/// Whether there is a catalogue in a folder.
pub(super) fn is_catalog(path: &Path) -> bool {
    path.join(DATABASE).is_file()
}

/// When the catalogue in a folder was last opened.
pub(super) fn last_used(path: &Path) -> io::Result<SystemTime> {
    path.join(LOCK).metadata()?.modified()
}

/// Removes the catalogue in a folder if nobody is using it, and says whether it did.
pub(super) fn clear_unused(path: &Path) -> io::Result<bool> {
    let lock = open_private(&path.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => clear(path).map(|()| true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Bytes of the catalogue in a folder.
pub(super) fn size_bytes(path: &Path) -> u64 {
    files(path).filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}

/// The files that hold the catalogue. The locks stay where they are: a lock on a file that is gone
/// keeps nobody out.
fn files(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    let beside = BESIDE.iter().map(|ending| format!("{DATABASE}{ending}"));
    beside.chain([DATABASE.to_owned()]).map(|name| path.join(name))
}

fn clear(path: &Path) -> io::Result<()> {
    for file in files(path).chain([path.join(SUSPECT)]) {
        remove(&file)?;
    }
    Ok(())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the folder, for its owner only.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if path.metadata()?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Makes an empty database for its owner only; SQLite gives the files beside it the same permissions. One
/// that is there is not opened: to close it would take away the locks that SQLite has on it in this process.
fn begin(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn open_private(file: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file)
}

fn wait_for(lock: impl Fn() -> Result<(), TryLockError>) -> Result<()> {
    let begun = Instant::now();
    loop {
        match lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => std::thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => {
                let source = io::Error::new(io::ErrorKind::ResourceBusy, "another process is using it");
                return Err(Error::Local { action: "opening the catalogue", source });
            }
            Err(TryLockError::Error(error)) => return Err(local("opening the catalogue")(error)),
        }
    }
}

fn local(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Local { action, source }
}
