//! Folders on the network that the desktop reaches: shares of Windows and NFS, servers that speak WebDAV or
//! SSH. GVfs brings them there, GIO speaks with it.
//!
//! GIO's calls block for as long as GVfs likes, whoever cancels them. So each runs on a thread of its own, and
//! whoever has waited long enough leaves it to itself. A folder that is not mounted is mounted when it is used
//! first, and again when its mount has gone; who signs in, GVfs asks the person, or its keyring.

mod fault;
mod mount;
mod place;
mod transfer;

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::engine::job::Job;
use crate::engine::storage::lease::{self, LeaseTimes};
use crate::engine::storage::{
    Backoff, Lock, NetworkAddress, Retrying, Storage, StorageResult, StoredFile, Upload,
};

pub use mount::{is_declined, is_supported, mount};
use place::Place;
use transfer::{Download, NetworkUpload};

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct NetworkTimes {
    /// For an answer, or the next part of one.
    pub silence: Duration,
    /// Until a folder is mounted without anybody being asked.
    pub mount: Duration,
}

impl Default for NetworkTimes {
    fn default() -> Self {
        Self { silence: Duration::from_secs(60), mount: Duration::from_secs(90) }
    }
}

/// How a place is used.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkOptions {
    /// Time limits.
    pub times: NetworkTimes,
    /// How often something is tried again.
    pub backoff: Backoff,
    /// How long the lock lives.
    pub lease: LeaseTimes,
}

/// Backups in a folder on the network.
pub type NetworkStorage = Retrying<NetworkFolder>;

impl NetworkStorage {
    /// The folder is mounted at the first use. If somebody has to sign in, they are asked through `job`, which
    /// also ends every wait when it is to stop. Fails if no thread can be started.
    pub fn at(address: &NetworkAddress, options: NetworkOptions, job: &Job) -> StorageResult<Self> {
        let folder = NetworkFolder(Arc::new(Place::new(address, options, job)?));
        Ok(Self::leased(folder, options.backoff, options.lease, job))
    }
}

/// The same with the usual limits.
pub fn open(address: &NetworkAddress, backoff: Backoff, job: &Job) -> StorageResult<Box<dyn Storage>> {
    let options = NetworkOptions { backoff, ..NetworkOptions::default() };
    Ok(Box::new(NetworkStorage::at(address, options, job)?))
}

/// A folder on the network, with a single attempt for each operation.
#[derive(Debug)]
pub struct NetworkFolder(Arc<Place>);

impl Storage for NetworkFolder {
    fn location(&self) -> String {
        self.0.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        Ok(self.0.list()?.files)
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        Ok(self.0.list()?.folders)
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        Ok(Box::new(Download::begin(&self.0, name, offset)?))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        Ok(Box::new(NetworkUpload::begin(&self.0, name)?))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.0.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        lease::take(Arc::new(Self(Arc::clone(&self.0))), holder, self.0.options().lease)
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
