//! A folder on an SSH server, through SFTP. Only this folder knows libssh2.

mod config;
mod connection;
mod download;
mod fault;
mod host_keys;
mod known_hosts;
mod outgoing;
mod place;
mod proxy;
mod setup;
mod sign_in;
mod upload;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::lease::{self, LeaseTimes};
use super::retry::{Backoff, Retrying};
use super::{Credentials, Lock, SftpAddress, Storage, StorageResult, StoredFile, Upload};
use crate::engine::job::Job;

pub use connection::Times;
pub use setup::{Setup, set_up_key};

use download::Download;
use place::Place;
use upload::SftpUpload;

/// How many connections there are at most, unless a server allows fewer.
const CONNECTIONS: usize = 6;

/// What does not belong to an address: where the user's SSH files are, and how long to wait.
#[derive(Debug, Clone)]
pub struct SftpOptions {
    /// The home folder, which has the folder `.ssh`.
    pub home: PathBuf,
    /// The socket of the agent that has keys.
    pub agent: Option<PathBuf>,
    /// Time limits.
    pub times: Times,
    /// How often something is tried again.
    pub backoff: Backoff,
    /// How long the lock lives.
    pub lease: LeaseTimes,
    /// How many connections there are at most.
    pub connections: usize,
}

impl SftpOptions {
    /// Those of a home folder.
    pub fn of_home(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            agent: None,
            times: Times::default(),
            backoff: Backoff::default(),
            lease: LeaseTimes::default(),
            connections: CONNECTIONS,
        }
    }
}

impl Default for SftpOptions {
    /// Those of who runs this program: `HOME` and `SSH_AUTH_SOCK` tell.
    fn default() -> Self {
        let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
        let agent = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
        Self { agent: agent.map(PathBuf::from), ..Self::of_home(home) }
    }
}

/// Backups in a folder on an SSH server.
pub type SftpStorage = Retrying<SftpFolder>;

impl SftpStorage {
    /// The server is reached at the first use. What it wants to know is asked through `job`, which also ends
    /// every wait when it is to stop.
    pub fn at(address: &SftpAddress, credentials: &Credentials, options: &SftpOptions, job: &Job) -> Self {
        let folder = SftpFolder(Place::new(address, credentials, options, None, job));
        Self::leased(folder, options.backoff, options.lease, job)
    }
}

/// The same with a single attempt for each operation.
#[derive(Debug)]
pub struct SftpFolder(Place);

impl Storage for SftpFolder {
    fn location(&self) -> String {
        self.0.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        self.0.list()
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        self.0.folders()
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        Ok(Box::new(Download::open(&self.0, name, offset)?))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        Ok(Box::new(SftpUpload::begin(&self.0, name)?))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.0.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        lease::take(Arc::new(Self(self.0.clone())), holder, self.0.options().lease)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.0.delete(name)
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        self.0.modified(name)
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.0.free_bytes()
    }
}

/// The folder of a person's SSH files.
fn ssh_folder(home: &Path) -> PathBuf {
    home.join(".ssh")
}
