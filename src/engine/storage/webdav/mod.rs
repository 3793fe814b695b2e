//! A folder on a WebDAV server, such as Nextcloud (RFC 4918).
//!
//! A file is sent under a name of its own and then moved to the one that it is to have, with the condition
//! that there is none of that name.

mod answers;
mod place;
mod transfer;

use std::io::Read;
use std::sync::Arc;
use std::time::SystemTime;

use super::lease::{self, LeaseTimes};
use super::retry::{Backoff, Retrying};
use super::{Credentials, HttpTimes, Lock, Storage, StorageResult, StoredFile, Upload, WebDavAddress};
use crate::engine::job::Job;

use place::Place;
use transfer::{DavUpload, Download};

/// How long to wait for what.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebDavOptions {
    /// Time limits.
    pub times: HttpTimes,
    /// How often something is tried again.
    pub backoff: Backoff,
    /// How long the lock lives.
    pub lease: LeaseTimes,
}

/// Backups in a folder on a WebDAV server.
#[derive(Debug)]
pub struct WebDavStorage {
    place: Retrying<Single>,
    lease: LeaseTimes,
}

impl WebDavStorage {
    /// The server is reached at the first use. A password is asked for through `job` when the server wants
    /// one; the job also ends every wait when it is to stop. Fails if no thread can be started.
    pub fn new(
        address: &WebDavAddress,
        credentials: &Credentials,
        options: WebDavOptions,
        job: &Job,
    ) -> StorageResult<Self> {
        let place = Place::new(address, credentials, options, job)?;
        let single = Single { place: Arc::new(place), lease: options.lease };
        Ok(Self { place: Retrying::new(Arc::new(single), options.backoff, job), lease: options.lease })
    }
}

impl Storage for WebDavStorage {
    fn location(&self) -> String {
        self.place.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        self.place.list()
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        self.place.list_folders()
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        self.place.open_from(name, offset)
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        self.place.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.place.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        lease::take(Arc::new(self.place.clone()), holder, self.lease)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.place.delete(name)
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        self.place.modified(name)
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.place.free_bytes()
    }
}

/// The same with a single attempt for each operation.
#[derive(Debug)]
struct Single {
    place: Arc<Place>,
    lease: LeaseTimes,
}

impl Storage for Single {
    fn location(&self) -> String {
        self.place.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        Ok(self.place.list()?.files)
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        Ok(self.place.list()?.folders)
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        Ok(Box::new(Download::begin(&self.place, name, offset)?))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        Ok(Box::new(DavUpload::begin(&self.place, name)?))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.place.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        lease::take(Arc::new(Self { place: Arc::clone(&self.place), lease: self.lease }), holder, self.lease)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.place.delete(name)
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        self.place.modified(name)
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.place.free_bytes()
    }
}
