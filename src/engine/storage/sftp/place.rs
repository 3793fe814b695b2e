//! A folder on a server, and the connections to it. Every operation is one attempt; trying again is for
//! the layer above.

mod connecting;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ssh2::{FileStat, OpenFlags, OpenType, RenameFlags};

use super::SftpOptions;
use super::config::HostConfig;
use super::connection::{Connection, Handle, during};
use super::fault::Fault;
use super::sign_in::Known;
use crate::engine::job::Job;
use crate::engine::storage::{
    Credentials, SftpAddress, StorageError, StorageErrorKind, StorageResult, StoredFile, UPLOAD_PREFIX,
};

/// What is counted as full when a server does not say why it cannot write, in bytes.
const NEARLY_NOTHING: u64 = 1 << 20;

/// Set in the flags of a file system that can only be read: draft of statvfs@openssh.com.
const READ_ONLY_FLAG: u64 = 1;

/// A folder on a server. Clones share its connections.
#[derive(Clone)]
pub struct Place(Arc<Shared>);

struct Shared {
    address: SftpAddress,
    /// The folder as the server takes it.
    folder: String,
    host: String,
    port: u16,
    user: String,
    config: HostConfig,
    options: SftpOptions,
    job: Job,
    known: Known,
    /// Only this key signs in.
    only_key: Option<PathBuf>,
    pool: Mutex<Pool>,
    /// Whether the server was reached before.
    was_there: AtomicBool,
    /// Held while a connection is being made: one question at a time, and one sign-in.
    connecting: Mutex<()>,
}

struct Pool {
    connections: Vec<Arc<Connection>>,
    /// How many the server lets us have.
    limit: usize,
}

impl Place {
    /// The folder of an address. Nothing is connected yet.
    pub fn new(
        address: &SftpAddress,
        credentials: &Credentials,
        options: &SftpOptions,
        only_key: Option<&Path>,
        job: &Job,
    ) -> Self {
        let mut config = HostConfig::of(&address.host, &options.home);
        if let Some(file) = &credentials.key_file {
            config.identity_files = vec![file.clone()];
            config.identities_only = Some(true);
        }
        let user = address.user.clone().or_else(|| config.user.clone()).unwrap_or_else(own_name);
        Self(Arc::new(Shared {
            folder: folder_of(&address.path),
            host: config.host_name.clone().unwrap_or_else(|| address.host.clone()),
            port: address.port.or(config.port).unwrap_or(22),
            user,
            config,
            known: Known::new(credentials.secret.clone()),
            only_key: only_key.map(Path::to_owned),
            pool: Mutex::new(Pool { connections: Vec::new(), limit: options.connections.max(1) }),
            connecting: Mutex::default(),
            was_there: AtomicBool::new(false),
            address: address.clone(),
            options: options.clone(),
            job: job.clone(),
        }))
    }

    pub fn location(&self) -> String {
        self.0.address.to_string()
    }

    pub fn options(&self) -> &SftpOptions {
        &self.0.options
    }

    pub fn job(&self) -> &Job {
        &self.0.job
    }

    /// A file of the place, for messages.
    pub fn location_of(&self, name: &str) -> String {
        format!("{}/{name}", self.location().trim_end_matches('/'))
    }

    fn folder(&self) -> &Path {
        Path::new(&self.0.folder)
    }

    /// A file of the place, as the server takes it.
    pub fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.0.folder).join(name)
    }

    /// Every entry of the folder but itself and the one above.
    pub fn entries(&self) -> StorageResult<Vec<(String, FileStat)>> {
        let folder = self.folder();
        let connection = self.connection()?;
        let opened = Handle::open(Arc::clone(&connection), |sftp| sftp.opendir(folder));
        let mut handle = match opened {
            Ok(handle) => handle,
            Err(fault) => return Err(self.folder_error(&connection, &fault)),
        };
        let mut entries = Vec::new();
        loop {
            let (path, stat) = match handle.run(|file, _| file.readdir()) {
                Ok(entry) => entry,
                Err(fault) if fault.is_end_of_folder() => break,
                Err(fault) => return Err(fault.into_error("reading", self.location())),
            };
            if let Some(name) = path.to_str().filter(|name| !matches!(*name, "." | "..")) {
                entries.push((name.to_owned(), stat));
            }
        }
        Ok(entries)
    }

    /// Why the folder cannot be opened: servers say of a file that it is not there.
    fn folder_error(&self, connection: &Connection, fault: &Fault) -> StorageError {
        let folder = self.folder();
        let mut kind = fault.kind();
        if matches!(kind, StorageErrorKind::NotFound | StorageErrorKind::Other)
            && connection.run(|live| live.sftp.stat(folder)).is_ok_and(|stat| !stat.is_dir())
        {
            kind = StorageErrorKind::NotAFolder;
        }
        fault.error_of(kind, "reading", self.location())
    }

    pub fn list(&self) -> StorageResult<Vec<StoredFile>> {
        let mut files = Vec::new();
        for (name, stat) in self.entries()? {
            let stat = match stat {
                FileStat { size: Some(_), perm: Some(_), .. } => stat,
                _ => match self.stat(&name) {
                    Ok(stat) => stat,
                    Err(error) if error.kind == StorageErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                },
            };
            if stat.is_file() {
                files.push(StoredFile { name, size_bytes: stat.size.unwrap_or(0) });
            }
        }
        Ok(files)
    }

    pub fn folders(&self) -> StorageResult<Vec<String>> {
        let entries = self.entries()?;
        Ok(entries.into_iter().filter(|(_, stat)| stat.is_dir()).map(|(name, _)| name).collect())
    }

    pub fn stat(&self, name: &str) -> StorageResult<FileStat> {
        let path = self.path(name);
        let connection = self.connection()?;
        let result = connection.run(|live| live.sftp.lstat(&path));
        during(result, "reading", &self.location_of(name))
    }

    pub fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        let seconds = self.stat(name)?.mtime;
        Ok(seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
    }

    pub fn delete(&self, name: &str) -> StorageResult<()> {
        let path = self.path(name);
        let connection = self.connection()?;
        let result = connection.run(|live| live.sftp.unlink(&path));
        during(result, "deleting", &self.location_of(name))
    }

    /// Gives a file another name, but never one that is taken. OpenSSH's server refuses that by itself, others
    /// may not.
    pub fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        let (source, target) = (self.path(from), self.path(to));
        let connection = self.connection()?;
        let is_taken = || match connection.run(|live| live.sftp.lstat(&target)) {
            Ok(_) => Ok(true),
            Err(fault) if fault.kind() == StorageErrorKind::NotFound => Ok(false),
            Err(fault) => Err(fault.into_error("writing", self.location_of(to))),
        };
        if is_taken()? {
            // If there is nothing to be renamed either, that counts: an attempt before may have done it.
            during(connection.run(|live| live.sftp.lstat(&source)), "renaming", &self.location_of(from))?;
            return Err(self.taken(to));
        }
        let plain = Some(RenameFlags::empty());
        match connection.run(|live| live.sftp.rename(&source, &target, plain)) {
            Ok(()) => Ok(()),
            Err(fault) if fault.says_nothing() && is_taken()? => Err(self.taken(to)),
            Err(fault) => Err(self.write_error(&connection, None, fault, to)),
        }
    }

    pub fn taken(&self, name: &str) -> StorageError {
        let reason = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        StorageError::from_io("writing", self.location_of(name), reason)
    }

    /// Opens a file for reading.
    pub fn open(&self, name: &str) -> StorageResult<Handle> {
        let path = self.path(name);
        let connection = self.connection()?;
        during(Handle::open(connection, |sftp| sftp.open(&path)), "reading", &self.location_of(name))
    }

    /// Makes a file that must not exist, and the folder if that is missing.
    pub fn make(&self, name: &str) -> StorageResult<(Handle, Arc<Connection>)> {
        let path = self.path(name);
        let connection = self.connection()?;
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let make = || {
            Handle::open(Arc::clone(&connection), |sftp| sftp.open_mode(&path, flags, 0o600, OpenType::File))
        };
        let made = match make() {
            Err(fault) if fault.kind() == StorageErrorKind::NotFound => {
                self.make_folders(&connection)?;
                make()
            }
            made => made,
        };
        match made {
            Ok(handle) => Ok((handle, connection)),
            Err(fault) => Err(match self.folder_error(&connection, &fault) {
                error if error.kind == StorageErrorKind::NotAFolder => error,
                _ => self.write_error(&connection, None, fault, name),
            }),
        }
    }

    /// Opens a file of ours to go on with it.
    pub fn reopen(&self, name: &str) -> StorageResult<(Handle, Arc<Connection>)> {
        let path = self.path(name);
        let connection = self.connection()?;
        let open = |sftp: &ssh2::Sftp| sftp.open_mode(&path, OpenFlags::WRITE, 0o600, OpenType::File);
        let handle = Handle::open(Arc::clone(&connection), open);
        Ok((during(handle, "writing", &self.location_of(name))?, connection))
    }

    fn make_folders(&self, connection: &Connection) -> StorageResult<()> {
        let folder = self.folder();
        let mut missing = Vec::new();
        for ancestor in folder.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
            match connection.run(|live| live.sftp.stat(ancestor)) {
                Ok(stat) if stat.is_dir() => break,
                Ok(_) => {
                    let reason = format!("{} is not a folder", ancestor.display());
                    return Err(StorageError::new(
                        StorageErrorKind::NotAFolder,
                        "creating",
                        self.location(),
                        reason,
                    ));
                }
                Err(fault) if fault.kind() == StorageErrorKind::NotFound => missing.push(ancestor),
                Err(fault) => return Err(fault.into_error("creating", self.location())),
            }
        }
        for folder in missing.into_iter().rev() {
            match connection.run(|live| live.sftp.mkdir(folder, 0o700)) {
                Ok(()) => {}
                // Somebody else may have been quicker.
                Err(fault) if fault.says_nothing() || fault.kind() == StorageErrorKind::AlreadyExists => {}
                Err(fault) => return Err(fault.into_error("creating", self.location())),
            }
        }
        Ok(())
    }

    /// Why something could not be written. Most servers say no more than that it failed, so the file system is
    /// looked at.
    pub fn write_error(
        &self,
        connection: &Connection,
        handle: Option<&mut Handle>,
        fault: Fault,
        name: &str,
    ) -> StorageError {
        let mut kind = fault.kind();
        if fault.says_nothing() {
            let numbers = match handle {
                Some(handle) if !connection.is_broken() => handle.run(|file, _| file.statvfs()).ok(),
                _ => self.any_file().and_then(|mut handle| handle.run(|file, _| file.statvfs()).ok()),
            };
            if let Some(numbers) = numbers {
                if numbers.f_flag & READ_ONLY_FLAG != 0 {
                    kind = StorageErrorKind::ReadOnly;
                } else if numbers.f_bavail.saturating_mul(numbers.f_frsize) < NEARLY_NOTHING
                    || (numbers.f_files > 0 && numbers.f_favail == 0)
                {
                    kind = StorageErrorKind::Full;
                }
            }
        }
        fault.error_of(kind, "writing", self.location_of(name))
    }

    /// The file system is asked through a file that is open on it. If there is none, one is made for it.
    pub fn free_bytes(&self) -> StorageResult<Option<u64>> {
        let mut probe = None;
        let handle = match self.any_file() {
            Some(handle) => Some(handle),
            None if self.0.address.path.is_empty() || self.entries().is_ok() => {
                let name = temporary_name();
                let made = self.make(&name).ok().map(|(handle, _)| handle);
                probe = made.is_some().then_some(name);
                made
            }
            None => None,
        };
        let numbers = handle.and_then(|mut handle| handle.run(|file, _| file.statvfs()).ok());
        if let Some(name) = probe {
            self.delete(&name)?;
        }
        Ok(numbers.map(|numbers| numbers.f_bavail.saturating_mul(numbers.f_frsize)))
    }

    /// Some file of the place that can be read, opened.
    fn any_file(&self) -> Option<Handle> {
        let folder = self.folder();
        let connection = self.connection().ok()?;
        let mut listing = Handle::open(connection, |sftp| sftp.opendir(folder)).ok()?;
        for _ in 0..1000 {
            let (path, stat) = listing.run(|file, _| file.readdir()).ok()?;
            if stat.is_file()
                && let Some(name) = path.to_str()
            {
                return self.open(name).ok();
            }
        }
        None
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sftp").field(&self.location()).finish()
    }
}

/// A name for a file that is not whole yet.
pub fn temporary_name() -> String {
    format!("{UPLOAD_PREFIX}{:016x}", fastrand::u64(..))
}

/// A folder as SFTP takes it: relative ones are relative to where a sign-in ends up, which is what people
/// mean by `~`.
fn folder_of(path: &str) -> String {
    let path = match path.strip_prefix("~/") {
        Some(rest) => rest.trim_start_matches('/'),
        None if path == "~" => "",
        None => path,
    };
    match path.trim_end_matches('/') {
        "" if path.starts_with('/') => "/".to_owned(),
        "" => ".".to_owned(),
        path => path.to_owned(),
    }
}

/// The name of who runs this program.
fn own_name() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    user.map_or_else(|| std::env::var("USER").unwrap_or_else(|_| "root".to_owned()), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_what_people_mean() {
        for (typed, taken) in [
            ("", "."),
            ("~", "."),
            ("~/", "."),
            ("~/a b/", "a b"),
            ("a/b", "a/b"),
            ("/srv/", "/srv"),
            ("/", "/"),
        ] {
            assert_eq!(folder_of(typed), taken);
        }
    }
}
