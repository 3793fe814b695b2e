//! A part of a bucket of an object store that speaks S3. Only this folder knows opendal.
//!
//! An object appears when it is whole, and a request can be made to fail if there is one of that name: the
//! two things that are asked of a place. There is no renaming; an object is copied by the store and the first
//! one deleted. Every request is tried again by itself, since each can be made twice without harm.

mod download;
mod fault;
mod place;
mod transport;
mod upload;

use std::io::Read;
use std::sync::Arc;
use std::time::SystemTime;

use super::lease::{self, LeaseTimes};
use super::{Backoff, Credentials, HttpTimes, Lock, S3Address, Storage, StorageResult, StoredFile, Upload};
use crate::engine::job::Job;

use download::Download;
use place::Place;
use upload::ObjectUpload;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObjectOptions {
    /// Time limits.
    pub times: HttpTimes,
    /// How often something is tried again.
    pub backoff: Backoff,
    /// How long the lock lives.
    pub lease: LeaseTimes,
}

/// Backups in an object store.
#[derive(Debug, Clone)]
pub struct ObjectStorage {
    place: Arc<Place>,
}

impl ObjectStorage {
    /// The store is reached at the first use. A secret that `credentials` do not have is asked for through
    /// `job`, which also ends every wait when it is to stop. Without an access key the usual variables and
    /// files of Amazon's tools tell who signs in. Fails if no thread can be started.
    pub fn new(
        address: &S3Address,
        credentials: &Credentials,
        options: ObjectOptions,
        job: &Job,
    ) -> StorageResult<Self> {
        Ok(Self { place: Arc::new(Place::new(address, credentials, options, job)?) })
    }
}

impl Storage for ObjectStorage {
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
        Ok(Box::new(ObjectUpload::begin(&self.place, name)?))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.place.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        lease::take(Arc::new(self.clone()), holder, self.place.lease())
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.place.delete(name)
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        self.place.modified(name)
    }

    /// Nobody can tell how much a bucket holds.
    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        Ok(None)
    }
}
